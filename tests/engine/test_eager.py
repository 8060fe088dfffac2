"""Instances that begin where they are started: their rows are inserted with their first turns."""

from __future__ import annotations

import asyncio

import pytest

from perdure.client import Client
from perdure.core.codec import decode_message
from perdure.core.context import OrchestrationContext
from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.storage.counting import CountingStorage
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.protocol import StorageUnavailable
from perdure.testing.virtual_time import VirtualClock, run_virtual


class Hub:
    """A hub whose messages are delivered by hand."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.turns = 0
        self.registry = Registry()
        self.registry.orchestrators.add("wait", self._wait)
        self.registry.orchestrators.add("nap", self._nap)
        self.workers = []
        self.registry.activities.add("nap", self._napping)

    async def _napping(self, _):
        await asyncio.sleep(10_000)

    def _wait(self, context: OrchestrationContext):
        self.turns += 1
        return (yield context.wait_for_external_event("go"))

    def _nap(self, context: OrchestrationContext):
        yield context.call_activity("nap")

    def opened(self):
        return MemoryStorage("hub", store=self.store, clock=lambda: self.clock.now().timestamp())

    async def worker(self, **settings):
        storage = CountingStorage(self.opened())
        worker = Worker(storage, self.registry, EngineSettings(**settings), clock=self.clock)
        self.workers.append(worker)
        await worker.create_hub()
        worker._eager._services.proven.update(("wait", "nap"))  # as if they had had a turn here
        storage.counts.clear()
        return worker

    def row(self, worker, execution="e", name="wait"):
        return worker.starting.row("one", name, execution_id=execution, input_=None)

    @property
    def messages(self):
        return [
            (decode_message(message.body), message.visible_at)
            for message in self.store.queues[self.workers[0].queues.control[0]].values()
        ]

    async def deliver(self, worker, *, dequeue_count=1):
        """Deliver what is visible; return how many messages there were."""
        queue = worker.queues.control[0]
        there = await worker.storage.receive(queue, count=32, invisibility=1_000)
        for message in there:
            await worker.handle_control(message.body, message.message_id, max(dequeue_count, message.dequeue_count))
            await worker.storage.delete_message(queue, message.message_id, message.receipt)
        return len(there)

    async def status(self):
        instance = await self.opened().read_instance("one")
        return None if instance is None else (instance.status, instance.execution_id)


def scenario(run):
    """Make a test of a coroutine function that takes a hub."""

    def test():
        async def in_hub():
            hub = Hub()
            try:
                await run(hub)
            finally:
                for worker in hub.workers:
                    await worker.stop()

        run_virtual(in_hub())

    test.__name__ = run.__name__
    return test


@scenario
async def test_the_row_is_inserted_with_the_first_turn(hub):
    worker = await hub.worker()
    assert await worker.begin(hub.row(worker))
    await asyncio.sleep(0.1)
    assert await hub.status() == (Status.Running, "e")
    assert worker.storage.counts == {"send": 1, "insert": 1, "delete_message": 1}
    assert hub.messages == []


@scenario
async def test_the_first_instance_of_an_orchestrator_is_there_before_its_code_runs(hub):
    """Should it end its process, somebody must be able to see that."""
    worker = await hub.worker()
    seen = []

    def new(_):
        seen.append([row.instance.status for row in hub.store.hubs["hub"].rows.values() if row.instance.name == "new"])

    hub.registry.orchestrators.add("new", new)
    assert not await worker.begin(hub.row(worker, name="new"))
    assert (await hub.status(), seen) == (None, [])
    client = Client(worker.storage, worker=worker, clock=hub.clock)
    for _ in range(2):
        await client.wait_for_completion(await client.start_new("new"))
    assert seen == [["Pending"], ["Completed"]], "the second one is inserted with its first turn"


@scenario
async def test_an_id_that_is_in_use_is_left_as_it_is(hub):
    first, second = await hub.worker(), await hub.worker()
    assert await first.begin(hub.row(first))
    await asyncio.sleep(0.1)
    assert not await second.begin(hub.row(second, "f"))
    await asyncio.sleep(0.1)
    assert await hub.status() == (Status.Running, "e")
    assert hub.messages == []


@scenario
async def test_so_is_one_that_this_worker_knows(hub):
    worker = await hub.worker()
    assert await worker.begin(hub.row(worker))
    await asyncio.sleep(0.1)
    assert not await worker.begin(hub.row(worker, "f"))
    assert hub.messages == []


@scenario
async def test_who_is_started_twice_is_begun_once(hub):
    worker = await hub.worker()
    assert sorted(await asyncio.gather(*(worker.begin(hub.row(worker, execution)) for execution in "ef"))) == [
        False,
        True,
    ]
    await asyncio.sleep(0.1)
    assert hub.turns == 1
    assert hub.messages == []


@scenario
async def test_nothing_begins_where_there_is_no_room(hub):
    worker = await hub.worker(max_concurrent_orchestrators=1)
    for number in range(10):
        row = worker.starting.row(f"nap-{number}", "nap", execution_id="e", input_=None)
        assert await worker.begin(row)
    worker.storage.counts.clear()
    assert not await worker.begin(hub.row(worker))
    assert worker.storage.counts == {}


@scenario
async def test_a_start_whose_row_is_late_waits_for_it(hub):
    """The store is slow, and the safety net shows up before the insertion has taken effect: whoever receives it must
    not drop it, or nobody would answer for the instance if its first worker died.
    """
    first, second = await hub.worker(), await hub.worker()
    begun, go_on = asyncio.Event(), asyncio.Event()
    insert = first.storage.insert

    async def slow(row):
        begun.set()
        await go_on.wait()
        return await insert(row)

    async def away(*_args, **_more):
        raise StorageUnavailable("the store is away")

    first.storage.insert, first.storage.extend = slow, away
    beginning = asyncio.create_task(first.begin(hub.row(first)))
    await begun.wait()
    await asyncio.sleep(31)
    assert await hub.deliver(second) == 1
    assert await hub.status() is None
    go_on.set()
    assert await beginning
    assert await hub.status() == (Status.Running, "e")

    await asyncio.sleep(11)
    delivered = asyncio.create_task(hub.deliver(second))
    await asyncio.sleep(0.1)
    assert delivered.done(), "it was put back, and has now been taken over and acknowledged"
    row = await hub.opened().read("one")
    assert len(row.tail) == 2, "the first turn, and the record of the take-over"


@scenario
async def test_a_start_whose_row_never_comes_is_dropped_in_the_end(hub):
    first, second = await hub.worker(), await hub.worker()

    async def away(_row):
        raise StorageUnavailable("the store is away")

    first.storage.insert = away
    with pytest.raises(StorageUnavailable):
        await first.begin(hub.row(first))
    assert await hub.status() is None
    tries = 0
    while hub.messages:
        tries += await hub.deliver(second)
        await asyncio.sleep(5)
    assert tries == 6
    assert await hub.status() is None


@scenario
async def test_a_worker_that_stops_begins_nothing(hub):
    worker = await hub.worker()
    begun = asyncio.Event()

    async def never(_row):
        begun.set()
        await asyncio.sleep(1_000)

    worker.storage.insert = never
    beginning = asyncio.create_task(worker.begin(hub.row(worker)))
    await begun.wait()
    await worker.stop()
    assert not await beginning
    assert await hub.status() is None
