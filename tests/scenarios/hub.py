"""A task hub under test: some provider's storage, and workers with pumps on it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

from perdure.core.messages import RaiseEvent, Resume, Rewind, Start, Suspend, Terminate
from perdure.core.outbox import start_message_id
from perdure.core.status import ENDED
from perdure.engine.hub import poison_queue
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.errors import PerdureError
from perdure.local.invocation import InvocationError
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.protocol import Notifies, NotifiesOfSends, Storage
from perdure.storage.rows import Instance, QueueMessage, Row

PUMP = PumpOptions(max_polling_interval=0.1, invisibility=30.0)


class _Late:
    """A storage that hears of messages a little late: workers of one process would always hear in the same order."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


class _LateNotifies(_Late):
    async def wait_for_message(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - the protocol's
        await cast("Notifies", self._storage).wait_for_message(queue, timeout)
        await asyncio.sleep(random.uniform(0, 0.01))


class _LateNotifiesOfSends(_Late):
    async def wait_for_send(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - the protocol's
        await cast("NotifiesOfSends", self._storage).wait_for_send(queue, timeout)
        await asyncio.sleep(random.uniform(0, 0.01))


def _taking_turns(storage: Storage) -> Storage:
    late = _LateNotifies if isinstance(storage, Notifies) else _LateNotifiesOfSends
    taking_turns = late(storage)
    assert isinstance(taking_turns, (Notifies, NotifiesOfSends))
    return cast("Storage", taking_turns)


class RunningWorker:
    """A worker whose queues are pumped."""

    def __init__(self, engine: Worker, storage: Storage) -> None:
        self.engine = engine
        storage = _taking_turns(storage)
        self._pumps = [QueuePump(storage, queue, self._control, PUMP) for queue in self.engine.queues.control]
        self._pumps.append(QueuePump(storage, self.engine.queues.work, self._work, PUMP))
        self._tasks = [asyncio.create_task(pump.run()) for pump in self._pumps]
        self._storage = storage

    async def serve_poison(self) -> None:
        """Serve the queues to which messages are moved after their last delivery, too."""
        for queues, handle in (
            (self.engine.queues.control, self.engine.handle_suspect_control),
            ([self.engine.queues.work], self.engine.handle_suspect_work),
        ):
            for queue in map(poison_queue, queues):
                await self._storage.create_queue(queue)
                pump = QueuePump(self._storage, queue, _poisoned(handle), PUMP)
                self._pumps.append(pump)
                self._tasks.append(asyncio.create_task(pump.run()))

    async def _control(self, message: QueueMessage) -> None:
        await _invoked(self.engine.handle_control(message.body, message.message_id, message.dequeue_count))

    async def _work(self, message: QueueMessage) -> None:
        await _invoked(self.engine.handle_work(message.body, message.dequeue_count))

    async def stop(self) -> None:
        for pump in self._pumps:
            pump.stop()
        await self.engine.stop()
        for pump in self._pumps:
            await pump.drain(5)
        await asyncio.gather(*self._tasks)


def _poisoned(handle: Callable[[str, str, int], Awaitable[None]]) -> Callable[[QueueMessage], Awaitable[None]]:
    async def deliver(message: QueueMessage) -> None:
        await _invoked(handle(message.body, message.message_id, message.dequeue_count))

    return deliver


async def _invoked(work: Awaitable[None]) -> None:
    try:
        await work
    except PerdureError as error:
        raise InvocationError("the function raised") from error


class Hub:
    """What a scenario works with."""

    def __init__(self, open_storage: Callable[[], Storage]) -> None:
        self._open_storage = open_storage
        self.storage = open_storage()
        self.registry = Registry()
        self.settings = EngineSettings()
        self.workers: list[RunningWorker] = []
        self._opened = [self.storage]

    def orchestrator(self, function: Any) -> Any:
        self.registry.orchestrators.add(function.__name__, function)
        return function

    def activity(self, function: Any) -> Any:
        self.registry.activities.add(function.__name__, function)
        return function

    async def add_worker(self, registry: Registry | None = None, **settings: Any) -> RunningWorker:
        storage = self._open_storage() if self.workers else self.storage
        if storage is not self.storage:
            self._opened.append(storage)
        options = self.settings if not settings else EngineSettings(**settings)
        engine = Worker(storage, registry or self.registry, options)
        if not self.workers:
            await engine.create_hub()
        worker = RunningWorker(engine, storage)
        self.workers.append(worker)
        return worker

    @property
    def engine(self) -> Worker:
        return self.workers[0].engine

    async def start(self, name: str, value: Any = None, instance_id: str | None = None, *, eager: bool = True) -> str:
        engine = self.engine
        instance_id = instance_id or engine.new_id()
        datum = await engine.payloads.offload(instance_id, json.dumps(value))
        row = engine.starting.row(instance_id, name, execution_id=engine.new_id(), input_=datum)
        await engine.starting.insert(row)
        if eager:
            await engine.start(row)
        else:
            execution_id = row.instance.execution_id
            message = Start(to=instance_id, id=start_message_id(execution_id), execution_id=execution_id)
            await engine.mail.send(message)
        return instance_id

    async def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        datum = await self.engine.payloads.offload(instance_id, json.dumps(data))
        await self.engine.mail.send(RaiseEvent(to=instance_id, id=self.engine.new_id(), name=name, data=datum))

    async def terminate(self, instance_id: str, reason: str) -> None:
        await self.engine.mail.send(Terminate(to=instance_id, id=self.engine.new_id(), reason=reason))

    async def rewind(self, instance_id: str) -> None:
        """Rewind an instance, and wait until it has been."""
        instance = await self.send_rewind(instance_id, self.engine.new_id())
        await self.reaches(instance_id, lambda now: now.commit != instance.commit)

    async def send_rewind(self, instance_id: str, message_id: str) -> Instance:
        instance = await self.storage.read_instance(instance_id)
        assert instance is not None
        await self.engine.mail.send(
            Rewind(to=instance_id, id=message_id, execution_id=instance.execution_id, reason="mended")
        )
        return instance

    async def suspend(self, instance_id: str) -> None:
        await self.engine.mail.send(Suspend(to=instance_id, id=self.engine.new_id(), reason="wait"))

    async def resume(self, instance_id: str) -> None:
        await self.engine.mail.send(Resume(to=instance_id, id=self.engine.new_id(), reason="go on"))

    async def ended(self, instance_id: str, seconds: float = 30) -> Instance:
        return await self.reaches(instance_id, lambda instance: instance.status in ENDED, seconds)

    async def reaches(self, instance_id: str, condition: Callable[[Instance], bool], seconds: float = 30) -> Instance:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            instance = await self.storage.read_instance(instance_id)
            if instance is not None and condition(instance):
                return instance
            await asyncio.sleep(0.01)
        raise AssertionError(f"{instance_id} did not get there in {seconds} s: {instance}")

    async def turns(self, instance_id: str, number: int) -> Row:
        """Wait until an instance has had that many turns."""
        async with asyncio.timeout(30):
            while True:
                row = await self.storage.read(instance_id)
                if row is not None and len(row.tail) >= number:
                    return row
                await asyncio.sleep(0.01)

    async def output_of(self, instance_id: str) -> Any:
        """Wait for an instance that somebody else starts, and return its output."""
        async with asyncio.timeout(30):
            while await self.storage.read_instance(instance_id) is None:
                await asyncio.sleep(0.01)
        return await self.output(instance_id)

    async def output(self, instance_id: str, seconds: float = 30) -> Any:
        instance = await self.ended(instance_id, seconds)
        text = await self.engine.payloads.text(instance_id, instance.output)
        assert instance.status == "Completed", f"{instance.status}: {text}"
        return json.loads(text) if text is not None else None

    async def quiet(self, seconds: float = 30) -> None:
        """Wait until no message is left in any queue."""
        deadline = asyncio.get_running_loop().time() + seconds
        queues = self.engine.queues.all
        while any([await self.storage.queue_length(queue) for queue in queues]):
            assert asyncio.get_running_loop().time() < deadline, "messages are left"
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        for worker in self.workers:
            await worker.stop()
        for storage in self._opened:
            await storage.close()
