"""Messages as they are stored: the framework's own JSON form, without what says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent_framework import AgentResponse, AgentResponseUpdate, Message

_OURS = ("correlationId", "createdAt")
"""What stored messages have besides."""


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


def said_in(update: AgentResponseUpdate) -> dict[str, Any]:
    """Return what readers of a turn's stream get of a piece of an answer; nothing if it says nothing."""
    contents = [part for part in update.contents if part.type != "usage"]
    if contents and all(part.type == "text" for part in contents):
        return {"text": "".join(part.text or "" for part in contents)}
    return {"contents": [_without_nothing(part.to_dict()) for part in contents]} if contents else {}


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
