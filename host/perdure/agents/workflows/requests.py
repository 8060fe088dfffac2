"""Requests for information: the framework's event for one, what others see of it, and whether an answer fits."""

from __future__ import annotations

from typing import Any

from agent_framework import Content, WorkflowEvent

from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError, WorkflowResponseError
from perdure.agents.workflows.framework import is_instance_of, try_coerce_to_type
from perdure.agents.workflows.plain import plain
from perdure.agents.workflows.wire import Json, Request

ANSWER_TYPE = "answerType"
"""Key, in an instance's status, of the type that an answer has to have, as the codec writes it."""


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
    }


def checked_answer(request: Request, answer: Any, codec: Codec) -> Json:
    """Return an answer's JSON as a value of the type that the request asks for, written by the codec.

    Raises:
        WorkflowResponseError: it does not fit.
    """
    return answer_as(request["response_type"], request["response_shown"], request["id"], answer, codec)


def answer_as(response_type: Json, response_shown: str, request_id: str, answer: Any, codec: Codec) -> Json:
    """Return an answer's JSON as a value of a type, written by the codec.

    Args:
        response_type: the type, as the codec writes it.
        response_shown: the type, as people write it.
        request_id: what is answered.
        answer: plain JSON.
        codec: of the workflow.

    Raises:
        WorkflowResponseError: it does not fit.
    """
    kind = codec.decode_type(response_type)
    value = Content.from_text(text=answer) if kind is Content and isinstance(answer, str) else answer
    value = try_coerce_to_type(value, kind)
    if is_instance_of(value, kind):
        try:
            return codec.encode(value)
        except UndeclaredTypeError as error:
            raise error.at(f"the answer to request '{request_id}'") from None
    raise WorkflowResponseError(f"the answer to request '{request_id}' is no {response_shown}: {_clipped(answer)}")


def type_shown(kind: Any) -> str:
    """Return a type as people write it."""
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def _clipped(value: Any, limit: int = 100) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
