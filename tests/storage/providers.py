"""The stores that the conformance suite runs over, each with its own idea of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from perdure.storage.connection import resolve_connection
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.opening import open_storage
from perdure.storage.protocol import Storage
from perdure.storage.rows import Instance, QueueMessage, Row
from perdure.storage.sqlite import SqliteStorage

NOON = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)


class Provider:
    """A store: opens storages on it, and lets time pass for it."""

    def __init__(self, open_hub: Callable[[str], Storage], pass_time: Callable[[float], object]) -> None:
        self._open_hub = open_hub
        self._pass_time = pass_time
        self._opened: list[Storage] = []

    def open(self, hub: str) -> Storage:
        storage = self._open_hub(hub)
        self._opened.append(storage)
        return storage

    async def pass_time(self, seconds: float) -> None:
        passing = self._pass_time(seconds)
        if asyncio.iscoroutine(passing):
            await passing

    async def receive_soon(self, storage: Storage, queue: str, *, count: int = 1, invisibility: float = 30):
        """Receive as soon as something is visible; fail if nothing is for 20 seconds of the store's time."""
        for _ in range(200):
            if messages := await storage.receive(queue, count=count, invisibility=invisibility):
                return messages
            await self.pass_time(0.1)
        raise AssertionError(f"nothing arrived in {queue}")

    async def receive_one(self, storage: Storage, queue: str, *, invisibility: float = 30) -> QueueMessage:
        (message,) = await self.receive_soon(storage, queue, invisibility=invisibility)
        return message

    async def close(self) -> None:
        for storage in self._opened:
            await storage.close()


class VirtualTime:
    def __init__(self) -> None:
        self.now = NOON.timestamp()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def memory_provider() -> Provider:
    time, store = VirtualTime(), MemoryStore()
    return Provider(lambda hub: MemoryStorage(hub, store=store, clock=time), time.advance)


def sqlite_provider(path: Path | None) -> Provider:
    time = VirtualTime()
    return Provider(lambda hub: SqliteStorage.open(hub, path, clock=time), time.advance)


def azurite_provider(connection_string: str) -> Provider:
    connection = resolve_connection("Storage", {"Storage": connection_string})
    return Provider(lambda hub: open_storage(connection, hub), asyncio.sleep)


def new_hub() -> str:
    return f"Hub{uuid4().hex[:12]}"


def new_instance(instance_id: str = "one", **columns) -> Instance:
    given = {
        "name": "order",
        "execution_id": "e1",
        "status": "Running",
        "created_at": NOON,
        "updated_at": NOON,
        "commit": "c0",
    }
    return Instance(instance_id=instance_id, **(given | columns))


def new_row(instance_id: str = "one", *, head=b"", segments=(), tail=(), etag="", **columns) -> Row:
    instance = new_instance(instance_id, **columns)
    return Row(instance=instance, head=head, segments=list(segments), tail=list(tail), etag=etag)
