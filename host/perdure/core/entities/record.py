"""The record of an entity: everything that its row holds besides its state. One commit writes it whole."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from perdure.core.messages import AcquireLock, Completion, EntityRequest, Operate, ReleaseLock, Wake
from perdure.core.state import Parent
from perdure.core.streams import Flow

_KEY_BYTES = 8


class Lock(msgspec.Struct, frozen=True, array_like=True):
    """Whose critical section the entity belongs to at present."""

    id: str
    owner: Parent
    since: datetime


class Inflow(msgspec.Struct, array_like=True):
    """A stream as the entity knows it."""

    key: bytes
    """A digest of the stream's name: a busy entity remembers thousands."""
    next: int
    """The place that comes next; what is before it has been taken in."""
    at: int
    """When something came last, in seconds since 1970."""
    missing: list[int] = []
    """Places before `next` that nothing has come for in time; what comes late is still taken in."""


class Early(msgspec.Struct, frozen=True, array_like=True):
    """A request that has come before one that stands before it in its stream."""

    request: EntityRequest
    since: datetime
    hasty: bool = False
    """Its stream is likely to have been forgotten, so that it does not wait for long."""


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """The outcome of an operation, for the orchestration that waits for it."""

    to: Parent
    completion: Completion


class Begin(msgspec.Struct, frozen=True, array_like=True, tag="begin"):
    """An orchestration to start."""

    instance_id: str
    name: str
    execution_id: str
    input: str | None
    version: str | None = None
    start_at: datetime | None = None
    tags: dict[str, str] = {}


Send = Answer | Begin | Operate | AcquireLock | ReleaseLock | Wake
"""What a commit of an entity sends."""


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A commit and what it sends, if anything. A session sends it all before its next commit, so the last one of each
    session is enough.
    """

    commit: str
    session: str
    at: datetime
    sends: list[Send]


class Record(msgspec.Struct, array_like=True):
    """See the module."""

    lock: Lock | None = None
    queue: list[EntityRequest] = []
    """Taken in, in their order, and not carried out yet: they wait for a lock to be released, or for their turn."""
    early: list[Early] = []
    inflows: list[Inflow] = []
    outflows: dict[str, Flow] = {}
    sent: list[Sent] = []
    touched: datetime | None = None
    """When the last operation was performed."""
    wake: Wake | None = None
    """The message that is under way to have the entity look whether something is due."""
    wakes: int = 0
    streams: int = 0
    """How many streams it has begun."""


def stream_key(stream: str) -> bytes:
    """Return what an entity remembers a stream by."""
    return hashlib.blake2b(stream.encode(), digest_size=_KEY_BYTES).digest()
