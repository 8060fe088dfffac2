"""A task hub in memory, in virtual time: the real worker on it, and pumps that deliver its messages."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any

from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.tending import Hold, tend
from perdure.engine.worker import Worker
from perdure.errors import PerdureError
from perdure.storage.memory import MemoryStorage
from perdure.storage.rows import QueueMessage, Row, RowUpdate
from perdure.testing.virtual_time import EPOCH, VirtualClock, VirtualTimeLoop

HUB = "harness"
_SAFE = 7 * 24 * 3600.0
"""Seconds for which a message stays hidden while it is worked on: nobody dies here, renewals would only be noise."""
_AGAIN_AFTER = 1.0
_AT_ONCE = 32

SETTINGS = EngineSettings(fail_on_non_determinism=True, unknown_function_timeout=0)
"""What no deployment will mend fails here, instead of waiting for one."""


class WatchedStorage(MemoryStorage):
    """A storage in memory that wakes those who wait for a change of a row."""

    def __init__(self, hub: str, clock: Callable[[], float]) -> None:
        super().__init__(hub, clock=clock)
        self._watchers: set[asyncio.Future[None]] = set()

    async def wait_for_change(self, timeout: float | None) -> None:  # noqa: ASYNC109 - waiting is its purpose
        """See `NotifiesOfChanges`."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.add(change)
        try:
            await asyncio.wait({change}, timeout=timeout)
        finally:
            self._watchers.discard(change)

    async def until_visible(self, queue: str) -> None:
        """Return once the queue has a message to receive, however long that takes."""
        with self._store.wakeups.listen(queue) as waiter:
            while True:
                due = min((message.visible_at for message in self._messages(queue).values()), default=None)
                left = None if due is None else due - self._clock()
                if left is not None and left <= 0:
                    return
                await waiter.wait(left)

    async def insert(self, row: Row) -> str:
        """See `Storage`, as for the following."""
        return self._changed(await super().insert(row))

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        """See `Storage`."""
        return self._changed(await super().merge(instance_id, etag, update))

    async def replace(self, row: Row) -> str:
        """See `Storage`."""
        return self._changed(await super().replace(row))

    async def delete(self, instance_id: str, etag: str) -> None:
        """See `Storage`."""
        await super().delete(instance_id, etag)
        self._changed("")

    def _changed(self, etag: str) -> str:
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        return etag


class HarnessHub:
    """The hub with its worker. Its methods are to be called on the loop.

    Args:
        loop: the loop that everything runs on.
        registry: the functions.
        settings: of the engine.
        now: the time at the beginning.
    """

    def __init__(self, loop: VirtualTimeLoop, registry: Registry, settings: EngineSettings, now: datetime) -> None:
        ids = random.Random(0)  # noqa: S311 - the same in every run
        self.clock = VirtualClock(loop, skew=(now - EPOCH).total_seconds())
        self.storage = WatchedStorage(HUB, lambda: self.clock.now().timestamp())
        self.settings = dataclasses.replace(settings, safety_net_delay=_SAFE)
        self.new_id = lambda: f"{ids.getrandbits(128):032x}"
        self.worker = Worker(self.storage, registry, self.settings, clock=self.clock, new_id=self.new_id)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Create the hub and begin to deliver its messages."""
        worker = self.worker
        await worker.create_hub()
        for queue in worker.queues.control:
            self._spawn(self._pump(queue, self._control))
        self._spawn(self._pump(worker.queues.work, self._work))

    async def close(self) -> None:
        """Stop; whatever has not ended is given up."""
        await self.worker.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, queue: str, handle: Callable[[QueueMessage], Awaitable[None]]) -> None:
        while True:
            await self.storage.until_visible(queue)
            for message in await self.storage.receive(queue, count=_AT_ONCE, invisibility=_SAFE):
                self._spawn(self._deliver(queue, message, handle))

    async def _deliver(
        self, queue: str, message: QueueMessage, handle: Callable[[QueueMessage], Awaitable[None]]
    ) -> None:
        hold = Hold(self.storage, queue, message.message_id, message.receipt, invisibility=_SAFE)
        try:
            await tend(hold, lambda: handle(message), retry_after=_AGAIN_AFTER)
        except PerdureError:
            return  # the worker has logged why, and the message comes again

    async def _control(self, message: QueueMessage) -> None:
        worker = self.worker
        try:
            await worker.handle_control(message.body, message.message_id, message.dequeue_count)
        except PerdureError:
            if message.dequeue_count < self.settings.max_deliveries:
                raise
            await worker.handle_poisoned_control(message.body, message.message_id)

    async def _work(self, message: QueueMessage) -> None:
        await self.worker.handle_work(message.body, message.dequeue_count)
