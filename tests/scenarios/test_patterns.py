"""Each pattern that people write, over every provider."""

from __future__ import annotations

import asyncio
import random
import threading
from datetime import timedelta

import pytest

from perdure.core.failure import TaskFailedError
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import activity_context


async def test_chain_of_sync_and_async_activities(hub):
    @hub.orchestrator
    def chain(context):
        first = yield context.call_activity("add", [1, 2])
        return (yield context.call_activity("double", first))

    @hub.activity
    def add(numbers):
        assert threading.current_thread() is not threading.main_thread()
        return sum(numbers)

    @hub.activity
    async def double(number):
        await asyncio.sleep(0)
        return number * 2

    await hub.add_worker()
    assert await hub.output(await hub.start("chain")) == 6
    assert await hub.output(await hub.start("chain", eager=False)) == 6
    await hub.quiet()


@pytest.mark.parametrize("value", [0, "", False, [], None, {"a": [1, None]}, "üñí 😀 \u0000 \ud800"])
async def test_every_json_value_survives(hub, value):
    @hub.orchestrator
    def echo(context):
        context.set_custom_status(context.get_input())
        return (yield context.call_activity("same", context.get_input()))

    @hub.activity
    def same(given):
        return given

    await hub.add_worker()
    assert await hub.output(await hub.start("echo", value)) == value


async def test_fan_out_and_in(hub):
    @hub.orchestrator
    async def fan(context):
        return sum(await context.task_all([context.call_activity("square", n) for n in range(context.get_input())]))

    @hub.activity
    async def square(number):
        return number * number

    await hub.add_worker()
    assert await hub.output(await hub.start("fan", 60)) == sum(n * n for n in range(60))
    await hub.quiet()


async def test_timers_long_and_short_and_cancelled(hub):
    @hub.orchestrator
    def sleep(context):
        began = context.current_utc_datetime
        yield context.create_timer(timedelta(milliseconds=50))
        long = context.create_timer(timedelta(days=30))
        work = context.call_activity("work")
        assert (yield context.task_any([long, work])) is work
        long.cancel()
        return (context.current_utc_datetime - began).total_seconds() >= 0.05

    @hub.activity
    def work(_):
        return None

    await hub.add_worker()
    assert await hub.output(await hub.start("sleep")) is True


async def test_a_timer_through_the_queue(hub):
    @hub.orchestrator
    def sleep(context):
        yield context.create_timer(timedelta(seconds=1))
        return "slept"

    await hub.add_worker(short_timer=0)
    assert await hub.output(await hub.start("sleep")) == "slept"


async def test_events_before_and_after_they_are_waited_for(hub):
    @hub.orchestrator
    async def approval(context):
        context.set_custom_status("waiting")
        names = [await context.wait_for_external_event("name") for _ in range(3)]
        late = await context.wait_for_external_event("late", timeout=timedelta(hours=1))
        return [*names, late]

    await hub.add_worker()
    instance_id = await hub.start("approval")
    for name in ("a", "b", "c"):
        await hub.raise_event(instance_id, "Name", name)
    await hub.reaches(instance_id, lambda instance: instance.custom_status == '"waiting"')
    await hub.raise_event(instance_id, "late", {"ok": True})
    *names, late = await hub.output(instance_id)
    assert sorted(names) == ["a", "b", "c"]
    assert late == {"ok": True}


async def test_an_event_that_does_not_come(hub):
    @hub.orchestrator
    async def approval(context):
        try:
            await context.wait_for_external_event("go", timeout=timedelta(milliseconds=100))
        except TimeoutError:
            return "escalated"

    await hub.add_worker()
    assert await hub.output(await hub.start("approval")) == "escalated"


async def test_children_their_results_and_failures(hub):
    @hub.orchestrator
    def parent(context):
        results = yield context.task_all([context.call_sub_orchestrator("child", n) for n in range(5)])
        try:
            yield context.call_sub_orchestrator("child", -1, f"{context.instance_id}:bad")
        except TaskFailedError as error:
            return [results, error.is_caused_by(ValueError), "negative" in str(error)]

    @hub.orchestrator
    def child(context):
        return (yield context.call_activity("root", context.get_input()))

    @hub.activity
    def root(number):
        if number < 0:
            raise ValueError("negative")
        return number

    await hub.add_worker()
    instance_id = await hub.start("parent")
    assert await hub.output(instance_id) == [[0, 1, 2, 3, 4], True, True]
    bad = await hub.storage.read_instance(f"{instance_id}:bad")
    assert (bad.status, bad.parent_id) == ("Failed", instance_id)


