"""Hostile inputs, and a look at everything that a hub in memory holds."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from perdure.storage.memory import MemoryStorage

LARGE = "x" * 40_000
"""Too large to travel inside a row or a message: it is stored as a payload before anything refers to it."""

INJECTIONS = [
    "' or true or '",
    "x' or PartitionKey ge '",
    "') or (Kind eq 'orchestration",
    "abc' and Deleting eq true or 'a' eq 'a",
    "''",
    "%27 or 1 eq 1",
    "abc%' OR '1'='1",
    "abc\u2019 or true",
    "\\' or true or \\'",
    'x"; DROP TABLE instances; --',
    "x'); DELETE FROM instances; --",
    "a\x00' or true or '",
    "a\nb eq 'c",
    "datetime'2026-01-01T00:00:00Z'",
]
"""Texts that end a quoted text of a filter or a statement, and go on with conditions of their own."""

PATHS = [
    *("../abc", "..", ".", "abc/../abd", "abc/", "/abc", "//abc"),
    *("abc\\..\\abd", "%2e%2e%2fabc", "abc%00", "C:\\abc"),
]
"""Texts that mean something to file systems and URLs."""

NO_TEXTS: list[Any] = [None, 5, 1.5, True, b"abc", ["abc"], {"abc": 1}, object()]
"""What stands where a text belongs."""

SURROGATES = ["\ud800", "abc\udfff", "\udc00\ud800"]
"""Halves of characters: Python has such texts, no storage takes them."""

texts = st.text(st.characters(codec=None, exclude_categories=[]), max_size=300)
"""Texts of any kind, lone surrogates and control characters among them."""


def nested(depth: int) -> Any:
    """Return a list in a list in a list ..."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def contents(storage: MemoryStorage) -> Any:
    """Return all that a hub in memory and its queues hold, to be compared with what they hold later."""
    here = storage._here
    queues = {
        name: [(message.body, message.visible_at) for message in messages.values()]
        for name, messages in storage._store.queues.items()
    }
    return copy.deepcopy((here.rows, here.segments, here.payloads, queues))
