"""The primitives a provider offers. Two do: `sqlite` and `azure`; both pass tests/storage.

Every method may raise `StorageUnavailable` when the store can't be reached or throttles for longer than the
provider's own retries; the effect is then unknown, and the caller may try again.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from perdure.errors import PerdureError
from perdure.storage.rows import (
    Instance,
    InstanceQuery,
    Page,
    PayloadPage,
    QueueMessage,
    Row,
    RowUpdate,
    SentMessage,
)


class StorageError(PerdureError):
    """Root of what a provider raises."""


class Conflict(StorageError):
    """The condition of a write did not hold when it was last tried.

    A transport that retries may have succeeded at an earlier try whose answer was lost: look for your own commit
    id in the row before concluding that somebody else wrote it.
    """


class PayloadMissing(StorageError):
    """The payload does not exist: its instance was purged, or somebody deleted it by hand."""


class PayloadDamaged(PayloadMissing):
    """The payload is there, but its bytes are not those that were stored: it is as good as gone."""


class QueueMissing(StorageError):
    """The queue does not exist: nobody created it, or somebody deleted it."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"The queue {queue!r} does not exist: create it first, or check its name.")


class StorageUnavailable(StorageError):
    """The store can't be reached, refuses the credentials, or throttles."""


class Rows(Protocol):
    """One row per instance, changed only under a condition.

    Whatever returns a row raises `StoredDataError` if somebody has damaged its columns; `query` leaves such rows out,
    and the log tells of them.
    """

    async def insert(self, row: Row) -> str:
        """Store a new row and return its etag. Raises `Conflict` if the instance id has a row."""

    async def read(self, instance_id: str) -> Row | None:
        """Return the whole row, or None. Rows marked `deleting` are returned too."""

    async def read_instance(self, instance_id: str) -> Instance | None:
        """Return only the columns (cheaper: no tail travels), or None. `deleting` ones are returned too."""

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        """Apply `update` if the row still has this etag; return the new etag. Raises `Conflict`."""

    async def replace(self, row: Row) -> str:
        """Overwrite the row if it still has `row.etag`; return the new etag. Raises `Conflict`."""

    async def delete(self, instance_id: str, etag: str) -> None:
        """Delete the row if it still has this etag. Raises `Conflict` if it changed; a missing row is fine."""

    async def query(self, query: InstanceQuery, *, top: int = 100, continuation: str | None = None) -> Page:
        """List instances, at most `top` (1 to 1,000) a page. Raises ValueError for a foreign continuation."""


class Segments(Protocol):
    """Immutable pieces of sealed history. A segment no row names is garbage."""

    async def put_segment(self, instance_id: str, name: str, data: bytes) -> None:
        """Store a segment of any size. Putting the same name again overwrites it. `name`: `[0-9A-Za-z-]`."""

    async def get_segments(self, instance_id: str, names: list[str]) -> list[bytes]:
        """Return the named segments in the order asked for.

        Raises:
            PayloadMissing: one does not exist; or it can't be decompressed (`PayloadDamaged`).
        """

    async def list_segments(self, instance_id: str) -> list[str]:
        """Return the names of all segments stored for the instance, sorted."""

    async def delete_segments(self, instance_id: str, names: list[str]) -> None:
        """Delete the named segments; missing ones are fine."""


