"""Work items with several activities: what a worker does with them, in virtual time."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager

import pytest

from perdure.core.codec import decode_message, encode_message
from perdure.core.messages import Completions, Start
from perdure.core.outbox import start_message_id
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.protocol import StorageUnavailable
from perdure.testing.virtual_time import VirtualClock, run_virtual


class Desk:
    """A worker with an orchestration that has scheduled activities, whose messages are delivered by hand."""

    def __init__(self, activity, *, activities: int) -> None:
        clock = VirtualClock(asyncio.get_running_loop())
        self.store = MemoryStore()
        self.storage = MemoryStorage("hub", store=self.store, clock=lambda: clock.now().timestamp())
        self.begun = []
        registry = Registry()

        async def work(number):
            self.begun.append(number)
            return await activity(number)

        def fan(context):
            return (yield context.task_all([context.call_activity("work", number) for number in range(activities)]))

        registry.activities.add("work", work)
        registry.orchestrators.add("fan", fan)
        settings = EngineSettings(max_concurrent_activities=20)
        self.worker = Worker(self.storage, registry, settings, clock=clock)

    async def __aenter__(self):
        await self.worker.create_hub()
        row = self.worker.starting.row("one", "fan", execution_id="e", input_=None)
        await self.worker.starting.insert(row)
        start = Start(to="one", id=start_message_id("e"), execution_id="e")
        await self.worker.handle_control(encode_message(start), "start")
        return self

    async def __aexit__(self, *_error):
        await self.worker.stop()

    def queued(self, queue):
        return [decode_message(message.body) for message in self.store.queues[queue].values()]

    @property
    def items(self):
        """Numbers of the activities in each work item, and whether it may have been sent before."""
        return [([call.no for call in item.calls], item.again) for item in self.queued(self.worker.queues.work)]

    @property
    def outcomes(self):
        """Numbers of the activities in each message that brings outcomes."""
        messages = self.queued(self.worker.queues.control[0])
        return [[item.no for item in message.items] for message in messages if isinstance(message, Completions)]

    async def take(self):
        """Take the oldest work item from its queue, and do not give it back."""
        (message,) = await self.storage.receive(self.worker.queues.work, count=1, invisibility=1_000)
        await self.storage.delete_message(self.worker.queues.work, message.message_id, message.receipt)
        return message.body

    async def pass_on(self):
        """Deliver the outcomes that are queued."""
        queue = self.worker.queues.control[0]
        for message in await self.storage.receive(queue, count=32, invisibility=1_000):
            await self.worker.handle_control(message.body, message.message_id)
            await self.storage.delete_message(queue, message.message_id, message.receipt)


async def at_once(number):
    return number


def desk(scenario, activity=at_once, activities=40):
    """Run a scenario."""

    async def run():
        async with Desk(activity, activities=activities) as there:
            await scenario(there)

    run_virtual(run())


def test_the_outcomes_of_a_batch_share_a_message():
    async def scenario(there):
        assert there.items[0] == ([0, 1, 2], False)
        await there.worker.handle_work(await there.take())
        assert there.outcomes == [[0, 1, 2]]

    desk(scenario)


def test_a_batch_goes_on_without_the_one_that_takes_long():
    async def activity(number):
        await asyncio.sleep(30 if number == 1 else 0)

    async def scenario(there):
        items = there.items
        handling = asyncio.create_task(there.worker.handle_work(await there.take()))
        await asyncio.sleep(0.2)
        assert there.items == [*items[1:], ([2], False)], "somebody else may run it, and has no need to look at the row"
        assert there.outcomes == [[0]]
        assert not handling.done()
        await asyncio.sleep(30)
        await handling
        assert there.outcomes == [[0], [1]]
        assert there.begun == [0, 1]

    desk(scenario, activity)


def test_what_turns_out_to_be_too_much_for_one_batch_is_put_back_in_smaller_ones():
    async def activity(_):
        await asyncio.sleep(0.03)

    async def scenario(there):
        items = there.items
        assert items[0] == (list(range(13)), False)
        await there.worker.handle_work(await there.take())
        assert there.outcomes == [[0, 1, 2, 3, 4]]
        assert there.items == [*items[1:], ([5, 6, 7], False), ([8, 9, 10], False), ([11, 12], False)]

    desk(scenario, activity, activities=200)


def test_a_batch_that_comes_again_is_taken_apart_so_that_a_culprit_in_it_is_alone():
    async def scenario(there):
        items = there.items
        await there.worker.handle_work(await there.take(), dequeue_count=2)
        assert there.items == [*items[1:], ([0], True), ([1], True), ([2], True)]
        assert there.begun == []

    desk(scenario)


def test_so_is_the_copy_of_one_that_lay_under_a_machine_that_was_lost():
    async def scenario(there):
        body = json.loads(await there.take())
        copy = decode_message(json.dumps(body))
        item = type(copy)(instance_id=copy.instance_id, execution=copy.execution, calls=copy.calls, again=True, tries=1)
        await there.worker.handle_work(encode_message(item))
        assert there.items[-3:] == [([0], True), ([1], True), ([2], True)]
        assert there.begun == []

    desk(scenario)


def test_of_a_batch_that_comes_again_what_history_has_is_not_run_again():
    async def scenario(there):
        body = await there.take()
        await there.worker.handle_work(body)
        await there.pass_on()
        items = there.items
        await there.worker.handle_work(body, dequeue_count=2)
        assert there.begun == [0, 1, 2]
        assert (there.items, there.outcomes) == (items, [])

    desk(scenario)


def test_what_is_done_is_told_though_the_next_one_can_not_be():
    async def activity(number):
        return "x" * 40_000 if number == 1 else number

    async def scenario(there):
        async def away(*_args):
            raise StorageUnavailable("the store is away")

        there.storage.put_payload = away
        with pytest.raises(StorageUnavailable):
            await there.worker.handle_work(await there.take())
        assert there.outcomes == [[0]]

    desk(scenario, activity)


def test_one_that_only_other_workers_know_waits_for_them_and_the_others_run():
    async def scenario(there):
        body = (await there.take()).replace('[1,"work"', '[1,"newer"')
        await there.worker.handle_work(body)
        assert there.begun == [0, 2]
        assert there.outcomes == [[0, 2]]
        assert there.items[-1] == ([1], True)

    desk(scenario)


def test_a_batch_that_nobody_could_finish_fails():
    async def scenario(there):
        await there.worker.handle_work(await there.take(), dequeue_count=6)
        (failed,) = there.queued(there.worker.queues.control[0])
        assert [(item.no, item.failure.type) for item in failed.items] == [(no, "ActivityLostError") for no in range(3)]
        assert there.begun == []

    desk(scenario)


@contextmanager
def nothing_sent_to(there, unreachable):
    """A queue can't be written to until the block ends."""
    send = there.storage.send

    async def sending(queue, body, **options):
        if queue == unreachable:
            raise StorageUnavailable("the store is away")
        return await send(queue, body, **options)

    there.storage.send = sending
    try:
        yield
    finally:
        there.storage.send = send


