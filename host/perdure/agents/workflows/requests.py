"""Requests for information: the framework's event for one, what others see of it, and whether an answer fits."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from agent_framework import Content, WorkflowEvent

from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError, WorkflowResponseError
from perdure.agents.workflows.framework import is_instance_of, try_coerce_to_type
from perdure.agents.workflows.people import APPROVAL, QUESTION, as_content
from perdure.agents.workflows.plain import plain
from perdure.agents.workflows.wire import Json, Request

ANSWER_TYPE, ASKED = "answerType", "asked"
"""Keys, in an instance's status, of the type that an answer has to have, as the codec writes it; and of when it was
asked."""

_ANSWER, _TO = "$answer", "$asked"
"""Keys of the event by which an answer comes that has been accepted as the one that counts."""


def event_of(request: Request, codec: Codec) -> WorkflowEvent[Any]:
    """Return the framework's event for a request."""
    return WorkflowEvent.request_info(
        request["id"], request["executor"], codec.decode(request["data"]), codec.decode_type(request["response_type"])
    )


def shown(request: Request) -> dict[str, Any]:
    """Return a request as it stands in the instance's status."""
    return {
        "requestId": request["id"],
        "sourceExecutor": request["executor"],
        "requestData": plain(request["data"]),
        "requestType": request["request_type"],
        "responseType": request["response_shown"],
        ANSWER_TYPE: request["response_type"],
        ASKED: request.get("asked", 0),
    }


def kind_of(asked: Mapping[str, Any]) -> str:
    """Return what kind of answer a request takes: approval and question, as an agent asks, or information.

    Args:
        asked: the request as it stands in the instance's status.
    """
    if asked["requestType"] != Content.__name__:
        return "information"
    return {APPROVAL: "approval", QUESTION: "question"}.get(asked["requestData"].get("type"), "information")


def settling_name(asked: Mapping[str, Any]) -> str:
    """Return what stands for a request where it is decided which answer counts.

    Args:
        asked: the request as it stands in the instance's status.
    """
    return f"{asked.get(ASKED, 0)}-{sha256(asked['requestId'].encode()).hexdigest()[:32]}"


def accepted(asked: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return an answer that has been accepted as it goes to the run.

    Args:
        asked: the request as it stands in the instance's status.
        answer: plain JSON.
    """
    return {_ANSWER: answer, _TO: asked.get(ASKED, 0)}


def is_accepted(said: Any) -> bool:
    """Whether what has come is an answer that was accepted."""
    return isinstance(said, dict) and said.keys() == {_ANSWER, _TO}


def answer_in(request: Request, said: Any) -> tuple[Any, bool]:
    """Return the answer in what has come for a request, and whether it is for this asking of it.

    Args:
        request: the request.
        said: an accepted answer, or an answer that was raised as an event by its sender.
    """
    return (said[_ANSWER], said[_TO] == request.get("asked", 0)) if is_accepted(said) else (said, True)


def checked_answer(request: Request, answer: Any, codec: Codec) -> Json:
    """Return an answer's JSON as a value of the type that the request asks for, written by the codec.

    Raises:
        WorkflowResponseError: it does not fit.
    """
    return answer_as(shown(request), answer, codec)


def answer_as(asked: Mapping[str, Any], answer: Any, codec: Codec) -> Json:
    """Return an answer's JSON as a value of the type that a request asks for, written by the codec.

    Args:
        asked: the request as it stands in the instance's status.
        answer: plain JSON.
        codec: of the workflow.

    Raises:
        WorkflowResponseError: it does not fit.
    """
    kind, request_id = codec.decode_type(asked[ANSWER_TYPE]), asked["requestId"]
    value = as_content(asked["requestData"], answer, request_id) if kind is Content else answer
    value = Content.from_text(text=value) if kind is Content and isinstance(value, str) else value
    value = try_coerce_to_type(value, kind)
    if is_instance_of(value, kind):
        try:
            return codec.encode(value)
        except UndeclaredTypeError as error:
            raise error.at(f"the answer to request '{request_id}'") from None
    raise WorkflowResponseError(
        f"the answer to request '{request_id}' is no {asked['responseType']}: {_clipped(answer)}"
    )


def type_shown(kind: Any) -> str:
    """Return a type as people write it."""
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def _clipped(value: Any, limit: int = 100) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
