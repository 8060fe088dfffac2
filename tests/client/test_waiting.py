"""Waiting for an instance: who waits is told at once what this process commits, and looks for what others do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.engine.notices import Notices
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.counting import CountingStorage
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.testing.virtual_time import VirtualClock, run_virtual

NAP = 0.777
"""Seconds that the one activity takes."""


class Process:
    """A process on a hub, in virtual time, where a storage request takes a millisecond."""

    def __init__(self, store: MemoryStore) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())

        def opened():
            return Slow(CountingStorage(MemoryStorage("hub", store=store, clock=lambda: self.clock.now().timestamp())))

        registry = Registry()
        registry.orchestrators.add("nap", nap)
        registry.orchestrators.add("listen", listen)
        registry.activities.add("sleep", asyncio.sleep)
        self.worker = Worker(opened(), registry, clock=self.clock)
        self.watching = opened()
        self.client = Client(self.watching, worker=self.worker, clock=self.clock)
        self.stranger = Client(opened(), clock=self.clock)
        """Of a process without a worker."""

    def looks(self):
        return self.watching.counts["read_instance"]

    async def __aenter__(self):
        await self.worker.create_hub()
        self._pump = QueuePump(self.worker.storage, self.worker.queues.control[0], self._control, PumpOptions())
        self._pumping = asyncio.create_task(self._pump.run())
        return self

    async def __aexit__(self, *_error):
        self._pump.stop()
        await self.worker.stop()
        await self._pumping

    async def _control(self, message):
        await self.worker.handle_control(message.body, message.message_id, message.dequeue_count)


class Slow:
    def __init__(self, inner) -> None:
        self._inner = inner

    def __getattr__(self, name):
        given = getattr(self._inner, name)
        if name in ("counts", "hub", "max_message_bytes"):
            return given

        async def call(*args, **kwargs):
            await asyncio.sleep(0.001)
            return await given(*args, **kwargs)

        return call


def nap(context):
    yield context.call_activity("sleep", NAP)
    return "rested"


def listen(context):
    return (yield context.wait_for_external_event("go"))


def in_virtual_time(scenario):
    async def run():
        store = MemoryStore()
        async with Process(store) as process:
            return await scenario(process)

    return run_virtual(run())


def since_it_ended(process, status):
    return (process.clock.now() - status.last_updated_time).total_seconds()


def test_who_waits_beside_the_worker_is_told_at_once_and_reads_nothing():
    async def scenario(process):
        await process.client.start_new("nap", "one")
        before = process.looks()
        status = await process.client.wait_for_completion("one")
        return status.output, since_it_ended(process, status), process.looks() - before

    output, late, looks = in_virtual_time(scenario)

    assert output == "rested"
    assert late == pytest.approx(0.001), "the commit itself"
    assert looks == 0


def test_who_waits_for_the_start_is_told_too():
    async def scenario(process):
        await process.client.start_new("listen", "one")
        status = await process.client.wait_for_start("one")
        return status.runtime_status, since_it_ended(process, status)

    assert in_virtual_time(scenario) == (Status.Running, pytest.approx(0.001))


def test_an_instance_that_waits_ends_with_its_event():
    async def scenario(process):
        await process.client.start_new("listen", "one")
        waiting = asyncio.create_task(process.client.wait_for_completion("one"))
        await asyncio.sleep(60)
        await process.client.raise_event("one", "go", 1)
        status = await waiting
        return since_it_ended(process, status)

    assert in_virtual_time(scenario) == pytest.approx(0.001)


def test_what_another_process_ends_is_seen_by_looking():
    async def scenario(process):
        await process.client.start_new("nap", "one")
        status = await process.stranger.wait_for_completion("one")
        return since_it_ended(process, status)

    assert 0 < in_virtual_time(scenario) < 0.6 * NAP, "looks are as far apart as half the time waited, and a fifth"


def test_a_worker_that_has_nothing_to_do_with_the_instance_does_not_keep_its_client_from_looking():
    async def run():
        store = MemoryStore()
        async with Process(store) as idle, Process(store) as busy:
            idle._pump.stop()
            await busy.client.start_new("nap", "one")
            status = await idle.client.wait_for_completion("one")
            return since_it_ended(busy, status)

    assert 0 < run_virtual(run()) < 0.6 * NAP


def test_however_many_wait_they_look_seldom():
    async def scenario(process):
        ids = [f"i{number}" for number in range(1_000)]
        for each in ids:
            await process.client.start_new("listen", each)
        waiting = asyncio.gather(*(process.client.wait_for_completion(each, 20) for each in ids))
        await asyncio.sleep(10)
        before = process.looks()
        await asyncio.sleep(5)
        seen = process.looks() - before
        with pytest.raises(TimeoutError):
            await waiting
        return seen

    assert in_virtual_time(scenario) <= 1_000 * 5 * 1.25


def test_what_was_started_here_and_waits_for_its_turn_is_not_looked_for_at_once():
    async def scenario(process):
        process.worker.drain()  # so the queue has it, and another worker may be the faster one
        await process.stranger.start_new("listen", "one")
        await process.client.start_new("listen", "two")
        before = process.looks()
        with pytest.raises(TimeoutError):
            await process.client.wait_for_completion("two", 0.015)
        after = process.looks()
        with pytest.raises(TimeoutError):
            await process.client.wait_for_completion("two", 0.015)
        return after - before, process.looks() - after

    assert in_virtual_time(scenario) == (1, 2), "the last look is never spared, the first one once"


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_the_time_out_is_kept(timeout):
    async def scenario(process):
        await process.client.start_new("nap", "one")
        began = process.clock.now()
        with pytest.raises(TimeoutError, match="still"):
            await process.client.wait_for_completion("one", timedelta(seconds=timeout))
        return (process.clock.now() - began).total_seconds(), process.looks()

    took, looks = in_virtual_time(scenario)

    assert took == pytest.approx(timeout + 0.001), "what is said at last has been read"
    assert looks == 1


def test_a_notice_of_an_execution_that_has_been_replaced_is_not_believed():
    async def scenario(process):
        await process.client.start_new("listen", "one")
        instance = await process.watching.read_instance("one")
        waiting = asyncio.create_task(process.client.wait_for_completion("one"))
        await asyncio.sleep(5)
        process.worker.notices.post(msgspec.structs.replace(instance, status="Completed", execution_id="older"))
        await asyncio.sleep(5)
        assert not waiting.done()
        await process.client.raise_event("one", "go", "new")
        return (await waiting).output

    assert in_virtual_time(scenario) == "new"


def test_a_notice_is_remembered_while_its_reader_does_something_else_and_nobody_is_told_for_ever():
    async def scenario(process):
        await process.client.start_new("listen", "one")
        instance = await process.watching.read_instance("one")
        notices = Notices()
        with notices.watch("one", lambda _: True) as first, notices.watch("one", lambda _: False) as second:
            assert notices.watching == 2
            notices.post(instance)
            assert await first.next(asyncio.sleep(1)) == instance
            assert await first.next(asyncio.sleep(1)) is None
            assert await second.next(asyncio.sleep(1)) is None
        assert notices.watching == 0
        assert not notices._watchers

    in_virtual_time(scenario)
