"""Reading sessions that the Agent Framework's own Functions host has written: its schema 1.x.

There a transcript is a list of request and response entries; each has a correlation id, a time and messages, whose
contents say in `$type` what they are. Responses that were errors are not part of the conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_Content = Mapping[str, Any]


def is_foreign(stored: Any) -> bool:
    """Whether this is the framework's own state."""
    return isinstance(stored, Mapping) and str(stored.get("schemaVersion", "")).startswith("1.") and "data" in stored


def messages_of(stored: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the transcript as ours, and the number of turns in it."""
    messages: list[dict[str, Any]] = []
    turns = 0
    for entry in stored["data"].get("conversationHistory", []):
        if any(part.get("$type") == "error" for each in entry.get("messages", []) for part in each["contents"]):
            continue
        turns += entry.get("$type") == "response"
        messages += [_message(each, entry) for each in entry.get("messages", [])]
    return [each for each in messages if each["contents"]], turns


def _message(stored: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    parts = (_READERS[part["$type"]](part) for part in stored["contents"] if part.get("$type") in _READERS)
    message = {
        "role": stored.get("role", "user"),
        "contents": list(parts),
        "author_name": stored.get("authorName"),
        "correlationId": entry.get("correlationId"),
        "createdAt": stored.get("createdAt") or entry.get("createdAt"),
    }
    return {key: value for key, value in message.items() if value is not None}


def _text(part: _Content) -> dict[str, Any]:
    return {"type": "text", "text": part.get("text") or ""}


def _call(part: _Content) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": part["callId"],
        "name": part["name"],
        "arguments": part.get("arguments") or {},
    }


def _result(part: _Content) -> dict[str, Any]:
    return {"type": "function_result", "call_id": part["callId"], "result": part.get("result")}


def _link(part: _Content) -> dict[str, Any]:
    return {"type": "uri", "uri": part["uri"], "media_type": part.get("mediaType")}


def _data(part: _Content) -> dict[str, Any]:
    return {**_link(part), "type": "data"}


def _file(part: _Content) -> dict[str, Any]:
    return {"type": "hosted_file", "file_id": part["fileId"]}


def _vector_store(part: _Content) -> dict[str, Any]:
    return {"type": "hosted_vector_store", "vector_store_id": part["vectorStoreId"]}


_READERS: dict[str, Callable[[_Content], dict[str, Any]]] = {
    "text": _text,
    "functionCall": _call,
    "functionResult": _result,
    "uri": _link,
    "data": _data,
    "hostedFile": _file,
    "hostedVectorStore": _vector_store,
}
"""What a model may be given again. Reasoning, usage and unknown contents are left out, as that host does, too."""
