"""A hub in plain dictionaries: deterministic, without threads or I/O. Simulations and unit tests stand on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import UNSET, structs

from perdure.storage.continuation import read_continuation, write_continuation
from perdure.storage.limits import (
    check_body,
    check_delay,
    check_hub,
    check_part,
    check_payload_page,
    check_prefix,
    check_query,
    check_queue,
    check_receive,
    check_row,
    check_update,
)
from perdure.storage.protocol import Conflict, PayloadMissing, QueueMissing
from perdure.storage.rows import Instance, InstanceQuery, Page, PayloadPage, QueueMessage, Row, RowUpdate, SentMessage
from perdure.storage.wakeups import Wakeups

_MAX_MESSAGE_BYTES = 48 * 1024
_CHANGEABLE = tuple(name for name in RowUpdate.__struct_fields__ if name not in ("turn", "tail_index"))


@dataclass(slots=True)
class _Message:
    number: int
    body: str
    visible_at: float
    receipt: str
    dequeue_count: int = 0


@dataclass(slots=True)
class _Hub:
    rows: dict[str, Row] = field(default_factory=dict)
    segments: dict[tuple[str, str], bytes] = field(default_factory=dict)
    payloads: dict[tuple[str, str], bytes] = field(default_factory=dict)


class MemoryStore:
    """What several `MemoryStorage` objects share: an account, so to speak, with its hubs and queues."""

    def __init__(self) -> None:
        self.hubs: dict[str, _Hub] = {}
        self.queues: dict[str, dict[str, _Message]] = {}
        self.wakeups = Wakeups()
        self._last = 0

    def next_number(self) -> int:
        """Return 1, 2, 3 ...: etags, message ids and receipts, the same in every run."""
        self._last += 1
        return self._last


class MemoryStorage:
    """`Storage` for one hub in `store` (its own if None). `clock` returns seconds since 1970.

    Every call takes effect at once, without giving way to other tasks. Values are copied on their way in and out.
    """

    max_message_bytes = _MAX_MESSAGE_BYTES

    def __init__(self, hub: str, *, store: MemoryStore | None = None, clock: Callable[[], float] = time.time) -> None:
        check_hub(hub)
        self.hub = hub
        self._store = store or MemoryStore()
        self._clock = clock

    @property
    def _here(self) -> _Hub:
        return self._store.hubs.setdefault(self.hub.lower(), _Hub())

    async def create(self) -> None:
        self._store.hubs.setdefault(self.hub.lower(), _Hub())

    async def destroy(self) -> None:
        self._store.hubs.pop(self.hub.lower(), None)

    async def close(self) -> None:
        return

    async def insert(self, row: Row) -> str:
        check_row(row)
        instance_id = row.instance.instance_id
        if instance_id in self._here.rows:
            raise Conflict(f"The instance {instance_id!r} exists already.")
        return self._put_row(row)

    async def read(self, instance_id: str) -> Row | None:
        row = self._here.rows.get(instance_id)
        return None if row is None else _copy_row(row)

    async def read_instance(self, instance_id: str) -> Instance | None:
        row = self._here.rows.get(instance_id)
        return None if row is None else _copy_instance(row.instance)

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        check_update(instance_id, update)
        row = self._held(instance_id, etag)
        if update.turn is not None:
            if update.tail_index != len(row.tail):
                raise ValueError(
                    f"the tail of {instance_id!r} has {len(row.tail)} entries: no place {update.tail_index}"
                )
            row.tail.append(update.turn)
        for name in _CHANGEABLE:
            value = getattr(update, name)
            if value is not UNSET:
                setattr(row.instance, name, value)
        row.etag = str(self._store.next_number())
        return row.etag

    async def replace(self, row: Row) -> str:
        check_row(row)
        self._held(row.instance.instance_id, row.etag)
        return self._put_row(row)

    async def delete(self, instance_id: str, etag: str) -> None:
        if instance_id in self._here.rows:
            self._held(instance_id, etag)
            del self._here.rows[instance_id]

    async def query(self, query: InstanceQuery, *, top: int = 100, continuation: str | None = None) -> Page:
        check_query(query, top)
        origin = f"memory:{self.hub.lower()}"
        after = read_continuation(origin, continuation)[0] if continuation is not None else ""
        found = sorted(
            instance_id
            for instance_id, row in self._here.rows.items()
            if instance_id > after and query.matches(row.instance)
        )
        instances = [_copy_instance(self._here.rows[instance_id].instance) for instance_id in found[:top]]
        if len(found) <= top:
            return Page(instances=instances)
        return Page(instances=instances, continuation=write_continuation(origin, [found[top - 1]]))

    async def put_segment(self, instance_id: str, name: str, data: bytes) -> None:
        check_part(name)
        self._here.segments[instance_id, name] = bytes(data)

    async def get_segments(self, instance_id: str, names: list[str]) -> list[bytes]:
        return [_get(self._here.segments, instance_id, name) for name in names]

    async def list_segments(self, instance_id: str) -> list[str]:
        return sorted(name for owner, name in self._here.segments if owner == instance_id)

    async def delete_segments(self, instance_id: str, names: list[str]) -> None:
        for name in names:
            self._here.segments.pop((instance_id, name), None)

    async def put_payload(self, instance_id: str, payload_id: str, data: bytes) -> None:
        check_part(payload_id)
        self._here.payloads[instance_id, payload_id] = bytes(data)

    async def add_payload(self, instance_id: str, payload_id: str, data: bytes) -> bool:
        check_part(payload_id)
        added = bytes(data)
        return self._here.payloads.setdefault((instance_id, payload_id), added) is added

    async def get_payload(self, instance_id: str, payload_id: str) -> bytes:
        return _get(self._here.payloads, instance_id, payload_id)

    async def list_payloads(self, instance_id: str, prefix: str = "") -> list[str]:
        check_prefix(prefix)
        return sorted(
            payload_id
            for owner, payload_id in self._here.payloads
            if owner == instance_id and payload_id.startswith(prefix)
        )

    async def list_all_payloads(self, *, top: int = 5_000, continuation: str | None = None) -> PayloadPage:
        check_payload_page(top)
        origin = f"memory-payloads:{self.hub.lower()}"
        after = read_continuation(origin, continuation, 2) if continuation is not None else ["", ""]
        found = sorted(key for key in self._here.payloads if key > (after[0], after[1]))
        if len(found) <= top:
            return PayloadPage(payloads=found)
        return PayloadPage(payloads=found[:top], continuation=write_continuation(origin, [*found[top - 1]]))

    async def delete_payloads(self, instance_id: str, payload_ids: list[str]) -> None:
        for payload_id in payload_ids:
            self._here.payloads.pop((instance_id, payload_id), None)

    async def create_queue(self, queue: str) -> None:
        check_queue(queue)
        self._store.queues.setdefault(queue, {})

    async def delete_queue(self, queue: str) -> None:
        self._store.queues.pop(queue, None)

    async def send(self, queue: str, body: str, *, delay: float = 0) -> SentMessage:
        check_body(body, self.max_message_bytes)
        check_delay(delay)
        number = self._store.next_number()
        message = _Message(number, body, self._clock() + delay, self._new_receipt())
        self._messages(queue)[f"message-{number}"] = message
        self._store.wakeups.signal(queue)
        return SentMessage(message_id=f"message-{number}", receipt=message.receipt)

    async def receive(self, queue: str, *, count: int, invisibility: float) -> list[QueueMessage]:
        check_receive(count, invisibility)
        now = self._clock()
        received = []
        for message_id, message in self._visible(queue, count):
            message.visible_at = now + invisibility
            message.receipt = self._new_receipt()
            message.dequeue_count += 1
            received.append(
                QueueMessage(
                    message_id=message_id,
                    receipt=message.receipt,
                    body=message.body,
                    dequeue_count=message.dequeue_count,
                )
            )
        return received

    async def extend(self, queue: str, message_id: str, receipt: str, *, invisibility: float) -> str | None:
        check_delay(invisibility)
        message = self._store.queues.get(queue, {}).get(message_id)
        if message is None or message.receipt != receipt:
            return None
        message.visible_at = self._clock() + invisibility
        message.receipt = self._new_receipt()
        self._store.wakeups.signal(queue)
        return message.receipt

    async def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        messages = self._store.queues.get(queue, {})
        message = messages.get(message_id)
        if message is None or message.receipt != receipt:
            return False
        del messages[message_id]
        return True

    async def peek(self, queue: str, *, count: int) -> list[QueueMessage]:
        check_receive(count, 0)
        return [
            QueueMessage(message_id=message_id, receipt="", body=message.body, dequeue_count=message.dequeue_count)
            for message_id, message in self._visible(queue, count)
        ]

    async def queue_length(self, queue: str) -> int:
        return len(self._messages(queue))

    async def wait_for_message(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting is its purpose
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        with self._store.wakeups.listen(queue) as waiter:
            while True:
                due = min((m.visible_at for m in self._messages(queue).values()), default=None)
                left = deadline - loop.time()
                until_due = left if due is None else due - self._clock()
                if left <= 0 or until_due <= 0:
                    return
                await waiter.wait(min(left, until_due))

    def _visible(self, queue: str, count: int) -> list[tuple[str, _Message]]:
        now = self._clock()
        visible = [each for each in self._messages(queue).items() if each[1].visible_at <= now]
        return sorted(visible, key=lambda each: (each[1].visible_at, each[1].number))[:count]

    def _put_row(self, row: Row) -> str:
        stored = _copy_row(row)
        stored.etag = str(self._store.next_number())
        self._here.rows[row.instance.instance_id] = stored
        return stored.etag

    def _held(self, instance_id: str, etag: str) -> Row:
        row = self._here.rows.get(instance_id)
        if row is None or row.etag != etag:
            raise Conflict(f"The instance {instance_id!r} was changed or deleted by somebody else.")
        return row

    def _messages(self, queue: str) -> dict[str, _Message]:
        messages = self._store.queues.get(queue)
        if messages is None:
            raise QueueMissing(queue)
        return messages

    def _new_receipt(self) -> str:
        return f"receipt-{self._store.next_number()}"


def _copy_instance(instance: Instance) -> Instance:
    return structs.replace(instance, tags=dict(instance.tags))


def _copy_row(row: Row) -> Row:
    return structs.replace(row, instance=_copy_instance(row.instance), segments=list(row.segments), tail=list(row.tail))


def _get(pieces: dict[tuple[str, str], bytes], instance_id: str, name: str) -> bytes:
    try:
        return pieces[instance_id, name]
    except KeyError:
        raise PayloadMissing(f"{name!r} of {instance_id!r} does not exist: was the instance purged?") from None
