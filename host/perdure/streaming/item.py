"""What readers get, and the cursor that says how far they have come."""

from __future__ import annotations

import re
from typing import Any, Self

import msgspec

_CURSOR = re.compile(r"([0-9a-z]{1,16})\.([0-9]{1,12})\.([0-9]{1,12})(\.end)?")


class StreamItem(msgspec.Struct, frozen=True):
    """One item of a stream."""

    cursor: str
    """Where a reader goes on that has had this item; valid for as long as the stream exists."""
    event: str
    """What its writer called it, `message` unless it said otherwise; or `restart`: a step is written anew, and the
    last `data["superseded"]` items of it are void; or `end`: nothing follows."""
    data: Any
    """The JSON value. Of an `end`: `status`, which is completed, failed, terminated, canceled or deleted, and `result`
    or `error`."""
    step: str = ""
    """The key of the step that wrote it."""


class StreamPage(msgspec.Struct, frozen=True):
    """What one read brings."""

    items: list[StreamItem]
    cursor: str
    """Where the next read goes on; valid for as long as the stream exists."""
    ended: bool
    """Nothing follows: the last item, of this read or an earlier one, was the `end`."""


class Position(msgspec.Struct, frozen=True):
    """A cursor, read."""

    life: str
    """See `Names`."""
    chunk: int = 0
    index: int = 0
    """Items of that chunk that the reader has had."""
    told: bool = False
    """The reader has been told that nothing follows, without the stream itself saying so."""

    @classmethod
    def parse(cls, cursor: object) -> Self:
        """Read a cursor. Raises ValueError for what is none."""
        match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
        if match is None:
            raise ValueError(f"{cursor!r} is no cursor of a stream: use what a read has returned, or none at all")
        return cls(match[1], int(match[2]), int(match[3]), match[4] is not None)

    def __str__(self) -> str:
        return f"{self.life}.{self.chunk}.{self.index}{'.end' if self.told else ''}"
