"""Stored data that are damaged or gone: lists show the others, and the broken ones are told by name."""

from __future__ import annotations

import asyncio

import pytest

from perdure.client import Client
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadDamaged, PayloadMissing
from tests.client.test_entities import Later

LARGE = "x" * 40_000
HURT = EntityId("note", "hurt")
DAMAGES = {
    "gone": (None, "gone: payload '{}' does not exist"),
    "no text": (b'"\xff', "damaged: payload '{}' can't be read"),
    "half": (b'{"a', "damaged: payload '{}' can't be read"),
    "empty": (b"", "damaged: payload '{}' can't be read"),
    "deep": (b"[" * 100_000, "damaged: payload '{}' can't be read"),
}


@pytest.fixture
async def hurt(hub, client, request):
    """A hub of ended instances and entities, with large and with small data."""

    def note(context):
        context.set_state(context.get_input())

    @hub.orchestrator
    def echo(context):
        return context.get_input()

    hub.registry.entities.add("note", EntityDefinition(note))
    for key in ("a", "hurt", "z"):
        await client.signal_entity(EntityId("note", key), "set", LARGE)
        await client.start_new("echo", key, LARGE)
    await client.signal_entity(EntityId("note", "small"), "set", "small")
    await client.start_new("echo", "small", "small")
    for key in ("a", "hurt", "small", "z"):
        await client.wait_for_completion(key, 10)
        async with asyncio.timeout(10):
            while not await client.read_entity_state(EntityId("note", key)):
                await asyncio.sleep(0.01)
    await hub.quiet()
    return Client(hub.storage)


async def replace_payloads(hub, instance_id, data):
    """Damage, or delete, what is stored apart of an instance; return the ids."""
    payloads = await hub.storage.list_payloads(instance_id)
    assert payloads
    for payload in payloads:
        if data is None:
            await hub.storage.delete_payloads(instance_id, [payload])
        else:
            await hub.storage.put_payload(instance_id, payload, data)
    return payloads


async def damage_row(hub, instance_id, column):
    row = await hub.storage.read(instance_id)
    setattr(row.instance, column, '{"half')
    await hub.storage.replace(row)


@pytest.mark.parametrize(("data", "reason"), DAMAGES.values(), ids=DAMAGES)
async def test_entities_are_listed_though_the_state_of_one_is_lost(hub, hurt, data, reason):
    (payload,) = await replace_payloads(hub, str(HURT), data)
    listed = {each.id.key: each for each in await hurt.list_entities("note", include_state=True)}
    told = f"its state is {reason.format(payload)}"
    assert {key: (each.state, each.reason) for key, each in listed.items()} == {
        "a": (LARGE, None),
        "hurt": (None, told),
        "small": ("small", None),
        "z": (LARGE, None),
    }
    assert listed["hurt"].exists
    assert [each.reason for each in await hurt.get_all_entities() if each.id == HURT] == [told]
    assert (await hurt.get_entity(HURT)).reason == told
    assert (await hurt.get_entity(HURT, include_state=False)).reason is None
    with pytest.raises((PayloadMissing, StoredDataError), match="@note@hurt"):
        await hurt.read_entity_state(HURT)


@pytest.mark.parametrize("column", ["output", "custom_status"])
async def test_entities_are_listed_without_those_whose_row_is_damaged(hub, hurt, column, caplog):
    await damage_row(hub, str(HURT), column)
    listed = await hurt.list_entities("note", include_state=True)
    assert [each.id.key for each in listed] == ["a", "small", "z"]
    assert "left out of a list: the row of instance '@note@hurt' is damaged" in caplog.text
    with pytest.raises(StoredDataError, match="the row of instance '@note@hurt' is damaged"):
        await hurt.get_entity(HURT)


@pytest.mark.parametrize(("data", "reason"), DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("show_history", [False, True])
async def test_instances_are_listed_though_the_data_of_one_are_lost(hub, hurt, data, reason, show_history):
    await replace_payloads(hub, "hurt", data)
    payload = (await hub.storage.read("hurt")).instance.output[1:]
    told = f"its output is {reason.format(payload)}"
    assert {each.instance_id: (each.output, each.reason) for each in await hurt.get_status_all()} == {
        "a": (LARGE, None),
        "hurt": (None, told),
        "small": ("small", None),
        "z": (LARGE, None),
    }
    status = await hurt.get_status("hurt", show_history, show_history)
    assert (status.runtime_status, status.output, status.reason) == ("Completed", None, told)
    with pytest.raises(PayloadMissing, match="instance 'hurt': its output is"):
        await hurt.wait_for_completion("hurt", 1)


@pytest.mark.parametrize("column", ["output", "custom_status", "failure", "input"])
async def test_instances_are_listed_without_those_whose_row_is_damaged(hub, hurt, column, caplog):
    await damage_row(hub, "hurt", column)
    listed = await hurt.get_status_by(show_input=True)
    assert [each.instance_id for each in listed] == ["a", "small", "z"]
    assert "left out of a list: the row of instance 'hurt' is damaged" in caplog.text
    for show_history in (False, True):
        with pytest.raises(StoredDataError, match="the row of instance 'hurt' is damaged"):
            await hurt.get_status("hurt", show_history, show_input=True)


async def test_what_the_store_can_not_decompress_is_told_as_damaged(hub, hurt):
    (payload,) = await hub.storage.list_payloads(str(HURT))
    get = hub.storage.get_payload

    async def get_payload(instance_id, payload_id):
        if payload_id == payload:
            raise PayloadDamaged(f"The payload {payload_id!r} of {instance_id!r} is damaged: CRC check failed")
        return await get(instance_id, payload_id)

    hub.storage.get_payload = get_payload
    entity = await hurt.get_entity(HURT)
    assert entity.reason == f"its state is damaged: payload '{payload}' can't be read"


async def test_a_clean_up_passes_over_entities_that_cannot_be_read(hub, hurt, caplog):
    for key in ("a", "hurt", "z"):
        row = await hub.storage.read(str(EntityId("note", key)))
        row.instance.output = None
        if key == "hurt":
            row.head = b"\x01garbage"
        await hub.storage.replace(row)
    later = Client(hub.storage, clock=Later())
    cleaned = await later.clean_entity_storage()
    assert cleaned.empty_entities_removed == 2
    assert "'@note@hurt'" in caplog.text
