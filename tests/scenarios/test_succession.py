"""What happens to an id when its instance ends, is purged, is begun anew; and messages that come twice or too early."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.codec import encode_message
from perdure.core.data import payload_of
from perdure.core.messages import RaiseEvent, Terminate
from perdure.engine.deleting import start_input_id
from perdure.engine.succession import insert_or_replace, purge
from perdure.errors import InstanceNotEndedError

LARGE = '"' + "x" * 50_000 + '"'


async def new_row(hub, instance_id, name, text="null"):
    engine = hub.engine
    execution_id = engine.new_id()
    datum = await engine.payloads.offload(instance_id, text, start_input_id(execution_id))
    return engine.starting.row(instance_id, name, execution_id=execution_id, input_=datum)


async def test_an_ended_instance_makes_way_and_leaves_nothing(hub):
    @hub.orchestrator
    def echo(context):
        return (yield context.call_activity("same", context.get_input()))

    hub.registry.activities.add("same", lambda value: value)
    await hub.add_worker()
    for _ in range(3):
        row = await new_row(hub, "one", "echo", LARGE)
        assert await insert_or_replace(hub.storage, hub.engine.starting, hub.engine.dispatch, row)
        await hub.engine.start(row)
        assert await hub.output("one") == "x" * 50_000
        await hub.quiet()
    inputs = [each for each in await hub.storage.list_payloads("one") if each.startswith("start-")]
    assert inputs == [payload_of(row.instance.input)]


async def test_the_input_of_a_start_survives_the_purge_of_the_execution_before(hub):
    @hub.orchestrator
    def echo(context):
        return len(context.get_input())

    await hub.add_worker()
    await hub.output(await hub.start("echo", "first", "one"))
    waiting = await new_row(hub, "one", "echo", LARGE)  # its input is stored, its row not yet inserted
    ended = await hub.storage.read("one")
    assert await purge(hub.storage, hub.engine.dispatch, ended)
    await hub.engine.starting.insert(waiting)
    await hub.engine.start(waiting)
    assert await hub.output("one") == 50_000


async def test_a_child_whose_parent_still_waits_cannot_be_purged_and_reports_again(hub):
    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("child", None, "child"))

    @hub.orchestrator
    def child(context):
        return (yield context.call_activity("answer"))

    hub.registry.activities.add("answer", lambda _: 42)
    worker = await hub.add_worker()
    reports = []
    outcome = worker.engine.dispatch.outcome

    async def lost(instance_id, execution, completion, **options):
        if instance_id == "parent" and not reports:
            reports.append(completion)  # as if the worker had died before it was sent
            return
        await outcome(instance_id, execution, completion, **options)

    worker.engine.dispatch.outcome = lost
    await hub.start("parent", None, "parent")
    await hub.ended("child")
    while not reports:
        await hub.turns("child", 1)
    with pytest.raises(InstanceNotEndedError, match="its parent 'parent' has not taken in its outcome yet"):
        await purge(hub.storage, hub.engine.dispatch, await hub.storage.read("child"))
    assert await hub.output("parent") == 42
    await hub.quiet()
    assert await purge(hub.storage, hub.engine.dispatch, await hub.storage.read("child"))


async def test_a_copy_of_a_message_that_has_been_consumed_changes_nothing(hub):
    @hub.orchestrator
    def flow(context):
        yield context.wait_for_external_event("go")
        yield context.wait_for_external_event("end")

    worker = await hub.add_worker()
    instance_id = await hub.start("flow")
    body = encode_message(RaiseEvent(to=instance_id, id="m", name="go", data=None))
    await worker.engine.handle_control(body, "first copy")
    before = await hub.storage.read(instance_id)
    await worker.engine.handle_control(body, "second copy")
    assert (await hub.storage.read(instance_id)).etag == before.etag
    await worker.engine.handle_control(body, "first copy", 2)
    assert (await hub.storage.read(instance_id)).etag != before.etag


async def test_a_termination_waits_for_a_child_that_is_being_started(hub, monkeypatch):
    monkeypatch.setattr("perdure.engine.settling._DELAY_WITHOUT_ROW", 1)

    @hub.orchestrator
    def waiting(context):
        yield context.wait_for_external_event("never")

    worker = await hub.add_worker()
    row = await new_row(hub, "late", "waiting")
    message = Terminate(to="late", id="m", reason="enough", execution_id=row.instance.execution_id)
    await worker.engine.handle_control(encode_message(message), "q")
    await hub.engine.starting.insert(row)
    await hub.engine.start(row)
    assert (await hub.ended("late")).status == "Terminated"


async def test_a_pause_outlives_continue_as_new(hub):
    @hub.orchestrator
    def loop(context):
        if context.get_input() is None:
            yield context.wait_for_external_event("go")
            context.continue_as_new("second")
            return None
        return (yield context.call_activity("answer"))

    hub.registry.activities.add("answer", lambda _: 42)
    worker = await hub.add_worker()
    instance_id = await hub.start("loop")
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    session = worker.engine._sessions.of(instance_id)
    wake, session._wake = session._wake, lambda: None  # both messages come in one batch
    await hub.raise_event(instance_id, "go")
    while not session._in_hand.waiting:
        await hub.turns(instance_id, 1)
        await worker.engine.clock.sleep(0.01)
    await hub.suspend(instance_id)
    while len(session._in_hand.waiting) < 2:
        await worker.engine.clock.sleep(0.01)
    session._wake = wake
    session._wake()
    await hub.reaches(instance_id, lambda instance: instance.status == "Suspended" and instance.generation == 1)
    await hub.resume(instance_id)
    assert await hub.output(instance_id) == 42


async def test_clean_up_code_after_continue_as_new_does_not_stop_the_next_generation(hub):
    @hub.orchestrator
    def flow(context):
        if context.get_input() == "next":
            return "done"
        reminder = context.create_timer(timedelta(hours=1))
        try:
            yield context.call_activity("work")
            context.continue_as_new("next")
            yield reminder
        finally:
            reminder.cancel()
        return None

    @hub.activity
    def work(_):
        return None

    await hub.add_worker()
    assert await hub.output(await hub.start("flow")) == "done"
