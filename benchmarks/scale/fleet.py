"""Many real workers on one hub, each with the pumps of a host, in virtual time.

The processor time that a worker needs is not part of the model, for each has a machine of its own; what its activities
take is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self, cast

from benchmarks.scale.account import Account
from perdure import jitter
from perdure.client import Client
from perdure.core.entities.performing import EntityDefinition
from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.errors import PerdureError
from perdure.local.invocation import InvocationError
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.protocol import Storage
from perdure.storage.rows import QueueMessage
from perdure.testing.virtual_time import VirtualClock

HUB = "scale"
_CORES = 2
_LOOK = 0.01
_FUNCTIONS_FIRST_POLL = 0.1
_FUNCTIONS_INVISIBILITY = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """Of a run.

    Args:
        workers: how many.
        seed: decides what chance decides.
        control_queues: of the hub.
        longest_poll: `maxPollingInterval` in seconds.
        batch_size: messages that a host takes at a time.
        activity_seconds: that each activity takes.
    """

    workers: int
    seed: int = 1
    control_queues: int = 1
    longest_poll: float = 1.0
    batch_size: int = 16
    activity_seconds: float = 0.05


class Fleet:
    """Workers that serve a hub while the context is entered."""

    def __init__(self, options: FleetOptions) -> None:
        self.options = options
        jitter.seed(options.seed)
        self.account = Account(options.seed)
        self.activities: Counter[int] = Counter()
        """Activities run, by worker."""
        self.ended: dict[str, float] = {}
        """When each instance ended, in virtual seconds."""
        self.ended_by: Counter[int] = Counter()
        """Orchestrations ended, by worker."""
        self.commits: Counter[str] = Counter()
        """By instance."""
        self.enough = asyncio.Event()
        self._wanted = 0
        self._clock = VirtualClock(asyncio.get_running_loop())
        self._workers: list[Worker] = []
        self._pumps: list[QueuePump] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.account.watchers.append(self._watch)

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    def client(self, *, at_once: bool = False) -> Client:
        """Return a client elsewhere, on a machine without a worker."""
        storage = cast("Storage", self.account.opened(HUB, -1, at_once=at_once))
        return Client(storage, control_queues=self.options.control_queues, clock=self._clock, new_id=self._new_id)

    def client_beside_a_worker(self) -> Client:
        """Return a client in the process of the first worker."""
        worker = self._workers[0]
        queues = self.options.control_queues
        return Client(worker.storage, worker=worker, control_queues=queues, clock=self._clock, new_id=self._new_id)

    def share(self, of: Counter[int]) -> list[int]:
        """Return what each worker has, the least first."""
        return sorted(of[number] for number in range(self.options.workers))

    async def until_ended(self, instances: int) -> None:
        """Wait until so many instances have ended."""
        self._wanted = instances
        if len(self.ended) < instances:
            self.enough.clear()
            await self.enough.wait()

    async def until_deleted(self, messages: int) -> None:
        """Wait until so many messages have been acknowledged."""
        while self.account.counts["delete_message"] < messages:
            await asyncio.sleep(_LOOK)

    async def until_quiet(self) -> None:
        """Wait until no queue has a message."""
        while any(self.account.length(queue) for queue in self._workers[0].queues.all):
            await asyncio.sleep(_LOOK)

    @property
    def control_queues(self) -> list[str]:
        """Names of the hub's control queues."""
        return self._workers[0].queues.control

    async def __aenter__(self) -> Self:
        for number in range(self.options.workers):
            self._begin(number)
        for queue in self._workers[0].queues.all:
            self.account.create_queue(queue)
        return self

    async def __aexit__(self, *_error: object) -> None:
        for pump in self._pumps:
            pump.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            await worker.stop()

    def start_polling(self) -> None:
        """Let every worker begin to poll, each at its own moment of the first second."""
        for pump in self._pumps:
            self._tasks.append(asyncio.create_task(self._pumped(pump, self.account.random.uniform(0, 1))))

    async def _pumped(self, pump: QueuePump, after: float) -> None:
        await asyncio.sleep(after)
        await pump.run()

    def _begin(self, number: int) -> None:
        options = self.options
        storage = self.account.opened(HUB, number)
        worker = Worker(
            cast("Storage", storage),
            self._registry(number),
            EngineSettings(
                max_concurrent_activities=10 * _CORES,
                max_concurrent_orchestrators=10 * _CORES,
                max_concurrent_entities=10 * _CORES,
            ),
            control_queues=options.control_queues,
            clock=self._clock,
            new_id=self._new_id,
        )
        self._workers.append(worker)
        pumping = PumpOptions(
            batch_size=options.batch_size,
            new_batch_threshold=options.batch_size // 2,
            first_polling_interval=_FUNCTIONS_FIRST_POLL,
            max_polling_interval=options.longest_poll,
            invisibility=_FUNCTIONS_INVISIBILITY,
        )

        async def control(message: QueueMessage) -> None:
            await _invoked(worker.handle_control(message.body, message.message_id, message.dequeue_count))

        async def work(message: QueueMessage) -> None:
            await _invoked(worker.handle_work(message.body, message.dequeue_count))

        for queue in worker.queues.control:
            self._pumps.append(QueuePump(cast("Storage", storage), queue, control, pumping))
        self._pumps.append(QueuePump(cast("Storage", storage), worker.queues.work, work, pumping))

    def _registry(self, number: int) -> Registry:
        registry = Registry()

        async def work(value: int) -> int:
            self.activities[number] += 1
            await asyncio.sleep(self.options.activity_seconds)
            return value

        registry.activities.add("work", work)
        registry.orchestrators.add("chain", _chain)
        registry.orchestrators.add("fan", _fan)
        registry.entities.add("counter", EntityDefinition(_counter))
        return registry

    def _watch(self, name: str, arguments: tuple[Any, ...], worker: int) -> None:
        if name == "merge":
            instance_id, _, update = arguments
            status = update.status
        elif name == "replace":
            instance_id, status = arguments[0].instance.instance_id, arguments[0].instance.status
        else:
            return
        self.commits[instance_id] += 1
        if status in ENDED and instance_id not in self.ended:
            self.ended[instance_id] = self.now
            self.ended_by[worker] += 1
            if len(self.ended) >= self._wanted:
                self.enough.set()

    def _new_id(self) -> str:
        return f"{self.account.random.getrandbits(128):032x}"


async def _invoked(work: Any) -> None:
    try:
        await work
    except PerdureError as error:
        raise InvocationError("the function raised") from error


def _chain(context: Any) -> Any:
    for number in range(context.get_input()):
        yield context.call_activity("work", number)


def _fan(context: Any) -> Any:
    results = yield context.task_all([context.call_activity("work", number) for number in range(context.get_input())])
    return len(results)


def _counter(context: Any) -> None:
    context.set_state(context.get_state(lambda: 0) + 1)