async def test_a_child_id_that_is_in_use_fails_the_call_and_not_the_other_instance(hub):
    @hub.orchestrator
    def parent(context):
        yield context.call_sub_orchestrator("waiting", None, "taken")

    @hub.orchestrator
    def waiting(context):
        yield context.wait_for_external_event("go")

    await hub.add_worker()
    await hub.start("waiting", None, "taken")
    await hub.reaches("taken", lambda instance: instance.status == "Running")
    failed = await hub.ended(await hub.start("parent"))
    assert failed.status == "Failed"
    assert "instance id 'taken' is in use by an orchestration 'waiting' that is Running" in failed.output
    assert (await hub.storage.read_instance("taken")).status == "Running"


async def test_retries(hub):
    tries = []

    @hub.orchestrator
    def retrying(context):
        policy = RetryPolicy(timedelta(milliseconds=20), 5, backoff_coefficient=2)
        return (yield context.call_activity("flaky", None, retry_policy=policy))

    @hub.activity
    def flaky(_):
        tries.append(activity_context().idempotency_key)
        if len(tries) < 3:
            raise OSError("not yet")
        return len(tries)

    await hub.add_worker()
    assert await hub.output(await hub.start("retrying")) == 3
    assert len(set(tries)) == 1  # it is the key of the step, not of the attempt


async def test_continue_as_new_keeps_events_and_status(hub):
    @hub.orchestrator
    def collect(context):
        seen = context.get_input() or []
        if not seen:
            context.set_custom_status("collecting")
        seen.append((yield context.wait_for_external_event("item")))
        if len(seen) < 6:
            context.continue_as_new(seen)
            return None
        return sorted(seen)

    await hub.add_worker()
    instance_id = await hub.start("collect")
    await asyncio.gather(*(hub.raise_event(instance_id, "item", n) for n in range(6)))
    assert await hub.output(instance_id) == [0, 1, 2, 3, 4, 5]
    instance = await hub.storage.read_instance(instance_id)
    assert (instance.generation, instance.custom_status) == (5, '"collecting"')


async def test_termination_ends_children_too(hub):
    @hub.orchestrator
    def parent(context):
        yield context.call_sub_orchestrator("waiting", None, f"{context.instance_id}:child")

    @hub.orchestrator
    def waiting(context):
        yield context.wait_for_external_event("never")

    await hub.add_worker()
    instance_id = await hub.start("parent")
    child = f"{instance_id}:child"
    await hub.reaches(child, lambda instance: instance.status == "Running")
    await hub.terminate(instance_id, "enough")
    assert (await hub.ended(instance_id)).status == "Terminated"
    ended = await hub.ended(child)
    assert (ended.status, ended.output) == ("Terminated", '"enough"')


async def test_large_data_goes_everywhere(hub):
    size = 200_000

    @hub.orchestrator
    def large(context):
        text = yield context.call_activity("grow", context.get_input())
        echoed = yield context.call_sub_orchestrator("echo", text)
        event = yield context.wait_for_external_event("more")
        context.set_custom_status(len(event))
        return echoed + event

    @hub.orchestrator
    def echo(context):
        return context.get_input()
        yield

    @hub.activity
    def grow(text):
        return text + "b" * size

    await hub.add_worker()
    instance_id = await hub.start("large", "a" * size)
    await hub.raise_event(instance_id, "more", "c" * size)
    assert await hub.output(instance_id) == "a" * size + "b" * size + "c" * size


async def test_a_large_custom_status_is_kept_once(hub):
    @hub.orchestrator
    def telling(context):
        for letter in "abc":
            context.set_custom_status(letter * 100_000)
            yield context.call_activity("nothing")
        context.set_custom_status("d" * 100_000)

    hub.registry.activities.add("nothing", lambda _: None)
    await hub.add_worker()
    instance_id = await hub.start("telling")
    instance = await hub.ended(instance_id)
    assert await hub.engine.payloads.text(instance_id, instance.custom_status) == f'"{"d" * 100_000}"'
    await hub.quiet()
    assert len(await hub.storage.list_payloads(instance_id)) == 1


