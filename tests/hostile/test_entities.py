"""The client's methods for entities and what they are given."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings

from perdure.client import Client, EntityQuery
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.messages import Operate
from perdure.errors import DataError
from perdure.storage.memory import MemoryStorage
from tests.hostile.inputs import INJECTIONS, LARGE, NO_TEXTS, PATHS, SURROGATES, contents, nested, texts
from tests.storage.providers import new_hub

BEYOND = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
NO_ENTITIES = [*NO_TEXTS, *SURROGATES, "", "@", "@@", "@name@", "@@key", "key", "@name@" + "k" * 251, "@name@\ud800"]


@pytest.mark.parametrize("entity", NO_ENTITIES)
async def test_a_hostile_entity_id(client, untouched, entity):
    calls = [
        lambda: client.signal_entity(entity, "op", LARGE),
        lambda: client.delete_entity(entity),
        lambda: client.read_entity_state(entity),
        lambda: client.get_entity(entity),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError), match="entity"):
            await call()
    untouched()


@pytest.mark.parametrize("part", [*NO_TEXTS, *SURROGATES, "", "x" * 1_001])
def test_a_hostile_part_of_an_entity_id(part):
    with pytest.raises((ValueError, TypeError), match=r"an entity's name|name and key of an entity"):
        EntityId(part, "key")
    with pytest.raises((ValueError, TypeError), match=r"an entity's key|key of an entity"):
        EntityId("name", part)


@pytest.mark.parametrize("operation", [*NO_TEXTS, *SURROGATES, "", "o" * 1_001])
async def test_a_hostile_name_of_an_operation(client, untouched, operation):
    with pytest.raises((ValueError, TypeError), match="operation's name"):
        await client.signal_entity("@name@key", operation, LARGE)
    untouched()


@pytest.mark.parametrize("time", ["soon", 5, BEYOND])
async def test_a_hostile_time_of_a_signal(client, untouched, time):
    with pytest.raises((ValueError, TypeError), match="signal_time"):
        await client.signal_entity("@name@key", "op", LARGE, signal_time=time)
    untouched()


async def test_an_input_without_a_json_form(client, untouched):
    for data in (float("nan"), nested(1_000_000), object(), {object(): 1}):
        with pytest.raises(DataError, match="the input of operation 'op'"):
            await client.signal_entity("@name@key", "op", [LARGE, data])
    untouched()


async def test_hostile_lists(client):
    for name in (*NO_TEXTS[1:], *SURROGATES, "a@b", ""):
        with pytest.raises((ValueError, TypeError), match="entity's name"):
            await client.list_entities(name)
    for prefix in (*NO_TEXTS[1:], *SURROGATES, "k" * 257):
        with pytest.raises((ValueError, TypeError), match="prefix"):
            await client.list_entities("name", prefix)
        with pytest.raises((ValueError, TypeError), match="prefix"):
            await client.get_all_entities(EntityQuery(instance_id_starts_with=prefix))
    for bound in ("last_modified_from", "last_modified_to"):
        for time in ("yesterday", 5, BEYOND):
            with pytest.raises((ValueError, TypeError), match=bound):
                await client.list_entities("name", **{bound: time})
    for top in (0, 1_001, "x", None):
        with pytest.raises((ValueError, TypeError), match="page"):
            await client.list_entities("name", top=top)
    with pytest.raises(TypeError, match="EntityQuery"):
        await client.get_all_entities({"instance_id_starts_with": "@"})


async def test_an_entity_is_no_orchestration_to_be_found_or_purged_by_its_prefix(client, storage, untouched):
    await client.start_new("f", "@nearly")
    untouched_again = contents(storage)
    assert (await client.list_entities()).entities == []
    assert [each.instance_id for each in await client.get_status_by(instance_id_prefix="@")] == ["@nearly"]
    assert (await client.purge_instance_history("@name@key")).instances_deleted == 0
    assert contents(storage) == untouched_again


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=texts, key=texts, operation=texts)
async def test_texts_of_any_kind_are_taken_as_they_are_or_refused_without_effect(name, key, operation):
    storage = MemoryStorage(new_hub())
    await storage.create()
    queue = f"{storage.hub.lower()}-control"
    await storage.create_queue(queue)
    client, held = Client(storage), contents(storage)
    try:
        await client.signal_entity(EntityId(name, key), operation, LARGE)
    except (ValueError, TypeError):
        assert contents(storage) == held
        return
    (sent,) = await storage.receive(queue, count=2, invisibility=1)
    message = await _opened(client, sent.body)
    assert (message.to, message.operation) == (f"@{name.lower()}@{key}", operation)
    assert json.loads(await client._payloads.text(message.to, message.input)) == LARGE


async def _opened(client: Client, body: str) -> Operate:
    message = await client._mail.open(body)
    assert isinstance(message, Operate)
    return message


@pytest.mark.parametrize("key", [*INJECTIONS, *PATHS])
async def test_keys_that_mean_something_elsewhere_are_keys_like_others(hub, key):
    def tally(context):
        context.set_state((context.get_state() or 0) + 1)

    hub.registry.entities.add("tally", EntityDefinition(tally))
    client = Client(hub.storage, worker=(await hub.add_worker()).engine)
    await client.signal_entity(EntityId("tally", key), "add")
    await client.signal_entity(EntityId("tally", "other"), "add")
    await hub.quiet()
    assert (await client.read_entity_state(EntityId("tally", key))).entity_state == 1
    assert [each.id.key for each in await client.list_entities("tally", key)] == [key]
