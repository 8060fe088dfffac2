"""What steps cost in storage requests, counted in virtual time: the same numbers every time, on any machine.

Whoever changes these numbers changes what Perdure costs to run: the fewer the better. Receives depend on how a host
polls, and have a bound.
"""

from __future__ import annotations

import asyncio

import pytest

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.counting import CountingStorage
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.testing.virtual_time import VirtualClock, run_virtual

IDLE_LOOKS = 4
"""Most looks at two empty queues, about once a second each, that may fall into the time of a short scenario."""


class Readable(MemoryStorage):
    """Counts the pieces of history that are read: rows with their tails, and segments."""

    history_rows = 0

    async def read(self, instance_id):
        self.history_rows += 1
        return await super().read(instance_id)

    async def get_segments(self, instance_id, names):
        self.history_rows += len(names)
        return await super().get_segments(instance_id, names)


class Host:
    """A worker whose queues are pumped, in virtual time; what its users ask for is not counted."""

    def __init__(self, store: MemoryStore, activity_seconds: float) -> None:
        clock = VirtualClock(asyncio.get_running_loop())

        def opened():
            return Readable("hub", store=store, clock=lambda: clock.now().timestamp())

        registry = Registry()

        async def work(number):
            await asyncio.sleep(activity_seconds)
            return number

        registry.activities.add("work", work)
        registry.orchestrators.add("chain", chain)
        registry.orchestrators.add("fan", fan)
        registry.orchestrators.add("chain_and_wait", chain_and_wait)
        self.readable = opened()
        self.storage = CountingStorage(self.readable)
        # as many at once as on a machine with two cores, wherever this runs
        settings = EngineSettings(max_concurrent_activities=20, max_concurrent_orchestrators=20)
        self.worker = Worker(self.storage, registry, settings, clock=clock)
        self.starter = Client(self.storage, worker=self.worker, clock=clock)
        self.watcher = Client(opened(), clock=clock)
        handlers = {
            self.worker.queues.control[0]: self._control,
            self.worker.queues.work: self._work,
        }
        self._pumps = [
            QueuePump(self.storage, queue, handle, PumpOptions(max_polling_interval=1.0))
            for queue, handle in handlers.items()
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def _control(self, message):
        await self.worker.handle_control(message.body, message.message_id, message.dequeue_count)

    async def _work(self, message):
        await self.worker.handle_work(message.body, message.dequeue_count)

    async def __aenter__(self):
        await self.worker.create_hub()
        self._tasks = [asyncio.create_task(pump.run()) for pump in self._pumps]
        for orchestrator in ("chain", "fan"):  # the first instance of each costs one commit more (ADR 22)
            await self.watcher.wait_for_completion(await self.starter.start_new(orchestrator, None, 0))
        await asyncio.sleep(5)
        self.storage.counts.clear()
        return self

    async def __aexit__(self, *_error):
        for pump in self._pumps:
            pump.stop()
        await self.worker.stop()
        await asyncio.gather(*self._tasks)

    async def settled(self):
        """Wait until no message is left."""
        for queue in self.worker.queues.all:
            while await self.watcher._storage.queue_length(queue):
                await asyncio.sleep(0.01)


def chain(context):
    for number in range(context.get_input()):
        yield context.call_activity("work", number)


def chain_and_wait(context):
    yield from chain(context)
    return (yield context.wait_for_external_event("go"))


def fan(context):
    results = yield context.task_all([context.call_activity("work", number) for number in range(context.get_input())])
    return len(results)


def in_virtual_time(scenario, activity_seconds=0.0):
    """Run a scenario on a host; return its receives, its other requests, and the pieces of history that it has read."""

    async def run():
        async with Host(MemoryStore(), activity_seconds) as host:
            await scenario(host)
            await host.settled()
            counts = host.storage.counts
            return counts.pop("receive", 0), counts, host.readable.history_rows

    return run_virtual(run())


def completed(orchestrator, number):
    """A scenario: an orchestration from its start to its last acknowledgement."""

    async def scenario(host):
        await host.starter.start_new(orchestrator, "one", number)
        status = await host.watcher.wait_for_completion("one")
        assert status.runtime_status is OrchestrationRuntimeStatus.Completed

    return scenario


@pytest.mark.parametrize("steps", [3, 100])
def test_a_chain_costs_a_commit_a_step_and_three_requests_more(steps):
    receives, counts, history_rows = in_virtual_time(completed("chain", steps))

    assert counts == {"insert": 1, "send": 1, "merge": steps, "delete_message": 1}
    assert receives <= IDLE_LOOKS
    assert history_rows == 0


def test_a_long_chain_costs_a_segment_every_200_turns():
    receives, counts, history_rows = in_virtual_time(completed("chain", 450))

    assert counts == {"insert": 1, "send": 1, "merge": 448, "put_segment": 2, "replace": 2, "delete_message": 1}
    assert receives <= IDLE_LOOKS
    assert history_rows == 0, "a live session reads nothing of what it has written"


FAN_OUTS = {
    # activities, seconds of each, merges, messages: sent and deleted; and most receives
    "long": (100, 5.0, 7, 108, 100),
    "short": (500, 0.0, 2, 23, 20),
}


@pytest.mark.parametrize("kind", FAN_OUTS)
def test_a_fan_out_of_what_nothing_is_known_of(kind):
    activities, seconds, merges, messages, most_receives = FAN_OUTS[kind]
    receives, counts, history_rows = in_virtual_time(completed("fan", activities), seconds)

    assert counts == {"insert": 1, "send": messages, "merge": merges, "delete_message": messages}
    assert receives <= most_receives
    assert history_rows == 0


def test_a_fan_out_of_what_is_known_to_be_short_runs_in_place():
    async def scenario(host):
        await completed("chain", 1)(host)
        host.storage.counts.clear()
        await host.starter.start_new("fan", "two", 500)
        await host.watcher.wait_for_completion("two")

    receives, counts, history_rows = in_virtual_time(scenario)

    assert counts == {"insert": 1, "send": 1, "merge": 1, "delete_message": 1}
    assert receives <= IDLE_LOOKS
    assert history_rows == 0


def test_an_event_for_an_instance_in_memory_costs_one_commit():
    async def scenario(host):
        await host.starter.start_new("chain_and_wait", "one", 1)
        await host.settled()
        host.storage.counts.clear()
        await host.starter.raise_event("one", "go", "on")
        await host.watcher.wait_for_completion("one")

    receives, counts, history_rows = in_virtual_time(scenario)

    assert counts == {"read_instance": 1, "send": 1, "merge": 1, "delete_message": 1}, (
        "the client looks whether it lives"
    )
    assert receives <= 1 + IDLE_LOOKS
    assert history_rows == 0


def test_starts_beyond_those_that_begin_at_once_cost_no_more():
    """A worker begins 200 at once; the others come through the queue, most likely to the worker that has just inserted
    their rows.
    """

    async def scenario(host):
        await completed("chain", 1)(host)  # now its activity is known to be short
        await host.settled()
        host.storage.counts.clear()
        await asyncio.gather(*(host.starter.start_new("chain", f"c{number}", 3) for number in range(300)))
        await asyncio.gather(*(host.watcher.wait_for_completion(f"c{number}") for number in range(300)))

    receives, counts, history_rows = in_virtual_time(scenario)

    assert counts == {"insert": 300, "send": 300, "merge": 200 * 3 + 100 * 4, "delete_message": 300}
    assert receives <= 100 / 8 + IDLE_LOOKS
    assert history_rows == 0


def test_a_worker_that_does_not_know_an_instance_reads_its_row_and_each_segment_once():
    async def scenario():
        store = MemoryStore()
        async with Host(store, 0) as first:
            await first.starter.start_new("chain_and_wait", "one", 450)
            await first.settled()
        async with Host(store, 0) as second:
            await second.starter.raise_event("one", "go", "on")
            await second.watcher.wait_for_completion("one")
            return second.storage.counts, second.readable.history_rows

    counts, history_rows = run_virtual(scenario())

    assert (counts["read"], counts["get_segments"]) == (1, 1)
    assert history_rows == 1 + 2


class Empty:
    """Queues without messages, which tell nobody of any."""

    looks = 0

    async def receive(self, _queue, *, count, invisibility):
        self.looks += 1
        return []


def test_an_idle_host_looks_at_each_of_its_four_queues_about_once_a_minute():
    queues = Empty()

    async def scenario():
        pumps = [QueuePump(queues, f"queue-{number}", ends_never, PumpOptions()) for number in range(4)]
        tasks = [asyncio.create_task(pump.run()) for pump in pumps]
        await asyncio.sleep(180)
        before = queues.looks
        await asyncio.sleep(3_600)
        for pump in pumps:
            pump.stop()
        await asyncio.gather(*tasks)
        return queues.looks - before

    assert run_virtual(scenario()) <= 300


async def ends_never(message):
    raise AssertionError(message)
