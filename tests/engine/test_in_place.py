"""Several activities in place: their outcomes are gathered for a moment, and never for longer; virtual time."""

from __future__ import annotations

import asyncio
import json

from perdure.client import Client
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.storage.memory import MemoryStorage
from perdure.testing.virtual_time import VirtualClock, run_virtual

MOMENT = 0.011


def output_of(orchestrator, activity, seconds):
    """Run an orchestration whose activity has been learnt to be short; return its output and its number of turns."""

    async def run():
        clock = VirtualClock(asyncio.get_running_loop())
        storage = MemoryStorage("hub", clock=lambda: clock.now().timestamp())
        registry = Registry()
        registry.orchestrators.add("orchestrator", orchestrator)
        registry.activities.add("activity", activity)
        worker = Worker(storage, registry, clock=clock)
        await worker.create_hub()
        client = Client(storage, worker=worker, clock=clock)
        await client.start_new("orchestrator", "one")
        status = await client.wait_for_completion("one", timeout=seconds)
        row = await storage.read("one")
        await worker.stop()
        return json.loads(json.dumps(status.output)), len(row.tail)

    return run_virtual(run())


async def takes(seconds):
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time()


def test_an_outcome_does_not_wait_for_an_activity_that_takes_long():
    def first_of_two(context):
        began = yield context.call_activity("activity", 0)
        tasks = [context.call_activity("activity", seconds) for seconds in (0.001, 60)]
        first = yield context.task_any(tasks)
        then = yield context.call_activity("activity", 0)
        assert first is tasks[0]
        return then - began

    seconds, _ = output_of(first_of_two, takes, 120)
    assert seconds <= 0.001 + MOMENT + 0.001


def test_outcomes_of_a_moment_share_a_commit_and_the_last_one_waits_for_nothing():
    def several(context):
        began = yield context.call_activity("activity", 0)
        yield context.task_all([context.call_activity("activity", 0.001 * number) for number in range(6)])
        then = yield context.call_activity("activity", 0)
        return then - began

    seconds, turns = output_of(several, takes, 120)
    assert seconds <= 0.005 + 0.001
    assert turns <= 5, "the start, the first one, all the others once or twice, the last one"


def test_what_nobody_waits_for_any_more_runs_though_its_instance_has_ended_and_its_worker_is_gone():
    def first_of_two(context):
        yield context.call_activity("activity", 0)
        yield context.task_any([context.call_activity("activity", seconds) for seconds in (0.001, 60)])

    async def run():
        clock = VirtualClock(asyncio.get_running_loop())
        storage = MemoryStorage("hub", clock=lambda: clock.now().timestamp())
        registry, done = Registry(), []

        async def activity(seconds):
            await asyncio.sleep(seconds)
            done.append(seconds)

        registry.orchestrators.add("first_of_two", first_of_two)
        registry.activities.add("activity", activity)
        first, second = Worker(storage, registry, clock=clock), Worker(storage, registry, clock=clock)
        await first.create_hub()
        client = Client(storage, worker=first, clock=clock)
        await client.start_new("first_of_two", "one")
        await client.wait_for_completion("one")
        control, work = first.queues.control[0], first.queues.work
        assert await storage.queue_length(control) == 1, "the start message answers for what still runs"
        await first.stop()

        async def deliver(queue, handle):
            (message,) = await storage.receive(queue, count=1, invisibility=100)
            await handle(message)
            await storage.delete_message(queue, message.message_id, message.receipt)

        await deliver(control, lambda start: second.handle_control(start.body, start.message_id, 2))
        await deliver(work, lambda item: second.handle_work(item.body))
        await deliver(control, lambda outcome: second.handle_control(outcome.body, outcome.message_id))
        assert done == [0, 0.001, 60]
        assert [await storage.queue_length(queue) for queue in (control, work)] == [0, 0]
        await second.stop()

    run_virtual(run())
