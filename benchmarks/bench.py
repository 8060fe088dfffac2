"""What a workload works with: a hub in a new store, and a worker whose queues are pumped as `perdure start` does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from benchmarks.measuring import Meter, measured
from benchmarks.stores import Place, open_counted, open_plain
from perdure.client import Client
from perdure.core.entities.performing import EntityDefinition
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.errors import PerdureError
from perdure.local.invocation import InvocationError
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.protocol import Storage
from perdure.storage.rows import QueueMessage

F = TypeVar("F", bound=Callable[..., Any])

HUB = "Bench"
POLLING = 1.0
"""Longest wait between two looks at an empty queue, in seconds: what the README's host.json says."""


class Bench:
    """A hub with one worker. Requests of whoever waits for results are made through another storage, and not counted.

    Args:
        place: the store.
        sizes: of the workload.
        settings: the worker's, if not the usual ones.
    """

    def __init__(self, place: Place, sizes: dict[str, int], settings: EngineSettings | None = None) -> None:
        self.place = place
        self.sizes = sizes
        self.counts: Counter[str] = Counter()
        self.storage = open_counted(place, HUB, self.counts)
        self.registry = Registry()
        self.worker = Worker(self.storage, self.registry, settings)
        self.client = Client(self.storage, worker=self.worker)
        self._watching = open_plain(place, HUB)
        self.watcher = Client(self._watching, worker=self.worker)
        self.meter = Meter(store=place.pids)
        self.shape: dict[str, float] = {}
        """What the floor of this workload needs to know of its writes."""
        self._pumps: list[QueuePump] = []
        self._tasks: list[asyncio.Task[None]] = []

    def orchestrator(self, function: F) -> F:
        self.registry.orchestrators.add(function.__name__, function)
        return function

    def activity(self, function: F) -> F:
        self.registry.activities.add(function.__name__, function)
        return function

    def entity(self, function: F) -> F:
        self.registry.entities.add(function.__name__, EntityDefinition(function))
        return function

    async def create(self) -> None:
        """Create the hub."""
        await self.worker.create_hub()

    def serve(self, options: PumpOptions | None = None) -> None:
        """Begin to receive messages."""
        self._pumps, self._tasks = pumped(self.storage, self.worker, options)

    async def completed(self, instance_id: str) -> Any:
        """Wait for an orchestration's output. Raises `PerdureError` if it did not complete."""
        status = await self.watcher.wait_for_completion(instance_id)
        if status.runtime_status is None or status.runtime_status.value != "Completed":
            raise PerdureError(f"{instance_id} is {status.runtime_status}: {status.output}")
        return status.output

    async def note_writes(self, instance_id: str) -> None:
        """Remember how large the writes of an orchestration's turns were."""
        row = await self._watching.read(instance_id)
        if row is not None and row.tail:
            self.shape["turn_bytes"] = round(sum(map(len, row.tail)) / len(row.tail))
            self.shape["largest_turn_bytes"] = max(map(len, row.tail))
            self.shape["turns"] = len(row.tail)

    def record(self, figures: dict[str, float]) -> dict[str, object]:
        """Return what was measured; requests are those of the average round."""
        rounds = len(self.meter.walls)
        requests = {kind: round(number / rounds, 2) for kind, number in sorted(self.counts.items())}
        return {**measured(self.meter, figures), "requests": requests, "shape": self.shape}

    async def close(self) -> None:
        for pump in self._pumps:
            pump.stop()
        await self.worker.stop()
        for pump in self._pumps:
            await pump.drain(5)
        await asyncio.gather(*self._tasks)
        await self.storage.close()
        await self._watching.close()


def pumped(
    storage: Storage, worker: Worker, options: PumpOptions | None = None
) -> tuple[list[QueuePump], list[asyncio.Task[None]]]:
    """Pump the queues of a worker; return the pumps and their tasks."""
    options = options or PumpOptions(max_polling_interval=POLLING)

    async def control(message: QueueMessage) -> None:
        await _invoked(worker.handle_control(message.body, message.message_id, message.dequeue_count))

    async def work(message: QueueMessage) -> None:
        await _invoked(worker.handle_work(message.body, message.dequeue_count))

    pumps = [QueuePump(storage, queue, control, options) for queue in worker.queues.control]
    pumps.append(QueuePump(storage, worker.queues.work, work, options))
    return pumps, [asyncio.create_task(pump.run()) for pump in pumps]


async def _invoked(work: Awaitable[None]) -> None:
    try:
        await work
    except PerdureError as error:
        raise InvocationError("the function raised") from error
