"""Rules for the names that travel through storage, and the names of functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

INSTANCE_ID_LIMIT = 256
TAGS_LIMIT = 8_000
"""Characters that all tags of an instance or activity may have together, as JSON writes them: a control character, for
one, as six. They share one property of a table row, which takes 32 Ki of UTF-16."""
MOST_TAGS = 1_000


def check_instance_id(instance_id: object) -> str:
    """Return the id if it is one: 1 to 256 characters of any kind but lone surrogates. Raises ValueError."""
    if not isinstance(instance_id, str):
        raise TypeError(f"an instance id is a text, not {type(instance_id).__name__}")
    if not 1 <= len(instance_id) <= INSTANCE_ID_LIMIT:
        raise ValueError(f"an instance id has 1 to {INSTANCE_ID_LIMIT} characters, not {len(instance_id)}")
    return check_text(instance_id, "an instance id")


def check_text(text: object, what: str, limit: int = 1_000) -> str:
    """Return the text if it can be stored: at most `limit` characters, no lone surrogates."""
    if not isinstance(text, str):
        raise TypeError(f"{what} is a text, not {type(text).__name__}")
    if len(text) > limit:
        raise ValueError(f"{what} has at most {limit} characters, not {len(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} holds a lone surrogate, which is no character: {text!a}") from None
    return text


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags if they can be stored. Raises TypeError for what is no text, ValueError for too much of it."""
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags are a dictionary of texts, not {type(tags).__name__}")
    checked = {check_text(key, "a tag"): check_text(value, f"tag '{key}'") for key, value in tags.items()}
    if len(checked) > MOST_TAGS:
        raise ValueError(f"there are {len(checked)} tags: {MOST_TAGS} are allowed")
    size = sum(_written(key) + _written(value) for key, value in checked.items())
    if size > TAGS_LIMIT:
        raise ValueError(f"the tags have {size} characters in all: {TAGS_LIMIT} are allowed")
    return checked


def _written(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False)) - 2


def name_of(function: str | Callable[..., Any], what: str) -> str:
    """Return the registered name of a function given by name or as the decorated function itself."""
    if isinstance(function, str):
        described = f"the name of an {what}" if what[0] in "aeiou" else f"the name of a {what}"
        if not function:
            raise ValueError(f"{described} can't be empty")
        return check_text(function, described)
    name = getattr(function, "durable_name", None) or getattr(function, "__name__", None)
    if isinstance(name, str):
        return name
    raise TypeError(f"{what}: give its name or the decorated function, not {type(function).__name__}")