async def test_a_turn_larger_than_a_row_and_a_history_longer_than_one(hub):
    """A fan-out of 600 with 2 KB of incompressible input each is one turn of more than a megabyte."""

    @hub.orchestrator
    async def big(context):
        noise = [f"{context.random().getrandbits(8_000):x}" for _ in range(600)]
        lengths = await context.task_all([context.call_activity("measure", each) for each in noise])
        for _ in range(8):
            await context.call_activity("measure", "")
        return [len(lengths), sum(lengths) == sum(map(len, noise))]

    @hub.activity
    async def measure(text):
        return len(text)

    await hub.add_worker(tail_turns=3)
    instance_id = await hub.start("big")
    assert await hub.output(instance_id, 60) == [600, True]
    row = await hub.storage.read(instance_id)
    assert len(row.segments) > 1


async def test_many_large_events_survive_continue_as_new(hub):
    """Sixty unconsumed events of 5 KB are more than a row holds beside its history."""

    @hub.orchestrator
    def collect(context):
        if context.get_input() is None:
            yield context.wait_for_external_event("begin")
            context.continue_as_new("second")
            return None
        return (yield context.task_all([context.wait_for_external_event("item") for _ in range(60)]))

    await hub.add_worker()
    instance_id = await hub.start("collect")
    noise = [f"{n:02d}{random.Random(n).getrandbits(20_000):x}" for n in range(60)]
    for text in noise:
        await hub.raise_event(instance_id, "item", text)
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    await hub.quiet()
    await hub.raise_event(instance_id, "begin")
    assert sorted(await hub.output(instance_id)) == noise
    assert [name for name in await hub.storage.list_segments(instance_id) if "00000000-" in name] == []


async def test_two_workers_share_and_every_instance_ends_once(hub):
    ran = []

    @hub.orchestrator
    async def work(context):
        first = await context.call_activity("step", [context.instance_id, 0])
        both = await context.task_all([context.call_activity("step", [context.instance_id, n]) for n in (1, 2)])
        return [first, *both]

    @hub.activity
    async def step(what):
        ran.append(tuple(what))
        return what[1]

    await hub.add_worker()
    await hub.add_worker()
    ids = await asyncio.gather(*(hub.start("work", eager=False) for _ in range(20)))
    assert [await hub.output(each) for each in ids] == [[0, 1, 2]] * 20
    assert len(ran) == len(set(ran)) == 60


async def test_a_worker_that_stops_hands_its_work_over(hub):
    gate = asyncio.Event()

    @hub.orchestrator
    def chain(context):
        yield context.call_activity("first")
        yield context.call_activity("second")
        return "through"

    ran = []

    @hub.activity
    async def first(_):
        ran.append("first")

    @hub.activity
    async def second(_):
        ran.append("second")
        if ran.count("second") == 1:
            gate.set()
            await asyncio.sleep(3600)

    leaving = await hub.add_worker()
    instance_id = await hub.start("chain", eager=False)
    await gate.wait()
    await hub.add_worker()
    await leaving.stop()
    hub.workers.remove(leaving)
    assert await hub.output(instance_id) == "through"
    assert ran == ["first", "second", "second"]


async def test_a_suspended_instance_records_what_comes_and_goes_on_when_it_is_resumed(hub):
    @hub.orchestrator
    def flow(context):
        first = yield context.wait_for_external_event("item")
        second = yield context.call_activity("double", first)
        return [first, second]

    hub.registry.activities.add("double", lambda number: number * 2)
    first = await hub.add_worker()
    instance_id = await hub.start("flow")
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    await hub.suspend(instance_id)
    await hub.reaches(instance_id, lambda instance: instance.status == "Suspended")
    await hub.raise_event(instance_id, "item", 21)
    await hub.suspend(instance_id)
    await hub.quiet()
    row = await hub.turns(instance_id, 3)
    assert row.instance.status == "Suspended"

    await first.stop()
    hub.workers.clear()
    await hub.add_worker()
    await hub.resume(instance_id)
    assert await hub.output(instance_id) == [21, 42]


async def test_a_suspended_instance_can_be_terminated(hub):
    @hub.orchestrator
    def flow(context):
        yield context.wait_for_external_event("never")

    await hub.add_worker()
    instance_id = await hub.start("flow")
    await hub.suspend(instance_id)
    await hub.reaches(instance_id, lambda instance: instance.status == "Suspended")
    await hub.terminate(instance_id, "enough")
    assert (await hub.ended(instance_id)).status == "Terminated"
