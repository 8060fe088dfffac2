"""The client under the names of the Durable Task SDK, and its results."""

from __future__ import annotations

from decimal import Decimal

import pytest

from perdure.client import OrchestrationFailedError, OrchestrationQuery
from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.errors import DataError, InstanceEndedError, InstanceNotEndedError, InstanceNotFoundError
from tests.client.test_starting import echo, wait


@pytest.fixture
def apps(hub):
    broken = {"pay": True}

    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("failing", None, f"{context.instance_id}-child"))

    @hub.orchestrator
    def failing(context):
        return (yield context.call_activity("pay"))

    def pay(_):
        if broken["pay"]:
            raise ConnectionError("no bank")
        return "paid"

    hub.registry.activities.add("pay", pay)
    hub.orchestrator(echo)
    hub.orchestrator(wait)
    return broken


async def test_schedule_wait_and_read(client, apps):
    instance_id = await client.schedule_new_orchestration("echo", input="1.50", instance_id="one", tags={"a": "b"})
    state = await client.wait_for_orchestration_completion(instance_id)
    assert state.runtime_status is Status.Completed
    assert (state.get_output(Decimal), state.get_input(Decimal)) == (Decimal("1.50"), Decimal("1.50"))
    assert (state.serialized_output, state.serialized_input) == ('"1.50"', '"1.50"')
    assert (state.serialized_custom_status, state.get_custom_status(Decimal)) == (None, None)
    assert (state.created_at, state.last_updated_at) == (state.created_time, state.last_updated_time)
    assert (state.tags, state.to_json()["tags"]) == ({"a": "b"}, {"a": "b"})
    assert state.failure_details is None
    state.raise_if_failed()
    with pytest.raises(DataError, match="the output of instance 'one' is no set"):
        state.get_output(set[int])


async def test_states(client, apps):
    assert await client.get_orchestration_state("none") is None
    await client.schedule_new_orchestration("wait", instance_id="one", input=7, tags={"k": "1"})
    started = await client.wait_for_orchestration_start("one", fetch_payloads=True)
    assert (started.runtime_status, started.get_input()) == (Status.Running, 7)
    assert (await client.get_orchestration_state("one", fetch_payloads=False)).input_ is None
    await client.schedule_new_orchestration("echo", instance_id="two", tags={"k": "2"})
    await client.wait_for_orchestration_completion("two")
    everything = await client.get_all_orchestration_states()
    assert {each.instance_id for each in everything} == {"one", "two"}
    query = OrchestrationQuery(runtime_status=[Status.Running], fetch_inputs_and_outputs=True)
    [running] = await client.get_all_orchestration_states(query)
    assert (running.instance_id, running.input_) == ("one", 7)
    [tagged] = await client.get_all_orchestration_states(OrchestrationQuery(tags={"k": "2"}))
    assert tagged.instance_id == "two"
    assert len(await client.get_all_orchestration_states(OrchestrationQuery(max_instance_count=1))) == 1
    history = await client.get_orchestration_history("two")
    assert [each["EventType"] for each in history] == ["ExecutionStarted", "ExecutionCompleted"]
    assert await client.get_orchestration_history("none") == []


async def test_commands(client, apps):
    await client.schedule_new_orchestration("wait", instance_id="one")
    await client.suspend_orchestration("one", reason="wait")
    await client.raise_orchestration_event("one", "go", data=5)
    await client.resume_orchestration("one")
    assert (await client.wait_for_orchestration_completion("one")).output == 5
    for output, shown in (("enough", "enough"), ({"why": 1}, '{"why":1}'), (None, "")):
        await client.schedule_new_orchestration("wait", instance_id="two")
        await client.terminate_orchestration("two", output=output)
        state = await client.wait_for_orchestration_completion("two")
        assert (state.runtime_status, state.output) == (Status.Terminated, shown)
    assert await client.restart_orchestration("two") == "two"
    assert await client.restart_orchestration("one", restart_with_new_instance_id=True) not in ("one", "two")


async def test_a_failed_instance_tells_why_and_goes_back(hub, client, apps):
    await client.schedule_new_orchestration("parent", instance_id="one")
    state = await client.wait_for_orchestration_completion("one")
    with pytest.raises(OrchestrationFailedError, match="failed: sub-orchestration 'failing' failed") as caught:
        state.raise_if_failed()
    assert caught.value.failure_details.is_caused_by(ConnectionError)
    apps["pay"] = False
    await client.rewind_orchestration("one", reason="the bank is back")
    await hub.reaches("one", lambda instance: instance.status != Status.Failed)
    state = await client.wait_for_orchestration_completion("one")
    assert (state.output, state.failure_details) == ("paid", None)


async def test_only_failed_instances_can_be_rewound(client, apps):
    with pytest.raises(InstanceNotFoundError):
        await client.rewind("none", "why")
    await client.start_new("echo", "ended")
    await client.wait_for_completion("ended", 10)
    with pytest.raises(InstanceEndedError, match="is Completed: only failed ones can be rewound"):
        await client.rewind("ended", "why")
    await client.start_new("wait", "running")
    with pytest.raises(InstanceNotEndedError, match="only failed ones can be rewound"):
        await client.rewind("running", "why")


async def test_purging_with_children(hub, client, apps):
    for instance_id in ("one", "two", "three"):
        await client.start_new("parent", instance_id)
        await client.wait_for_completion(instance_id, 10)
    await hub.quiet()
    result = await client.purge_orchestration("one")
    assert (result.deleted_instance_count, result.instances_deleted) == (2, 2)
    assert not await client.get_status("one-child")
    assert (await client.purge_instance_history("two")).instances_deleted == 1
    assert await client.get_status("two-child")
    assert (await client.purge_orchestrations_by(runtime_status=[Status.Failed], recursive=True)).instances_deleted == 3
    assert await client.get_status_all() == []


async def test_children_of_others_and_running_ones_stay(hub, client, apps):
    @hub.orchestrator
    def leaving(context):
        context.call_sub_orchestrator("wait", None, "left")
        yield context.call_activity("pay")

    await client.start_new("leaving", "one")
    await client.wait_for_completion("one", 10)
    await hub.turns("left", 1)
    assert (await client.purge_orchestration("one")).instances_deleted == 1
    assert (await client.get_status("left")).runtime_status is Status.Running


async def test_purging_by_tags(client, apps):
    for number in range(3):
        await client.start_new("echo", f"e{number}", tags={"batch": str(number % 2)})
        await client.wait_for_completion(f"e{number}", 10)
    assert (await client.purge_instance_history_by(tags={"batch": "0"})).instances_deleted == 2
    assert [each.instance_id for each in await client.get_status_all()] == ["e1"]
