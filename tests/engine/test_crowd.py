"""What takes long in place holds a message of the control queue, of which a host takes a bounded number into its hands:
however many instances are at such work, the others go on.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.testing.virtual_time import VirtualClock, run_virtual

CROWD = 20
AT_ONCE = 3.0
"""Seconds: others may have to wait for what lasts no longer."""


def waits(context):
    return (yield context.wait_for_external_event("go"))


def rests(context):
    return (yield context.call_activity("rest", 600))


def steps(context):
    for _ in range(400):
        yield context.call_activity("rest", 0.05)


def naps(context):
    for _ in range(20):
        yield context.create_timer(timedelta(seconds=2))


async def rest(seconds):
    await asyncio.sleep(seconds)
    return seconds


class Host:
    """A worker and its pumps, with the options of a host that has none of its own."""

    def __init__(self, store):
        clock = VirtualClock(asyncio.get_running_loop())
        storage = MemoryStorage("hub", store=store, clock=lambda: clock.now().timestamp())
        registry = Registry()
        for orchestrator in (waits, rests, steps, naps):
            registry.orchestrators.add(orchestrator.__name__, orchestrator)
        registry.activities.add("rest", rest)
        self.storage = storage
        self.worker = Worker(storage, registry, clock=clock)
        self.elsewhere = Client(storage, clock=clock)
        self.beside = Client(storage, worker=self.worker, clock=clock)

    async def __aenter__(self):
        await self.worker.create_hub()
        queues = self.worker.queues
        pumps = [(queues.control[0], self._control), (queues.work, self._work)]
        self.pumps = [QueuePump(self.storage, queue, handle, PumpOptions()) for queue, handle in pumps]
        self.tasks = [asyncio.create_task(pump.run()) for pump in self.pumps]
        return self

    async def _control(self, message):
        await self.worker.handle_control(message.body, message.message_id, message.dequeue_count)

    async def _work(self, message):
        await self.worker.handle_work(message.body, message.dequeue_count)

    async def __aexit__(self, *_error):
        for pump in self.pumps:
            pump.stop()
        for pump in self.pumps:
            await pump.release()
        await self.worker.stop()
        await asyncio.gather(*self.tasks)

    async def seconds_until_told(self):
        """Return how long an instance takes to take in an event."""
        clock = asyncio.get_running_loop().time
        told = clock()
        await self.elsewhere.raise_event("waiting", "go", 1)
        await self.elsewhere.wait_for_completion("waiting")
        return clock() - told


@pytest.mark.parametrize("others", ["rests", "steps", "naps"])
def test_an_event_is_taken_in_while_many_instances_are_at_work_in_place(others):
    async def scenario():
        async with Host(MemoryStore()) as host:
            await host.elsewhere.start_new("waits", "waiting")
            for number in range(CROWD):
                await host.elsewhere.start_new(others, str(number))
            await asyncio.sleep(10)
            waited = await host.seconds_until_told()
            ended = [await host.elsewhere.wait_for_completion(str(number)) for number in range(CROWD)]
            return waited, {status.runtime_status for status in ended}

    waited, ended = run_virtual(scenario())

    assert waited < AT_ONCE
    assert ended == {OrchestrationRuntimeStatus.Completed}


def test_an_event_is_taken_in_after_a_crash_has_left_many_instances_to_be_taken_over():
    async def scenario():
        store = MemoryStore()
        async with Host(store) as before:
            await before.elsewhere.start_new("waits", "waiting")
            for number in range(CROWD):
                await before.beside.start_new("rests", str(number))
            await asyncio.sleep(10)
        async with Host(store) as after:
            await asyncio.sleep(10)
            waited = await after.seconds_until_told()
            ended = [await after.elsewhere.wait_for_completion(str(number)) for number in range(CROWD)]
            return waited, {status.runtime_status for status in ended}

    waited, ended = run_virtual(scenario())

    assert waited < AT_ONCE
    assert ended == {OrchestrationRuntimeStatus.Completed}
