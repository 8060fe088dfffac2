"""Reading a request to an agent: JSON or plain text, and what header, query and body say beside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import azure.functions as func
from pydantic import ValidationError

from perdure.agents.errors import AgentError
from perdure.agents.naming import checked_session_key
from perdure.agents.requests import RunRequest
from perdure_functions.agents.answering import media_type, object_body, said_truth, text_body
from perdure_functions.http_api.reading import BadRequest

SESSION_HEADER = "x-ms-session-id"
WAIT_HEADER = "x-ms-wait-for-response"
CORRELATION_HEADER = "x-ms-correlation-id"

_WAIT_NAME = "wait_for_response"
_SESSION_NAMES = ("session_id", "thread_id")


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """A request to run a turn."""

    session: str
    request: RunRequest
    wait: bool
    """Whether the caller waits for the answer."""
    as_text: bool
    """Whether the answer is to be plain text."""


def read_request(request: func.HttpRequest) -> AgentRequest:
    """Return what a request asks for.

    Raises:
        BadRequest: it makes no sense.
    """
    is_json = media_type(request.headers.get("Content-Type")).endswith(("/json", "+json"))
    body = object_body(request) if is_json else {"message": text_body(request).strip()}
    return AgentRequest(
        session=_session(request, body),
        request=_turn(request, body),
        wait=_waits(request, body),
        as_text=not is_json and not _accepts_json(request),
    )


def _turn(request: func.HttpRequest, body: dict[str, Any]) -> RunRequest:
    correlation = next(
        (body[name] for name in ("correlation_id", "correlationId") if body.get(name)),
        request.headers.get(CORRELATION_HEADER) or uuid4().hex,
    )
    allows_tools = said_truth("enable_tool_calls", body.get("enable_tool_calls"))
    message = body.get("message", "")
    given = {
        "message": message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
        "messages": body.get("messages"),
        "role": body.get("role"),
        "response_format": body.get("response_format"),
        "enable_tool_calls": True if allows_tools is None else allows_tools,
        "options": body.get("options") or {},
        "correlationId": correlation,
    }
    try:
        return RunRequest.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise BadRequest(f"{f'{field}: ' if field else ''}{problem['msg'].removeprefix('Value error, ')}") from error
    except AgentError as error:
        raise BadRequest(str(error)) from error


def _session(request: func.HttpRequest, body: dict[str, Any]) -> str:
    found: dict[str, str] = {}
    for where, source in (("body", body), ("query", request.params)):
        for name in _SESSION_NAMES:
            value = source.get(name)
            if value is not None and (not isinstance(value, str | int) or isinstance(value, bool)):
                raise BadRequest(f"{name} is a text, not {value!r:.200}")
            if value is not None and str(value).strip():
                found[f"{name} in the {where}"] = str(value)
    if len(set(found.values())) > 1:
        shown = ", ".join(f"{where}: {value!r}" for where, value in found.items())
        raise BadRequest(f"the request names several sessions ({shown}): name one")
    try:
        return checked_session_key(next(iter(found.values()), uuid4().hex))
    except AgentError as error:
        raise BadRequest(str(error)) from error


def _waits(request: func.HttpRequest, body: dict[str, Any]) -> bool:
    """Header before query before body."""
    given = (
        (WAIT_HEADER, request.headers.get(WAIT_HEADER)),
        (_WAIT_NAME, request.params.get(_WAIT_NAME)),
        (_WAIT_NAME, body.get(_WAIT_NAME)),
    )
    said = [said_truth(name, value) for name, value in given]
    return next((wait for wait in said if wait is not None), True)


def _accepts_json(request: func.HttpRequest) -> bool:
    accepted = (request.headers.get("Accept") or "").split(",")
    return any(media_type(each) == "application/json" for each in accepted)
