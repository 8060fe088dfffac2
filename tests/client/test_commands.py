"""Events, termination, purging, and waiting for the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perdure.client import Client
from perdure.core.messages import RaiseEvent, Terminate
from perdure.errors import DataError, InstanceEndedError, InstanceNotEndedError, InstanceNotFoundError
from tests.client.test_starting import MEBIBYTE, control_messages, echo, wait
from tests.client.test_status import Overtaken, marked_as_going


async def ended(client):
    await client.start_new("echo", "done")
    await client.wait_for_completion("done", 10)


# ---- events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [None, 0, False, "", [], {"a": 1}, MEBIBYTE])
async def test_events_arrive_with_their_data(hub, client, data):
    hub.orchestrator(wait)
    await client.start_new("wait", "one")
    await client.raise_event("one", "GO", data)
    output = (await client.wait_for_completion("one", 10)).output
    assert output == data
    assert type(output) is type(data)


async def test_each_event_is_a_message_of_its_own(hub, lonely):
    await lonely.start_new("wait", "one")
    await lonely.raise_event("one", "go")
    await lonely.raise_event("one", "go", None)
    events = [message for message in await control_messages(hub) if isinstance(message, RaiseEvent)]
    assert [(event.name, event.data) for event in events] == [("go", None), ("go", None)]
    assert len({event.id for event in events}) == 2
    assert all(len(event.id) == 32 and int(event.id, 16) for event in events)


async def test_large_event_data_travel_as_a_payload(hub, lonely):
    await lonely.start_new("wait", "one")
    await lonely.raise_event("one", "go", MEBIBYTE)
    _, event = await control_messages(hub)
    assert await hub.storage.list_payloads("one") == [event.data.removeprefix("@")]


@pytest.mark.parametrize("command", ["raise_event", "terminate"])
async def test_commands_to_nobody(lonely, command):
    with pytest.raises(InstanceNotFoundError, match="there is no instance 'one' in task hub 'Hub"):
        await getattr(lonely, command)("one", "go")


@pytest.mark.parametrize("command", ["raise_event", "terminate"])
async def test_commands_to_what_is_being_deleted(hub, lonely, command):
    await lonely.start_new("wait", "one")
    await marked_as_going(hub, "one")
    with pytest.raises(InstanceNotFoundError):
        await getattr(lonely, command)("one", "go")


@pytest.mark.parametrize("command", ["raise_event", "terminate"])
async def test_commands_to_what_has_ended(hub, client, command):
    hub.orchestrator(echo)
    await ended(client)
    with pytest.raises(InstanceEndedError, match=r"instance 'done' \('echo'\) has ended \(Completed\)"):
        await getattr(client, command)("done", "go")


@pytest.mark.parametrize("name", ["", "x" * 1_001, "\ud800"])
async def test_impossible_event_names(lonely, name):
    await lonely.start_new("wait", "one")
    with pytest.raises(ValueError, match="an external event's name"):
        await lonely.raise_event("one", name)


async def test_event_data_without_a_json_form(lonely):
    await lonely.start_new("wait", "one")
    with pytest.raises(DataError, match="the data of event 'go'"):
        await lonely.raise_event("one", "go", float("nan"))


# ---- termination -------------------------------------------------------------------------------------------------


async def test_termination_is_meant_for_one_execution(hub, lonely):
    await lonely.start_new("wait", "one")
    await lonely.terminate("one", "", recursive=False)
    (message,) = [message for message in await control_messages(hub) if isinstance(message, Terminate)]
    execution_id = (await hub.storage.read_instance("one")).execution_id
    assert (message.reason, message.recursive, message.execution_id) == ("", False, execution_id)


@pytest.mark.parametrize("recursive", [True, False])
async def test_children_are_terminated_unless_told_otherwise(hub, client, recursive):
    hub.orchestrator(wait)

    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("wait", instance_id="child"))

    await client.start_new("parent", "parent")
    await hub.reaches("child", lambda instance: instance.status == "Running")
    await client.terminate("parent", "enough", recursive=recursive)
    assert (await client.wait_for_completion("parent", 10)).output == "enough"
    if not recursive:
        await client.raise_event("child", "go", "alone")
    child = await client.wait_for_completion("child")
    assert (child.runtime_status, child.output) == (("Terminated", "enough") if recursive else ("Completed", "alone"))


async def test_a_long_reason_is_refused(lonely):
    await lonely.start_new("wait", "one")
    with pytest.raises(ValueError, match="the reason of a termination has at most 4000"):
        await lonely.terminate("one", "x" * 4_001)


# ---- purging -----------------------------------------------------------------------------------------------------


async def test_purging_leaves_nothing(hub, client):
    hub.orchestrator(echo)
    await client.start_new("echo", "one", MEBIBYTE)
    await client.wait_for_completion("one", 10)
    assert (await client.purge_instance_history("one")).instances_deleted == 1
    assert await hub.storage.read("one") is None
    assert await hub.storage.list_payloads("one") == []
    assert (await client.purge_instance_history("one")).to_json() == {"instancesDeleted": 0}


async def test_only_what_has_ended_is_purged(hub, client):
    hub.orchestrator(wait)
    await client.start_new("wait", "one")
    with pytest.raises(InstanceNotEndedError, match=r"instance 'one' \('wait'\) is \w+: .* Terminate it first"):
        await client.purge_instance_history("one")
    assert await client.get_status("one")


async def test_a_purge_that_broke_off_is_finished(hub, client):
    hub.orchestrator(echo)
    await ended(client)
    await marked_as_going(hub, "done")
    assert (await client.purge_instance_history("done")).instances_deleted == 1
    assert await hub.storage.read("done") is None


# ---- waiting -----------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self):
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.pauses = []

    def now(self):
        return self.time

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.time += timedelta(seconds=seconds)


@pytest.mark.parametrize("longest", [5, 5.0, timedelta(seconds=5)])
async def test_waiting_ends(lonely, hub, longest):
    clock = Clock()
    client = Client(hub.storage, clock=clock)
    await client.start_new("wait", "one")
    with pytest.raises(TimeoutError, match=r"instance 'one' \('wait'\) is still Pending after 5 s"):
        await client.wait_for_completion("one", longest)
    assert sum(clock.pauses) == pytest.approx(5)
    assert clock.pauses[:3] == pytest.approx([0.02, 0.03, 0.045], rel=0.2), (
        "longer each time, and not in step with others"
    )
    assert max(clock.pauses) <= 1.2


async def test_what_is_purged_at_its_very_end_does_not_exist(hub, client):
    @hub.orchestrator
    def shout(context):
        return "x" * 40_000

    await client.start_new("shout", "one")
    await client.wait_for_completion("one", 10)

    async def purge():
        await client.purge_instance_history("one")

    with pytest.raises(InstanceNotFoundError):
        await Client(Overtaken(hub.storage, purge)).wait_for_completion("one")


async def test_a_wait_of_nothing_looks_once(hub, client):
    hub.orchestrator(echo)
    await ended(client)
    assert (await client.wait_for_completion("done", 0)).runtime_status == "Completed"


async def test_waiting_for_nobody(lonely):
    with pytest.raises(InstanceNotFoundError):
        await lonely.wait_for_completion("one")


async def test_what_blocks_is_told_when_waiting_ends(hub, lonely):
    await lonely.start_new("order", "one")
    await hub.add_worker()
    await hub.reaches("one", lambda instance: instance.reason is not None)
    with pytest.raises(TimeoutError, match="blocked: no orchestrator function is named 'order'"):
        await lonely.wait_for_completion("one", 0)
