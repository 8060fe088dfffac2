"""Large states of entities: one payload each, whatever has died on the way."""

import asyncio

from perdure.client import Client
from perdure.core.data import payload_of
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId

LARGE = 40_000
BOOK = EntityId("book", "a")


async def test_what_dead_sessions_have_stored_goes_with_the_next_state(hub):
    def book(context):
        context.set_state(context.get_input())

    hub.registry.entities.add("book", EntityDefinition(book))
    await hub.add_worker()
    client = Client(hub.storage)

    async def write(letter, length):
        await client.signal_entity(BOOK, "write", letter * length)
        async with asyncio.timeout(30):
            while (await client.read_entity_state(BOOK)).entity_state != letter * length:
                await asyncio.sleep(0.01)

    await write("a", LARGE)
    await hub.storage.put_payload(str(BOOK), "state-of-a-session-that-died", b"{}")
    await hub.storage.put_payload(str(BOOK), "the-input-of-a-signal-under-way", b"{}")
    await write("b", LARGE)
    await hub.quiet()
    row = await hub.storage.read(str(BOOK))
    there = {payload_of(row.instance.output), "the-input-of-a-signal-under-way"}
    assert set(await hub.storage.list_payloads(str(BOOK))) == there
    await hub.storage.put_payload(str(BOOK), "state-of-another", b"{}")
    await write("c", 10)
    await hub.quiet()
    assert await hub.storage.list_payloads(str(BOOK)) == ["the-input-of-a-signal-under-way"]
