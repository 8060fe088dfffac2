"""Starting instances: what is stored, who begins them, and what becomes of an id that is taken."""

from __future__ import annotations

import inspect

import pytest

from perdure.client import Client
from perdure.core.codec import decode_message
from perdure.core.messages import Start
from perdure.errors import DataError, InstanceExistsError, UnknownFunctionError

MEBIBYTE = "x" * (1024 * 1024)


def echo(context):
    return context.get_input()


def wait(context):
    return (yield context.wait_for_external_event("go"))


async def control_messages(hub):
    """Take all visible messages of the control queue."""
    queue = f"{hub.storage.hub.lower()}-control"
    return [decode_message(message.body) for message in await hub.storage.receive(queue, count=32, invisibility=3600)]


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, "text", {"a": [1, None]}, "x" * 40_000])
async def test_inputs_and_outputs_come_back_as_they_are(hub, client, value):
    hub.orchestrator(echo)
    instance_id = await client.start_new("echo", client_input=value)
    await client.wait_for_completion(instance_id, 10)
    status = await client.get_status(instance_id, show_input=True)
    assert (status.input_, status.output) == (value, value)
    assert (type(status.input_), type(status.output)) == (type(value), type(value))


async def test_a_mebibyte_goes_in_and_out(hub, client):
    hub.orchestrator(echo)
    instance_id = await client.start_new("echo", client_input=MEBIBYTE)
    status = await client.wait_for_completion(instance_id, 10)
    assert status.output == MEBIBYTE
    assert status.input_ is None
    assert (await client.get_status(instance_id, show_input=True)).input_ == MEBIBYTE


async def test_ids_are_made_where_none_is_given(hub, client):
    hub.orchestrator(echo)
    ids = {await client.start_new("echo") for _ in range(3)}
    assert len(ids) == 3
    assert all(len(each) == 32 and int(each, 16) for each in ids)


async def test_the_function_itself_may_stand_for_its_name(hub, client):
    hub.orchestrator(echo)
    status = await client.wait_for_completion(await client.start_new(echo, client_input=1), 10)
    assert (status.name, status.output) == ("echo", 1)


@pytest.mark.parametrize(("given", "stored"), [(None, "1.0"), ("2.0", "2.0")])
async def test_versions(hub, given, stored):
    worker = await hub.add_worker()
    hub.orchestrator(echo)
    client = Client(hub.storage, worker=worker.engine, default_version="1.0")
    instance_id = await client.start_new("echo", version=given)
    assert (await hub.storage.read_instance(instance_id)).version == stored


async def test_without_a_worker_the_message_is_visible_at_once(hub, lonely):
    instance_id = await lonely.start_new("whatever", "one", {"a": 1})
    (message,) = await control_messages(hub)
    row = await hub.storage.read_instance(instance_id)
    assert message == Start(to="one", id=f"{row.execution_id}/start", execution_id=row.execution_id)
    assert (row.status, row.name, row.input) == ("Pending", "whatever", '{"a":1}')


async def test_a_repeated_start_of_a_pending_instance_sends_its_message_again(hub, lonely):
    """A client that died between row and message is healed by its own retry."""
    await lonely.start_new("order", "one", 1)
    (first,) = await control_messages(hub)
    await lonely.start_new("ORDER", "one", MEBIBYTE)
    (again,) = await control_messages(hub)
    assert again == first
    assert (await hub.storage.read_instance("one")).input == "1"
    assert await hub.storage.list_payloads("one") == []


async def test_a_pending_instance_of_another_name_keeps_its_id(lonely):
    await lonely.start_new("order", "one")
    with pytest.raises(InstanceExistsError, match=r"'one' is in use by an orchestration 'order' that is Pending"):
        await lonely.start_new("invoice", "one")


async def test_a_running_instance_keeps_its_id(hub, client):
    hub.orchestrator(wait)
    await client.start_new("wait", "one")
    await hub.reaches("one", lambda instance: instance.status == "Running")
    with pytest.raises(InstanceExistsError, match="Running"):
        await client.start_new("wait", "one", MEBIBYTE)
    assert await hub.storage.list_payloads("one") == []


async def test_an_ended_instance_is_replaced(hub, client):
    hub.orchestrator(echo)
    await client.start_new("echo", "one", MEBIBYTE)
    await client.wait_for_completion("one", 10)
    before = await hub.storage.read_instance("one")
    await client.start_new("echo", "one", 2)
    assert (await client.wait_for_completion("one", 10)).output == 2
    assert (await hub.storage.read_instance("one")).execution_id != before.execution_id
    assert await hub.storage.list_payloads("one") == []


async def test_an_unknown_name_is_told_with_those_there_are(hub, client):
    hub.orchestrator(echo)
    hub.orchestrator(wait)
    with pytest.raises(UnknownFunctionError, match=r"named 'ecco'; this app has: 'echo', 'wait'"):
        await client.start_new("ecco", "one")
    assert await hub.storage.read_instance("one") is None


@pytest.mark.parametrize("instance_id", ["", "x" * 257, "\ud800"])
async def test_impossible_ids_are_refused(lonely, instance_id):
    with pytest.raises(ValueError, match="an instance id"):
        await lonely.start_new("order", instance_id)


async def test_an_input_without_a_json_form_stores_nothing(hub, lonely):
    with pytest.raises(DataError, match="the input of orchestration 'order'"):
        await lonely.start_new("order", "one", object())
    assert await hub.storage.read_instance("one") is None


async def test_help_does_not_print_the_environment():
    assert "environ: 'Mapping[str, str] | None' = None" in str(inspect.signature(Client.open))


async def test_the_environment_says_where_a_hub_is(tmp_path, monkeypatch):
    monkeypatch.setenv("Store", f"sqlite:///{tmp_path}/hub.db")
    async with Client.open("Hub1", "Store") as client:
        assert client.task_hub_name == "Hub1"


async def test_a_hub_is_opened_by_connection(tmp_path):
    environ = {"Store": f"sqlite:///{tmp_path}/hub.db"}
    async with Client.open("Hub1", "Store", environ=environ) as client:
        await client._storage.create()
        assert client.task_hub_name == "Hub1"
        assert not await client.get_status("one")
