"""Functions that do not come back are told of in the log: once, then at growing intervals, by name."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress

import pytest

from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.engine.watch import Watch
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.testing.virtual_time import VirtualClock, run_virtual
from tests.scenarios.hub import Hub


class Told(logging.Handler):
    """Keeps what the watch says, and calls something when it first does."""

    def __init__(self, then=lambda: None):
        super().__init__()
        self.lines = []
        self._then = then

    def emit(self, record):
        self.lines.append(record.getMessage())
        self._then()

    def __enter__(self):
        logging.getLogger("perdure.worker").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("perdure.worker").removeHandler(self)


def test_warnings_come_at_growing_intervals():
    async def main():
        clock = VirtualClock(asyncio.get_running_loop())
        watch = Watch(clock, 60)
        with watch.over("activity", "pay", "order-1", ": it keeps one of 4 places"), watch.over("activity", "b", "two"):
            times = []
            for second in range(1, 1_000):
                await clock.sleep(1)
                before = len(told.lines)
                watch.look()
                if len(told.lines) > before:
                    times.append(second)
        watch.look()
        return times

    with Told() as told:
        assert run_virtual(main()) == [60, 120, 240, 480, 960]
    assert told.lines[0] == (
        "activity 'pay' of instance 'order-1' has been running for 60 s and has not come back: it keeps one of 4 "
        "places. If that is not meant, look for a call in it that waits without a time-out, or a loop without an end."
    )
    assert told.lines[1].startswith("activity 'b' of instance 'two' has been running for 60 s")
    assert told.lines[-2:] == [
        "activity 'b' of instance 'two' has come to an end after 999 s",
        "activity 'pay' of instance 'order-1' has come to an end after 999 s",
    ]


def test_what_comes_back_in_time_is_not_told_of():
    async def main():
        clock = VirtualClock(asyncio.get_running_loop())
        watch = Watch(clock, 60)
        for _ in range(10):
            with suppress(ValueError), watch.over("activity", "pay", "order-1"):
                await clock.sleep(59)
                watch.look()
                raise ValueError
        watch.look()

    with Told() as told:
        run_virtual(main())
    assert told.lines == []


def test_each_step_of_several_has_its_own_time():
    class Batch:
        steps = 0

        def __str__(self):
            return f"operation {self.steps}"

    async def main():
        clock, batch = VirtualClock(asyncio.get_running_loop()), Batch()
        watch = Watch(clock, 60)
        with watch.over_steps(batch):
            for batch.steps in range(5):
                for _ in range(50):
                    await clock.sleep(1)
                    watch.look()
            await clock.sleep(20)
            watch.look()

    with Told() as told:
        run_virtual(main())
    assert [line.partition(" has")[0] for line in told.lines] == ["operation 4"] * 2


KINDS = {
    "orchestrator": ("orchestrator 'hang' of instance 'one'", ": it holds up everything in this process."),
    "activity": ("activity 'hang' of instance 'one'", ": it keeps one of 3 places."),
    "async activity": ("activity 'hang' of instance 'one'", ": it keeps one of 3 places."),
    "entity": ("operation 'hang' of entity '@hang@k'", ": it keeps one of 4 places."),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_hangs_is_told_of_while_it_does(kind):
    """In real time, and from another thread: an orchestrator that hangs holds up the event loop, and every task."""
    told_of = threading.Event()
    storage = MemoryStorage("Watched", store=MemoryStore())
    hub = Hub(lambda: storage)

    def wait():
        assert told_of.wait(20)
        return "came back"

    def orchestrator(context):
        if kind == "orchestrator":
            return wait()
        if kind == "entity":
            return (yield context.call_entity(EntityId("hang", "k"), "hang"))
        return (yield context.call_activity("hang"))

    def plain(context):
        return wait()

    async def waiting(_):
        return await asyncio.to_thread(wait)

    hub.registry.orchestrators.add("hang", plain if kind == "orchestrator" else orchestrator)
    hub.registry.activities.add("hang", waiting if kind.startswith("async") else lambda _: wait())
    hub.registry.entities.add("hang", EntityDefinition(lambda context: context.set_result(wait())))
    with Told(told_of.set) as told:
        await hub.add_worker(stuck_after=0.05, max_concurrent_activities=3, max_concurrent_entities=4)
        assert await hub.output(await hub.start("hang", instance_id="one")) == "came back"
        await hub.close()
    who, consequence = KINDS[kind]
    assert told.lines[0].startswith(f"{who} has been running for ")
    assert consequence in told.lines[0]


async def test_a_worker_that_is_stopped_looks_no_more():
    storage = MemoryStorage("Watched", store=MemoryStore())
    hub = Hub(lambda: storage)
    hub.registry.orchestrators.add("quick", lambda context: 1)
    worker = await hub.add_worker(stuck_after=0.05)
    assert await hub.output(await hub.start("quick")) == 1
    thread = worker.engine.watch._thread
    assert thread.is_alive()
    await hub.close()
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
