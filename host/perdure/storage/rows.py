"""What providers store: the row of an instance, its changes, and queue messages.

A provider knows nothing of orchestrations. It keeps the queryable columns as columns and everything
else as the opaque bytes it was given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from perdure.errors import StoredDataError

T = TypeVar("T")

_log = logging.getLogger("perdure.storage")

Kind = Literal["orchestration", "entity"]


class Instance(msgspec.Struct, kw_only=True):
    """The columns of an instance's row: everything a status query answers.

    `input`, `output` and `custom_status` hold JSON text, or a reference to a payload (see
    `perdure.core.data`), or None when absent. At most 30 KiB each, ASCII only.
    """

    instance_id: str
    """1 to 256 characters, any Unicode without lone surrogates."""
    name: str
    execution_id: str
    status: str
    """A `perdure.core.status.Status` value. The provider only compares it."""
    created_at: datetime
    """Times are aware, in UTC, and survive a round trip to the microsecond."""
    updated_at: datetime
    commit: str = ""
    """Id of the last commit that wrote this row."""
    kind: Kind = "orchestration"
    version: str | None = None
    generation: int = 0
    completed_at: datetime | None = None
    start_at: datetime | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    failure: str | None = None
    """JSON of the failure that ended the instance."""
    reason: str | None = None
    """Why the instance makes no progress (blocked, a parked message), for people."""
    parent_id: str | None = None
    tags: dict[str, str] = {}
    deleting: bool = False
    """Going: readers must see nothing; whoever meets it may finish the deletion."""


def instance_of(instance_id: str, read: Callable[[], dict[str, Any]]) -> Instance:
    """Return the instance whose columns `read` returns. Raises StoredDataError if somebody has damaged them."""
    try:
        return msgspec.convert(read(), Instance)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise StoredDataError(f"the row of instance '{instance_id}' is damaged: {error}") from error


def readable(rows: Iterable[T], read: Callable[[T], Instance]) -> list[Instance]:
    """Return the instances of rows; damaged ones are left out, and the log tells of them."""
    found: list[Instance] = []
    for row in rows:
        try:
            found.append(read(row))
        except StoredDataError as error:
            _log.error("left out of a list: %s", error)
    return found


class Row(msgspec.Struct, kw_only=True):
    """An instance's row: its columns, the names of its segments, and the tail of its history."""

    instance: Instance
    head: bytes = b""
    """Engine-private state that only a whole-row write changes. At most 60 KiB."""
    segments: list[str] = []
    """Names of the sealed segments that hold the older history, oldest first."""
    tail: list[bytes] = []
    """The most recent history, one entry a commit, oldest first. An entry has at most 60 KiB."""
    etag: str = ""
    """Version of the stored row; empty before it is stored."""


class RowUpdate(msgspec.Struct, kw_only=True):
    """The change one commit makes: columns to set (UNSET leaves them) and one tail entry to add."""

    updated_at: datetime
    commit: str
    turn: bytes | None = None
    """The tail entry to add, at most 60 KiB; None adds none."""
    tail_index: int = 0
    """Number of tail entries the row has already: the place of the new one."""
    status: str | UnsetType = UNSET
    completed_at: datetime | UnsetType | None = UNSET
    output: str | UnsetType | None = UNSET
    custom_status: str | UnsetType | None = UNSET
    failure: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET
    version: str | UnsetType | None = UNSET
    deleting: bool | UnsetType = UNSET


class InstanceQuery(msgspec.Struct, kw_only=True, frozen=True):
    """Which instances to list. All conditions must hold; an empty one always does."""

    kind: Kind = "orchestration"
    id_prefix: str = ""
    """Matched exactly and case-sensitively, whatever characters it holds."""
    statuses: tuple[str, ...] = ()
    created_from: datetime | None = None
    """Inclusive."""
    created_to: datetime | None = None
    """Inclusive."""
    updated_from: datetime | None = None
    """Inclusive."""
    updated_to: datetime | None = None
    """Inclusive."""
    tags: dict[str, str] = {}
    """Tags that it has, with these values."""

    @property
    def bounds(self) -> list[tuple[str, str, datetime]]:
        """The bounds in time that are given: column, "ge" or "le", time."""
        given = (
            ("created_at", "ge", self.created_from),
            ("created_at", "le", self.created_to),
            ("updated_at", "ge", self.updated_from),
            ("updated_at", "le", self.updated_to),
        )
        return [(column, comparison, time) for column, comparison, time in given if time is not None]

    def matches(self, instance: Instance) -> bool:
        """Whether `instance` is to be listed: it meets all conditions and is not going."""
        return (
            not instance.deleting
            and instance.kind == self.kind
            and instance.instance_id.startswith(self.id_prefix)
            and (not self.statuses or instance.status in self.statuses)
            and (self.created_from is None or instance.created_at >= self.created_from)
            and (self.created_to is None or instance.created_at <= self.created_to)
            and (self.updated_from is None or instance.updated_at >= self.updated_from)
            and (self.updated_to is None or instance.updated_at <= self.updated_to)
            and all(instance.tags.get(name) == value for name, value in self.tags.items())
        )


class Page(msgspec.Struct, kw_only=True):
    """One page of a query. A page may hold fewer rows than asked for, even none, and not be the last."""

    instances: list[Instance]
    """In a stable order; rows marked `deleting` are left out."""
    continuation: str | None = None
    """Opaque; None on the last page."""


class PayloadPage(msgspec.Struct, kw_only=True):
    """Some of a hub's payloads. A page may hold fewer than asked for, even none, and not be the last."""

    payloads: list[tuple[str, str]]
    """Instance id and payload id of each, in a stable order; those of one instance stand together."""
    continuation: str | None = None
    """Opaque; None on the last page."""


class QueueMessage(msgspec.Struct, kw_only=True):
    """A message as received: invisible to others until its invisibility expires."""

    message_id: str
    receipt: str
    """Proof of the last delivery; a later delivery or extension makes it stale."""
    body: str
    dequeue_count: int


class SentMessage(msgspec.Struct, kw_only=True, frozen=True):
    """What `send` gives back: enough to delete or extend the message without receiving it."""

    message_id: str
    receipt: str
