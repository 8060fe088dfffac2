"""How turns and messages are written: msgpack for history, a JSON array for what travels through queues."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from perdure.core.entities.record import Record
from perdure.core.history import EventRaised, Turn
from perdure.core.messages import ControlMessage, Overflow, WorkItem
from perdure.core.state import Parent
from perdure.core.streams import Flow
from perdure.errors import DataError, StoredDataError

Message = ControlMessage | WorkItem | Overflow

_COMPRESS_FROM = 256
"""Bytes from which compression pays for its CPU."""
_PLAIN, _DEFLATED, _ELSEWHERE = b"\x00", b"\x01", b"\x02"


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What only the first commit of a generation writes: the part of the state that is not history."""

    parent: Parent | None = None
    carried: list[Turn] = []
    waiting_events: list[EventRaised] = []
    suspended: bool = False
    flows: dict[str, Flow] = {}


_turns = msgspec.msgpack.Decoder(list[Turn])
_head = msgspec.msgpack.Decoder(Head)
_record = msgspec.msgpack.Decoder(Record)
_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode_turns(turns: Sequence[Turn]) -> bytes:
    """Write turns of history: one for a tail entry, many for a segment."""
    return _packed(msgspec.msgpack.encode(list(turns)))


def decode_turns(data: bytes) -> list[Turn]:
    """Read what `encode_turns` wrote. Raises StoredDataError if it is damaged."""
    try:
        return _turns.decode(_unpacked(data))
    except (msgspec.MsgspecError, zlib.error, ValueError, RecursionError) as error:
        raise StoredDataError(f"a piece of history can't be read: {error}") from error


def encode_head(head: Head) -> bytes:
    """Write the head of a row."""
    return _packed(msgspec.msgpack.encode(head))


def decode_head(data: bytes) -> Head:
    """Read what `encode_head` wrote. Raises StoredDataError if it is damaged."""
    try:
        return _head.decode(_unpacked(data)) if data else Head()
    except (msgspec.MsgspecError, zlib.error, ValueError, RecursionError) as error:
        raise StoredDataError(f"the head of a row can't be read: {error}") from error


def head_in_segment(name: str) -> bytes:
    """Return what stands in a row whose head is too large for it: the name of the segment that holds the head."""
    return _ELSEWHERE + name.encode()


def segment_of_head(data: bytes) -> str | None:
    """Return the name of the segment that holds a head, or None if these bytes are the head."""
    return data[1:].decode() if data[:1] == _ELSEWHERE else None


def encode_record(record: Record) -> bytes:
    """Write the record of an entity, which stands in its row where other instances have their head."""
    return _packed(msgspec.msgpack.encode(record))


def decode_record(data: bytes) -> Record:
    """Read what `encode_record` wrote. Raises StoredDataError if it is damaged."""
    try:
        return _record.decode(_unpacked(data))
    except (msgspec.MsgspecError, zlib.error, ValueError, RecursionError) as error:
        raise StoredDataError(f"the record of an entity can't be read: {error}") from error


def encode_message(message: Message) -> str:
    """Write a message as the text of a queue message."""
    return msgspec.json.encode(message).decode()


def decode_message(text: str) -> Message:
    """Read the text of a queue message. Raises DataError if it is none of ours."""
    try:
        return _message.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise DataError(f"a queue message can't be read as one of Perdure's: {error}") from error


def _packed(data: bytes) -> bytes:
    if len(data) < _COMPRESS_FROM:
        return _PLAIN + data
    return _DEFLATED + zlib.compress(data, 1)


def _unpacked(data: bytes) -> bytes:
    kind, rest = data[:1], data[1:]
    if kind == _PLAIN:
        return rest
    if kind == _DEFLATED:
        return zlib.decompress(rest)
    raise ValueError(f"unknown encoding {kind!r}")
