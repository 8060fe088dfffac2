"""Between wire data and the types of azure-functions, by the library's own converters, as Azure's worker does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

from perdure.errors import PerdureError
from perdure.storage.rows import QueueMessage


class ConversionError(PerdureError):
    """A function returned, or put into an output, something that its binding does not take."""


@dataclass(frozen=True)
class HttpReply:
    """An HTTP response, ready to send."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


NO_CONTENT = HttpReply(204)


def http_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    route_params: Mapping[str, str],
    body: bytes,
) -> func.HttpRequest:
    """Build what an HTTP trigger passes."""
    value = {
        "method": _string(method),
        "url": _string(url),
        "headers": _strings(headers),
        "query": _strings(query),
        "params": _strings(route_params),
        "body": Datum(body, "bytes"),
    }
    request: func.HttpRequest = _decode("httpTrigger", Datum(value, "http"), {})
    return request


def queue_argument(message: QueueMessage, next_visible: datetime, annotation: Any) -> Any:
    """Build what a queue trigger passes: the body for a parameter typed `str` or `bytes`, else a QueueMessage."""
    if annotation is str:
        return message.body
    if annotation is bytes:
        return message.body.encode()
    metadata = {
        "Id": _string(message.message_id),
        "DequeueCount": Datum(message.dequeue_count, "int"),
        "NextVisibleTime": _string(next_visible.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
        "PopReceipt": _string(message.receipt),
    }
    return _decode("queueTrigger", _string(message.body), metadata)


def timer_argument(*, past_due: bool, status: Mapping[str, str], annotation: Any) -> Any:
    """Build what a timer trigger passes; its JSON for a parameter typed `str`."""
    content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": dict(status), "IsPastDue": past_due}
    text = json.dumps(content)
    return text if annotation is str else _decode("timerTrigger", Datum(text, "json"), {})


def warmup_argument() -> Any:
    """Build what a warm-up trigger passes."""
    return _decode("warmupTrigger", _string(""), {})


def http_reply(value: Any) -> HttpReply:
    """Turn what an `http` output got into a response.

    Raises:
        ConversionError: The binding takes no such value.
    """
    datum = _encode("http", value)
    if datum.type == "string":
        return HttpReply(200, [("content-type", "text/plain; charset=utf-8")], datum.value.encode())
    headers = [(name, text.value) for name, text in datum.value["headers"].items()]
    for cookie in datum.value.get("cookies") or ():
        headers += _set_cookies(cookie)
    return HttpReply(int(datum.value["status_code"].value), headers, datum.value["body"].value)


def queue_bodies(value: Any) -> list[str]:
    """Turn what a `queue` output got into message bodies: one for a value, one each for a list.

    Raises:
        ConversionError: The binding takes no such value.
    """
    datum = _encode("queue", value)
    if datum.type == "string":
        return [datum.value]
    if datum.type == "bytes":
        try:
            return [datum.value.decode()]
        except UnicodeDecodeError as error:
            raise ConversionError(f"a queue message must be UTF-8 text: {error}") from error
    content = json.loads(datum.value)
    return [_body_of(item) for item in content] if isinstance(content, list) else [_body_of(content)]


def _body_of(item: Any) -> str:
    return item if isinstance(item, str) else str(item["body"])


def _set_cookies(cookie: SimpleCookie) -> list[tuple[str, str]]:
    return [("set-cookie", morsel.OutputString()) for morsel in cookie.values()]


def _converters() -> Any:
    return func.get_binding_registry()  # type: ignore[no-untyped-call]


def _decode(binding: str, datum: Datum, metadata: Mapping[str, Datum]) -> Any:
    return _converters().get(binding).decode(datum, trigger_metadata=metadata)


def _encode(binding: str, value: Any) -> Datum:
    try:
        datum: Datum = _converters().get(binding).encode(value, expected_type=None)
    except NotImplementedError as error:
        raise ConversionError(f"the {binding} output can't take a value of type {type(value).__name__}") from error
    return datum


def _string(value: str) -> Datum:
    return Datum(value, "string")


def _strings(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: _string(value) for name, value in values.items()}
