"""Messages as they are stored: the framework's own JSON form, without what says nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent_framework import AgentResponse, AgentResponseUpdate, Message

from perdure.streaming.chunk import MAX_ITEM_BYTES

_OURS = ("correlationId", "createdAt")
"""What stored messages have besides."""

_LARGEST_ITEM = MAX_ITEM_BYTES - 1024
_LONGEST_TEXT = _LARGEST_ITEM // 12
"""In characters: one that needs two escapes has twelve bytes in JSON."""


def dumped(message: Message) -> dict[str, Any]:
    """Return the JSON form of a message."""
    pruned: dict[str, Any] = _without_nothing(message.to_dict())
    pruned.pop("type", None)
    return pruned


def loaded(stored: Mapping[str, Any]) -> Message:
    """Return the message that was stored."""
    return Message.from_dict({"type": "message", **{key: stored[key] for key in stored if key not in _OURS}})


def all_loaded(stored: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Return the messages that were stored."""
    return [loaded(each) for each in stored]


def all_dumped(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the JSON forms of messages."""
    return [dumped(each) for each in messages]


def said_in(update: AgentResponseUpdate) -> list[dict[str, Any]]:
    """Return the items that readers of a turn's stream get of a piece of an answer; none if it says nothing."""
    contents = [part for part in update.contents if part.type != "usage"]
    if contents and all(part.type == "text" for part in contents):
        text = "".join(part.text or "" for part in contents)
        return [{"text": text[start : start + _LONGEST_TEXT]} for start in range(0, len(text) or 1, _LONGEST_TEXT)]
    told = [_without_nothing(part.to_dict()) for part in contents]
    if _size(told) <= _LARGEST_ITEM:
        return [{"contents": told}] if told else []
    return [{"contents": [fitting(part)]} for part in told]


def fitting(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a content, such as a tool's result, in a stream: all of it, or how much is left out of
    what one item of a stream can't hold.
    """
    size = _size(told)
    if size <= _LARGEST_ITEM:
        return told
    named = {
        key: told[key][:100] for key in ("name", "type", "call_id", "media_type") if isinstance(told.get(key), str)
    }
    return {**named, "omitted_bytes": size}


def _size(value: Any) -> int:
    return len(json.dumps(value))


def response_of(stored: Mapping[str, Any]) -> AgentResponse[Any]:
    """Return the response that a turn's result describes."""
    return AgentResponse(
        messages=all_loaded(stored.get("messages", [])),
        usage_details=stored.get("usage"),
        created_at=stored.get("completedAt"),
    )


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_nothing(each)
            for key, each in value.items()
            if not (key == "additional_properties" and not each) and not (key == "hosted" and each is False)
        }
    if isinstance(value, list):
        return [_without_nothing(each) for each in value]
    return value
