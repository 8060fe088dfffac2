"""An entity is no orchestration: under its id there is none, and none can be started."""

from __future__ import annotations

import pytest

from perdure.client import Client, ReuseId
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.errors import DataError, InstanceNotFoundError, UnknownFunctionError
from perdure.testing.recorded_history import record_history

ENTITY = "@counter@a"
NO_INSTANCE = rf"there is no instance '{ENTITY}' in task hub 'Hub.*': this is the id of an entity"


def counter(context):
    if context.operation_name == "add":
        context.set_state(context.get_state(lambda: 0) + context.get_input())
    elif context.operation_name == "start":
        context.start_new_orchestration("echo", None, context.get_input())
    context.set_result(context.get_state())


def echo(context):
    return context.get_input()


@pytest.fixture
async def busy(hub):
    """A client of a hub with an entity that has a state."""
    hub.registry.entities.add("Counter", EntityDefinition(counter))
    hub.orchestrator(echo)
    worker = await hub.add_worker()
    client = Client(hub.storage, worker=worker.engine)
    await client.signal_entity(EntityId("counter", "a"), "add", 7)
    await hub.reaches(ENTITY, lambda instance: instance.output == "7")
    return client


async def test_its_status_is_nobodys(busy):
    assert not await busy.get_status(ENTITY)
    assert not await busy.get_status(ENTITY, True, True, True)
    assert await busy.get_orchestration_state(ENTITY) is None
    assert await busy.get_orchestration_history(ENTITY) == []


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("raise_event", ["go"]),
        ("terminate", ["enough"]),
        ("suspend", ["a pause"]),
        ("resume", ["go on"]),
        ("rewind", ["again"]),
        ("restart", []),
        ("restart", [False]),
        ("wait_for_completion", [1]),
        ("wait_for_start", [1]),
    ],
)
async def test_commands(busy, command, arguments):
    with pytest.raises(InstanceNotFoundError, match=NO_INSTANCE):
        await getattr(busy, command)(ENTITY, *arguments)


async def test_its_history_is_not_recorded(busy):
    with pytest.raises(InstanceNotFoundError, match=NO_INSTANCE):
        await record_history(busy, ENTITY)


@pytest.mark.parametrize("recursive", [False, True])
async def test_purging_spares_it(busy, recursive):
    await busy.start_new("echo", "one")
    await busy.wait_for_completion("one", 10)
    assert (await busy.purge_instance_history(ENTITY, recursive=recursive)).instances_deleted == 0
    assert (await busy.purge_instance_history_by(recursive=recursive)).instances_deleted == 1
    assert (await busy.read_entity_state(ENTITY)).entity_state == 7


async def test_it_is_not_among_orchestrations(busy):
    assert await busy.get_status_all() == []
    assert await busy.get_status_by(instance_id_prefix="@") == []


@pytest.mark.parametrize("reuse", [None, *ReuseId])
@pytest.mark.parametrize("instance_id", [ENTITY, "@Counter@b", "@nobody@x@y"])
async def test_nothing_is_started_under_its_id(hub, busy, instance_id, reuse):
    with pytest.raises(ValueError, match=rf"'{instance_id}' is the id of an entity.*choose another"):
        await busy.start_new("echo", instance_id, reuse=reuse)
    assert await hub.storage.read_instance("@nobody@x@y") is None


async def test_ids_that_only_look_alike(busy):
    for instance_id in ("@", "@@", "@counter", "@counter@", "@@a", "counter@a", " @counter@a"):
        await busy.start_new("echo", instance_id, instance_id)
        assert (await busy.wait_for_completion(instance_id, 10)).output == instance_id


async def test_children_and_events(hub, busy):
    @hub.orchestrator
    def parent(context):
        found = []
        for attempt in (
            lambda: context.call_sub_orchestrator("echo", None, ENTITY),
            lambda: context.send_event(ENTITY, "go"),
        ):
            try:
                attempt()
            except ValueError as error:
                found.append(str(error))
        return found

    await busy.start_new("parent", "one")
    child, event = (await busy.wait_for_completion("one", 10)).output
    assert child.startswith("'@counter@a' is the id of an entity")
    assert event.startswith("'@counter@a' is the id of an entity")


async def test_entities_start_nothing_under_it(hub, busy):
    @hub.orchestrator
    def asking(context):
        return (yield context.call_entity(EntityId("counter", "a"), "start", "@counter@b"))

    await busy.start_new("asking", "one")
    status = await busy.wait_for_completion("one", 10)
    assert "'@counter@b' is the id of an entity" in status.output
    assert (await busy.read_entity_state(ENTITY)).entity_state == 7


async def test_entities_that_the_app_does_not_have(busy):
    told = "no entity function is named 'conter'; this app has: 'Counter'"
    with pytest.raises(UnknownFunctionError, match=told):
        await busy.signal_entity(EntityId("conter", "a"), "add", 1)
    with pytest.raises(UnknownFunctionError, match=told):
        await busy.delete_entity("@conter@a")
    with pytest.raises(DataError):
        await busy.signal_entity(EntityId("counter", "a"), "add", {1, object()})


async def test_a_client_without_a_worker_knows_no_names(hub, lonely):
    await lonely.signal_entity(EntityId("conter", "a"), "add", 1)
    assert await hub.storage.queue_length(f"{hub.storage.hub.lower()}-control") == 1
