"""What becomes of instances, activities and messages when something is wrong with them."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core.codec import encode_message
from perdure.core.messages import ActivityCall, RaiseEvent, WorkItem
from perdure.engine.settings import EngineSettings
from perdure.storage.protocol import PayloadMissing

FOREVER = 3600


async def body_of(hub, queue):
    """Take the one message of a queue, as the Functions host does before it moves it to the poison queue."""
    (message,) = await hub.storage.receive(queue, count=1, invisibility=FOREVER)
    await hub.storage.delete_message(queue, message.message_id, message.receipt)
    return message.body


async def test_an_orchestrator_that_nobody_knows_blocks_then_fails(hub):
    await hub.add_worker(unknown_function_timeout=0)
    instance = await hub.ended(await hub.start("nowhere"))
    assert instance.status == "Failed"
    assert "no orchestrator function is named 'nowhere'; this app has: none" in instance.output


async def test_a_deployment_that_knows_the_function_continues_a_blocked_instance(hub):
    hub.settings = EngineSettings(blocked_delay=0.5)
    await hub.add_worker()
    instance_id = await hub.start("late", 5)
    blocked = await hub.reaches(instance_id, lambda instance: instance.reason is not None)
    assert blocked.reason == "blocked: no orchestrator function is named 'late'; this app has: none"

    @hub.orchestrator
    def late(context):
        return context.get_input()

    assert await hub.output(instance_id) == 5
    assert (await hub.storage.read_instance(instance_id)).reason is None


async def test_changed_code_blocks_an_instance_until_it_is_corrected_or_terminated(hub):
    hub.settings = EngineSettings(blocked_delay=0.5)

    def original(context):
        yield context.call_activity("a")
        yield context.wait_for_external_event("go")
        return "done"

    def changed(context):
        yield context.call_activity("b")

    for name in ("a", "b"):
        hub.registry.activities.add(name, lambda _: None)
    hub.registry.orchestrators.add("flow", original)
    first = await hub.add_worker()
    corrected, given_up = await hub.start("flow"), await hub.start("flow")
    for instance_id in (corrected, given_up):
        await hub.turns(instance_id, 2)
    await first.stop()
    hub.workers.clear()

    hub.registry.orchestrators._functions["flow"] = changed
    await hub.add_worker()
    for instance_id in (corrected, given_up):
        await hub.raise_event(instance_id, "go")
        blocked = await hub.reaches(instance_id, lambda instance: instance.reason is not None)
        assert "history records activity 'a' (#0), but the code now asks for activity 'b' (#0)" in blocked.reason
        assert blocked.status == "Running"
    await hub.terminate(given_up, "no use")
    assert (await hub.ended(given_up)).status == "Terminated"

    hub.registry.orchestrators._functions["flow"] = original
    assert await hub.output(corrected) == "done"


async def test_changed_code_may_be_set_to_fail(hub):
    hub.registry.orchestrators.add("flow", lambda context: context.create_timer)
    worker = await hub.add_worker(fail_on_non_determinism=True)

    def original(context):
        yield context.wait_for_external_event("go")

    hub.registry.orchestrators._functions["flow"] = original
    instance_id = await hub.start("flow")
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    await worker.stop()
    hub.workers.clear()
    hub.registry.orchestrators._functions["flow"] = lambda context: context.call_activity("x") and None
    await hub.add_worker(fail_on_non_determinism=True)
    await hub.raise_event(instance_id, "go")
    failed = await hub.ended(instance_id)
    assert failed.status == "Failed"
    assert "NonDeterminismError" in failed.output


async def test_an_unknown_activity_fails_its_task_and_lists_what_there_is(hub):
    @hub.orchestrator
    def flow(context):
        yield context.call_activity("hallo")

    hub.registry.activities.add("hello", lambda name: name)
    await hub.add_worker(unknown_function_timeout=0.1, blocked_delay=0.1)
    failed = await hub.ended(await hub.start("flow"))
    assert "no activity function is named 'hallo'; this app has: 'hello'" in failed.output
    await hub.quiet()


@pytest.mark.parametrize(
    "error",
    [SystemExit(1), asyncio.CancelledError(), StopIteration(), ValueError("no"), KeyboardInterrupt()],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_whatever_an_activity_raises_fails_the_task_only(hub, error, kind):
    @hub.orchestrator
    def flow(context):
        yield context.call_activity(kind)

    def sync(_):
        raise error

    async def asynchronous(_):
        raise error

    hub.registry.activities.add("sync", sync)
    hub.registry.activities.add("async", asynchronous)
    await hub.add_worker()
    failed = await hub.ended(await hub.start("flow"))
    assert failed.status == "Failed"
    assert f"activity '{kind}' failed" in failed.output


async def test_an_activity_message_delivered_too_often_is_a_failed_task(hub):
    @hub.orchestrator
    async def flow(context):
        await context.task_all([context.call_activity("kills", n) for n in range(2)])

    worker = await hub.add_worker()
    gate = asyncio.Event()

    @hub.activity
    async def kills(_):
        await gate.wait()

    instance_id = await hub.start("flow")
    row = await hub.turns(instance_id, 1)
    item = WorkItem(
        instance_id=instance_id, execution=f"{row.instance.execution_id}.0", calls=[ActivityCall(0, "kills", "0")]
    )
    await worker.engine.handle_poisoned_work(encode_message(item))
    failed = await hub.ended(instance_id)
    assert "activity 'kills' was begun 5 times and never came to an end" in failed.output
    gate.set()


async def test_an_activity_in_place_that_ends_its_process_fails_when_its_anchor_is_poisoned(hub):
    @hub.orchestrator
    def flow(context):
        yield context.call_activity("kills")

    begun = asyncio.Event()

    @hub.activity
    async def kills(_):
        begun.set()
        await asyncio.sleep(FOREVER)

    victim = await hub.add_worker()
    queue = victim.engine.queues.control[0]
    instance_id = await hub.start("flow", eager=False)
    await begun.wait()
    await victim.stop()
    hub.workers.clear()
    body = await body_of(hub, queue)

    survivor = await hub.add_worker()
    await survivor.engine.handle_poisoned_control(body, "poison-1")
    failed = await hub.ended(instance_id)
    assert "activity 'kills' was begun 5 times and never came to an end" in failed.output


async def test_a_message_larger_than_the_queue_takes_goes_through_a_payload(hub):
    worker = await hub.add_worker()
    mail = worker.engine.mail
    message = RaiseEvent(to="nobody", id="m", name="go", data='"' + "x" * 70_000 + '"')
    await hub.storage.create_queue("somewhere")
    mail.queue_of = lambda _: "somewhere"
    await mail.send(message)
    body = await body_of(hub, "somewhere")
    assert len(body) < 500
    assert await mail.open(body) == message


async def test_a_vanished_payload_is_told(hub):
    @hub.orchestrator
    def flow(context):
        return (yield context.call_activity("measure", "x" * 50_000))

    hub.registry.activities.add("measure", len)
    worker = await hub.add_worker()

    async def gone(instance_id, payload_id):
        raise PayloadMissing(f"payload {payload_id} of instance '{instance_id}' does not exist")

    worker.engine.storage.get_payload = gone
    failed = await hub.ended(await hub.start("flow"))
    assert "does not exist" in failed.output


async def test_an_event_for_nobody_or_for_an_ended_instance_is_dropped(hub):
    @hub.orchestrator
    def flow(context):
        return 1

    await hub.add_worker()
    instance_id = await hub.start("flow")
    assert await hub.output(instance_id) == 1
    await hub.raise_event(instance_id, "go", "x" * 50_000)
    await hub.raise_event("nobody", "go", "x" * 50_000)
    await hub.quiet()
    assert await hub.storage.list_payloads(instance_id) == []
    assert await hub.storage.list_payloads("nobody") == []
