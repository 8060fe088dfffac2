"""Entities through the client: signals, states, lists, the clean-up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from perdure.client import Client, EntityQuery
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.messages import Operate
from perdure.engine.clock import SystemClock
from perdure.engine.deleting import delete_instance
from perdure.errors import DataError
from tests.client.test_starting import MEBIBYTE, control_messages
from tests.client.test_status import Overtaken

A = EntityId("Log", "a")


class Seen(BaseModel):
    operations: list[str]


class Unseen(BaseModel):
    nothing: int


class Later(SystemClock):
    """The clock of a client that lives two hours later."""

    def now(self):
        return super().now() + timedelta(hours=2)


def log(context):
    """Remember operations and inputs."""
    if context.operation_name == "fail":
        raise ValueError("on purpose")
    context.set_state({"operations": [*context.get_state(dict).get("operations", []), context.get_input()]})


@pytest.fixture
async def client(hub):
    hub.registry.entities.add("Log", EntityDefinition(log))
    worker = await hub.add_worker()
    return Client(hub.storage, worker=worker.engine)


async def performed(client, entity_id, number):
    """Wait until an entity has performed so many operations; return their inputs."""
    async with asyncio.timeout(30):
        while True:
            found = await client.read_entity_state(entity_id)
            if len(inputs := found.entity_state["operations"] if found else []) >= number:
                return inputs
            await asyncio.sleep(0.005)


async def gone(client, entity_id):
    async with asyncio.timeout(30):
        while await client.read_entity_state(entity_id):
            await asyncio.sleep(0.005)


# ---- signals -----------------------------------------------------------------------------------------------------


async def test_signals_take_effect_in_order_and_once(client):
    for number in range(50):
        await client.signal_entity(A, "note", number)
    assert await performed(client, A, 50) == list(range(50))


@pytest.mark.parametrize("value", [None, 0, False, "", [], {"a": 1}, MEBIBYTE])
async def test_inputs_arrive_as_they_are(client, value):
    await client.signal_entity(A, "note", value)
    assert await performed(client, A, 1) == [value]


async def test_both_generations_of_names(client):
    await client.signal_entity(entityId=A, operation_name="note", operation_input=1)
    await client.signal_entity(entity_id="@log@a", operation="note", input=2)
    assert await performed(client, A, 2) == [1, 2]
    with pytest.raises(TypeError, match="two values for 'operation_input'"):
        await client.signal_entity(A, "note", operation_input=1, input=2)


async def test_a_signal_for_later_has_a_time(lonely):
    with pytest.raises(TypeError, match="signal_time is a datetime, not timedelta"):
        await lonely.signal_entity(A, "note", 1, signal_time=timedelta(hours=1))


async def test_a_signal_for_later_is_a_message_for_later(hub, lonely):
    due = datetime(2030, 1, 1, tzinfo=UTC)
    await lonely.signal_entity(A, "note", 1, signal_time=due.replace(tzinfo=None))
    assert await control_messages(hub) == []
    await lonely.signal_entity(A, "note", 1, signal_time=datetime(2020, 1, 1, tzinfo=UTC))
    (message,) = await control_messages(hub)
    assert isinstance(message, Operate)
    assert message.due == datetime(2020, 1, 1, tzinfo=UTC)


async def test_what_is_no_signal(lonely):
    for entity, operation, data, error in [
        ("counter", "add", None, ValueError),
        (3, "add", None, TypeError),
        (A, "", None, ValueError),
        (A, "note", object(), DataError),
    ]:
        with pytest.raises(error):
            await lonely.signal_entity(entity, operation, data)


# ---- states ------------------------------------------------------------------------------------------------------


async def test_states(client):
    assert not await client.read_entity_state(A)
    await client.signal_entity(A, "note", "x")
    await performed(client, A, 1)
    found = await client.read_entity_state("@LOG@a")
    assert (found.entity_exists, found.entity_state) == (True, {"operations": ["x"]})
    assert (await client.read_entity_state(A, expected_type=Seen)).entity_state == Seen(operations=["x"])
    with pytest.raises(DataError, match="the state of entity '@log@a'"):
        await client.read_entity_state(A, expected_type=Unseen)
    await client.delete_entity(A)
    await gone(client, A)


@pytest.mark.parametrize("happens", ["note", "delete"])
async def test_a_large_state_that_goes_while_it_is_read(hub, client, happens):
    """The payload that a row names is gone once it is asked for: there is a newer row then."""
    large = "x" * 100_000
    await client.signal_entity(A, "note", large)
    await performed(client, A, 1)

    async def overtake():
        await (client.delete_entity(A) if happens == "delete" else client.signal_entity(A, "note", 2))
        await (gone(client, A) if happens == "delete" else performed(client, A, 2))

    found = await Client(Overtaken(hub.storage, overtake)).read_entity_state(A)
    assert found.entity_state == (None if happens == "delete" else {"operations": [large, 2]})
    assert found.entity_exists is (happens == "note")


async def test_one_entity_and_what_is_known_of_it(client):
    before = datetime.now(UTC)
    assert await client.get_entity(A) is None
    await client.signal_entity(A, "note", "x")
    await performed(client, A, 1)
    entity = await client.get_entity(A)
    assert (entity.id, entity.id.name, entity.exists, entity.includes_state) == (A, "Log", True, True)
    assert (entity.backlog_queue_size, entity.locked_by) == (0, None)
    assert before <= entity.last_modified <= datetime.now(UTC)
    assert entity.get_state(Seen) == Seen(operations=["x"])
    assert (await client.get_entity(A, include_state=False)).state is None


# ---- lists -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def several(hub, client):
    """A client of a hub with entities of two names; one of them has been deleted."""
    hub.registry.entities.add("Logger", EntityDefinition(log))
    for name, keys in (("Log", ["a", "a@b", "b", "A", "ä/1"]), ("Logger", ["a"])):
        for key in keys:
            await client.signal_entity(EntityId(name, key), "note", key)
            await performed(client, EntityId(name, key), 1)
    await client.delete_entity(EntityId("Log", "b"))
    await gone(client, EntityId("Log", "b"))
    return client


def keys(entities):
    return {(entity.id.name, entity.id.key) for entity in entities}


async def test_lists(several):
    everything = {("Log", "a"), ("Log", "a@b"), ("Log", "A"), ("Log", "ä/1"), ("Logger", "a")}
    assert keys(await several.list_entities()) == everything
    assert keys(await several.list_entities("LOG")) == everything - {("Logger", "a")}
    assert keys(await several.list_entities("log", "a")) == {("Log", "a"), ("Log", "a@b")}
    assert keys(await several.list_entities("Log", include_transient=True)) == everything - {("Logger", "a")} | {
        ("Log", "b")
    }
    assert {entity.state is None for entity in await several.list_entities()} == {True}
    listed = await several.list_entities("Logger", include_state=True)
    assert [entity.state for entity in listed] == [{"operations": ["a"]}]
    with pytest.raises(ValueError, match="needs the name of the entities"):
        await several.list_entities(key_prefix="a")


async def test_lists_by_time(several):
    moment = (await several.get_entity(EntityId("Logger", "a"))).last_modified
    assert keys(await several.list_entities(last_modified_from=moment)) == {("Logger", "a")}
    assert len(await several.list_entities(last_modified_to=moment)) == 5
    assert len(await several.list_entities(last_modified_to=moment - timedelta(microseconds=1))) == 4


async def test_lists_by_pages(several):
    found, continuation = [], None
    while True:
        page = await several.list_entities("Log", top=2, continuation=continuation)
        assert len(page) <= 2
        found += page.entities
        continuation = page.continuation
        if continuation is None:
            break
    assert [str(entity.id) for entity in found] == sorted(str(entity.id) for entity in found)
    assert len(found) == 4


async def test_all_at_once(several):
    query = EntityQuery(instance_id_starts_with="@log@", include_state=False, page_size=1)
    assert len(await several.get_all_entities(query)) == 4
    found = await several.get_all_entities()
    assert len(found) == 5
    assert all(entity.state for entity in found)


# ---- the clean-up ------------------------------------------------------------------------------------------------


async def test_empty_entities_are_removed_once_no_repeat_can_come(hub, several):
    nobody = str(EntityId("Log", "b"))
    assert (await several.clean_entity_storage()).empty_entities_removed == 0
    later = Client(hub.storage, clock=Later())
    assert (await later.clean_entity_storage(remove_empty_entities=False)).empty_entities_removed == 0
    assert await hub.storage.read_instance(nobody) is not None
    assert (await later.clean_entity_storage()).empty_entities_removed == 1
    assert await hub.storage.read_instance(nobody) is None
    assert len(await several.list_entities(include_transient=True)) == 5
    await Client(hub.storage).signal_entity(EntityId("Log", "b"), "note", "again")
    assert await performed(several, EntityId("Log", "b"), 1) == ["again"]


async def test_locks_that_nobody_would_release_are_released(hub, client):
    @hub.orchestrator
    def holder(context):
        yield context.lock_entities([A])
        yield context.create_timer(timedelta(hours=1))

    await client.start_new("holder", "one")
    await hub.reaches(str(A), lambda instance: "lockedBy" in (instance.custom_status or ""))
    assert (await client.get_entity(A)).locked_by == "one"
    await client.signal_entity(A, "note", "waiting")
    await hub.reaches(str(A), lambda instance: "queueSize" in (instance.custom_status or ""))
    assert (await client.get_entity(A)).backlog_queue_size == 1
    assert (await client.clean_entity_storage()).orphaned_locks_released == 0
    assert await delete_instance(hub.storage, await hub.storage.read("one"))
    assert (await client.clean_entity_storage(release_orphaned_locks=False)).orphaned_locks_released == 0
    assert (await client.clean_entity_storage()).orphaned_locks_released == 1
    assert await performed(client, A, 1) == ["waiting"]
    assert (await client.get_entity(A)).locked_by is None