def test_a_batch_that_can_not_be_put_back_comes_again():
    async def activity(number):
        await asyncio.sleep(30 if number == 1 else 0)

    async def scenario(there):
        body = await there.take()
        with nothing_sent_to(there, there.worker.queues.work), pytest.raises(StorageUnavailable):
            await there.worker.handle_work(body)
        await there.worker.handle_work(body, dequeue_count=2)
        assert there.items[-3:] == [([0], True), ([1], True), ([2], True)], "history has the outcome of none yet"

    desk(scenario, activity)


def test_so_does_one_whose_surplus_can_not_be_put_back():
    async def activity(_):
        await asyncio.sleep(0.03)

    async def scenario(there):
        body = await there.take()
        with nothing_sent_to(there, there.worker.queues.work), pytest.raises(StorageUnavailable):
            await there.worker.handle_work(body)
        assert there.begun == [0, 1]
        assert there.outcomes == [[0, 1]], "what is done is told"

    desk(scenario, activity, activities=200)


def test_of_a_generation_that_is_over_nothing_is_run_again():
    async def scenario(there):
        items = there.items
        body = (await there.take()).replace('"e.0"', '"before.0"')
        await there.worker.handle_work(body, dequeue_count=2)
        assert (there.begun, there.outcomes, there.items) == ([], [], items[1:])

    desk(scenario)