class Payloads(Protocol):
    """Values too large for a row or a message, stored under the instance that they belong to."""

    async def put_payload(self, instance_id: str, payload_id: str, data: bytes) -> None:
        """Store a payload (0 B to 100 MiB), compressed where that helps. `payload_id`: `[0-9A-Za-z-]`."""

    async def add_payload(self, instance_id: str, payload_id: str, data: bytes) -> bool:
        """Store a payload unless there is one of this id; False if there is, and it is left as it is.

        A transport that retries may have succeeded at an earlier try whose answer was lost, and then False is the
        answer to a write of one's own: who must know puts something into `data` that no other writer has, and compares.
        """

    async def get_payload(self, instance_id: str, payload_id: str) -> bytes:
        """Return the payload. Raises `PayloadMissing`, or `PayloadDamaged` if it can't be decompressed."""

    async def list_payloads(self, instance_id: str, prefix: str = "") -> list[str]:
        """Return the ids of the payloads stored for exactly this instance that begin with `prefix`, sorted.

        `prefix`: `[0-9A-Za-z-]`, or empty for all.
        """

    async def list_all_payloads(self, *, top: int = 5_000, continuation: str | None = None) -> PayloadPage:
        """List the payloads of all instances, of those without a row too, at most `top` (1 to 5,000) a page.

        Raises ValueError for a foreign continuation.
        """

    async def delete_payloads(self, instance_id: str, payload_ids: list[str]) -> None:
        """Delete the named payloads of this instance; missing ones are fine."""


class Queues(Protocol):
    """Queues by their full name: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, 3 to 63 characters (Azure's rule).

    Where a queue is named that does not exist, `send`, `receive`, `peek` and `queue_length` raise `QueueMissing`.
    """

    max_message_bytes: int
    """Largest body that `send` takes, in bytes of UTF-8 (48 KiB on Azure: 64 KiB after base64)."""

    async def create_queue(self, queue: str) -> None:
        """Create the queue; an existing one is fine."""

    async def delete_queue(self, queue: str) -> None:
        """Delete the queue with all its messages; a missing one is fine."""

    async def send(self, queue: str, body: str, *, delay: float = 0) -> SentMessage:
        """Add a message that becomes visible after `delay` seconds and never expires.

        `delay`: 0 to 7 days; Azure rounds up to whole seconds. The receipt returned is valid until the message is
        first received.
        """

    async def receive(self, queue: str, *, count: int, invisibility: float) -> list[QueueMessage]:
        """Take up to `count` (1 to 32) visible messages and hide them for `invisibility` seconds."""

    async def extend(self, queue: str, message_id: str, receipt: str, *, invisibility: float) -> str | None:
        """Hide the message for `invisibility` seconds from now; 0 makes it visible at once.

        Returns the new receipt, or None if the receipt is stale or the message gone.
        """

    async def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        """Delete the message; False if the receipt is stale or the message gone. Never raises for those."""

    async def peek(self, queue: str, *, count: int) -> list[QueueMessage]:
        """Return up to `count` (1 to 32) visible messages as they are, without a receipt: this is no delivery."""

    async def queue_length(self, queue: str) -> int:
        """Number of messages in the queue, visible or not (exact on SQLite, approximate on Azure)."""

    async def close(self) -> None:
        """Give back connections; the object can't be used afterwards."""


@runtime_checkable
class Notifies(Protocol):
    """What some providers offer besides, so that a pump need not poll fast: ask with `isinstance`."""

    async def wait_for_message(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting is its purpose
        """Return once the queue has a visible message, at the latest after `timeout` seconds.

        Sees at once what this process sends to the same store, and within about a second what another one does.
        """


@runtime_checkable
class NotifiesOfSends(Protocol):
    """What providers offer besides that can only tell of what this process sends."""

    async def wait_for_send(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - as above
        """Return once this process has sent a message without delay to the queue, or shown one again at once, since
        the last call, whichever of its objects it used; after `timeout` seconds at the latest.
        """


@runtime_checkable
class NotifiesOfChanges(Protocol):
    """What a storage in memory may offer besides, so that nobody need poll for changes of rows."""

    async def wait_for_change(self, timeout: float | None) -> None:  # noqa: ASYNC109 - as above
        """Return once a row has changed; after `timeout` seconds at the latest, if that is not None."""


class Storage(Rows, Segments, Payloads, Queues, Protocol):
    """A task hub's storage."""

    hub: str

    async def create(self) -> None:
        """Create the hub's tables and container if they don't exist. Idempotent, safe from several processes."""

    async def destroy(self) -> None:
        """Delete the hub's tables and container with everything in them (not its queues)."""
