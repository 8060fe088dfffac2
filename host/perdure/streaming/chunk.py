"""Chunks: the payloads that a stream consists of, their names and what is in them.

A stream's chunks are numbered from 0 without gaps, and each number is given once. Who adds a chunk has seen all before
it; so a chunk is never added after one that shuts its writer out, and what is stored is what readers are to get.
"""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec

from perdure.core.data import to_json
from perdure.core.naming import check_text
from perdure.errors import StoredDataError

NAME_LIMIT = 64
MAX_ITEM_BYTES = 1024 * 1024
"""Of one item, as JSON."""
MAX_RESULT_BYTES = 16 * 1024 * 1024
"""Of what a step or a stream ends with, as JSON."""
MESSAGE = "message"
"""The event of items that are given none: the one that `EventSource.onmessage` hears."""
RESTART = "restart"
END = "end"
ANY_STREAM = "stream-"
"""How the names of all payloads begin that belong to streams."""

_NAME = re.compile(rf"[0-9A-Za-z-]{{1,{NAME_LIMIT}}}")
_EVENT = re.compile(r"[0-9A-Za-z._:-]{1,64}")
_CHUNK = re.compile(r"[0-9]{8,}")
_MARK = re.compile(r"s([0-9a-f]{12})-([0-9]{4,})")


class StoredItem(msgspec.Struct, frozen=True, array_like=True):
    """One item."""

    event: str
    data: str
    """JSON text."""


class StoredEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of the stream."""

    result: str | None = None
    """JSON text."""
    error: str | None = None


class Chunk(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one request stores."""

    writer: str
    """Names the writer; no two have the same."""
    no: int
    """Of the writer's own chunks."""
    step: str
    attempt: int
    begins: bool = False
    """The attempt's first."""
    superseded: int = 0
    """How many items of the step, written by the attempt before, are void from here on."""
    items: list[StoredItem] = []
    done: bool = False
    """The step is finished: no other attempt will write."""
    result: str | None = None
    """What the step was finished with, as JSON text."""
    end: StoredEnd | None = None
    """Nothing comes after this chunk."""


class Mark(msgspec.Struct, frozen=True):
    """Stored when an attempt at a step begins to write: its number is taken, and where to look for earlier ones."""

    writer: str
    at: int
    """Number of the stream's next chunk then, or a lower one."""


_chunks = msgspec.json.Decoder(Chunk)
_marks = msgspec.json.Decoder(Mark)
encode = msgspec.json.encode


def decode_chunk(data: bytes, where: str) -> Chunk:
    """Read a chunk. Raises StoredDataError."""
    try:
        return _chunks.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoredDataError(f"{where} can't be read: {error}") from error


def decode_mark(data: bytes, where: str) -> Mark:
    """Read a mark. Raises StoredDataError."""
    try:
        return _marks.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoredDataError(f"{where} can't be read: {error}") from error


class Names:
    """The names of one stream's payloads.

    Args:
        life: tells streams of one execution of an instance from those of the next that has its id.
        name: the stream's.
    """

    def __init__(self, life: str, name: str) -> None:
        # with the name's length no stream's prefix begins another's
        self.prefix = f"{ANY_STREAM}{life}-{len(name):02}-{name}-"

    def chunk(self, number: int) -> str:
        """Return the name of a chunk."""
        return f"{self.prefix}{number:08}"

    def mark(self, step: str, attempt: int) -> str:
        """Return the name of the mark of an attempt at a step."""
        return f"{self.prefix}s{digest(step)}-{attempt:04}"

    def sort(self, payload_ids: list[str], step: str) -> tuple[int, list[int]]:
        """Return the number of the next chunk, and those of the attempts at a step, of a stream with these payloads."""
        own = digest(step)
        end, attempts = 0, []
        for payload_id in payload_ids:
            rest = payload_id.removeprefix(self.prefix)
            if _CHUNK.fullmatch(rest):
                end = max(end, int(rest) + 1)
            elif (mark := _MARK.fullmatch(rest)) and mark[1] == own:
                attempts.append(int(mark[2]))
        return end, sorted(attempts)


def digest(text: str) -> str:
    """Return 12 hexadecimal digits that stand for a text."""
    return sha256(text.encode()).hexdigest()[:12]


def check_stream_name(name: object) -> str:
    """Return the name if a stream can have it. Raises TypeError and ValueError."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a stream is a text, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a stream: use 1 to {NAME_LIMIT} of 0-9, A-Z, a-z and '-'")
    return name


def check_step(step: object) -> str:
    """Return the key of a step if it can be one. Raises TypeError and ValueError."""
    return check_text(step, "the key of a stream's step")


def item_of(event: str, data: object, stream: str) -> StoredItem:
    """Return an item as it is stored.

    Raises:
        DataError: it has no JSON form.
        ValueError: it is too large, or its event has a name that none can have.
    """
    if not isinstance(event, str) or not _EVENT.fullmatch(event) or event in (RESTART, END):
        raise ValueError(
            f"{event!r} can't name an event of a stream: use 1 to 64 of 0-9, A-Z, a-z and '._:-', but not "
            f"'{RESTART}' and '{END}', which mean something to readers"
        )
    return StoredItem(event, text_of(data, f"an item of stream '{stream}'", MAX_ITEM_BYTES))


def text_of(data: object, what: str, limit: int) -> str:
    """Return data as JSON text. Raises DataError if it has none, ValueError if that has more than `limit` bytes."""
    text = to_json(data, what)
    if len(text) > limit:
        raise ValueError(f"{what} has {len(text)} bytes of JSON, but {limit} are allowed: store it elsewhere")
    return text
