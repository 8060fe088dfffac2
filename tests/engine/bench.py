"""A bench for entities: workers whose messages are delivered by hand, in any order, as often as a test likes."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from perdure.core.codec import decode_message, decode_record, encode_message, segment_of_head
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entities.record import Record
from perdure.core.messages import AcquireLock, ControlMessage, Operate, ReleaseLock
from perdure.core.state import Parent
from perdure.core.streams import Place
from perdure.engine.hub import HubQueues
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.protocol import StorageUnavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNER = Parent("owner", "o.0", 0)
LARGE = "x" * 40_000


class Clock:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


def operate(
    operation: str, seq: int, value: Any = None, *, to: str = "@e@1", stream: str = "s", **more: Any
) -> Operate:
    place = Place(stream, seq)
    return Operate(to=to, id=str(place), place=place, operation=operation, input=json.dumps(value), **more)


def acquire(lock: str, seq: int = 0, *, to: str = "@e@1") -> AcquireLock:
    place = Place(lock, seq)
    return AcquireLock(to=to, id=str(place), place=place, lock=lock, entities=[to], position=0, owner=OWNER)


def release(lock: str, seq: int = 1, *, to: str = "@e@1") -> ReleaseLock:
    place = Place(lock, seq)
    return ReleaseLock(to=to, id=str(place), place=place, lock=lock)


class Bench:
    """One hub and its workers, which all have the entity `e`."""

    def __init__(self, function: Any, **settings: Any) -> None:
        self._store = MemoryStore()
        self._store.queues = {queue: {} for queue in HubQueues("bench", 1).all}
        self.storage = MemoryStorage("bench", store=self._store)
        self.clock = Clock()
        self.registry = Registry()
        self.registry.entities.add("e", EntityDefinition(function))
        self._settings = EngineSettings(**settings)
        self._numbers = itertools.count()

    def worker(self, storage: Any = None) -> Worker:
        return Worker(
            storage or self.storage,
            self.registry,
            self._settings,
            clock=self.clock,
            new_id=lambda: f"id{next(self._numbers)}",
        )

    async def deliver(
        self, worker: Worker, message: ControlMessage, *, queue_id: str | None = None, count: int = 1
    ) -> None:
        """Deliver a message, and wait until it is acknowledged."""
        await asyncio.wait_for(
            worker.handle_control(encode_message(message), queue_id or f"q-{message.id}", count), timeout=5
        )

    def taken(self) -> list[Any]:
        """Return what has been queued, due or not, and take it out of the queues."""
        found = [decode_message(each.body) for queue in self._store.queues.values() for each in queue.values()]
        for queue in self._store.queues.values():
            queue.clear()
        return found

    async def record(self, entity: str = "@e@1") -> Record | None:
        row = await self.storage.read(entity)
        if row is None:
            return None
        name = segment_of_head(row.head)
        return decode_record(row.head if name is None else (await self.storage.get_segments(entity, [name]))[0])

    async def state(self, worker: Worker, entity: str = "@e@1") -> Any:
        instance = await self.storage.read_instance(entity)
        assert instance is not None
        text = await worker.payloads.text(entity, instance.output)
        return None if text is None else json.loads(text)


class Deaf:
    """A storage that takes no messages for a while."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.hears = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, queue: str, body: str, *, delay: float = 0) -> Any:
        if not self.hears:
            raise StorageUnavailable("nobody hears you")
        return await self._inner.send(queue, body, delay=delay)
