import asyncio
from functools import partial

import pytest

from perdure.errors import SettingsError
from perdure.storage.rows import InstanceQuery
from tests.storage.providers import memory_provider, new_hub, new_row, sqlite_provider


async def test_creating_a_hub_again_and_at_the_same_time_is_fine(provider):
    hub = new_hub()
    storages = [provider.open(hub) for _ in range(4)]

    await asyncio.gather(*(storage.create() for storage in storages))
    await storages[0].insert(new_row())
    await storages[1].create()

    assert await storages[2].read("one") is not None


async def test_hubs_are_apart(provider):
    base = new_hub()
    hubs = [provider.open(name) for name in (base, base + "b", base + "bInstances")]
    for number, hub in enumerate(hubs):
        await hub.create()
        await hub.insert(new_row(name=str(number)))
        await hub.put_payload("one", "p", str(number).encode())
        await hub.put_segment("one", "s", str(number).encode())

    await hubs[1].destroy()

    for number in (0, 2):
        assert (await hubs[number].read("one")).instance.name == str(number)
        assert await hubs[number].get_payload("one", "p") == str(number).encode()
        assert await hubs[number].get_segments("one", ["s"]) == [str(number).encode()]
        assert len((await hubs[number].query(InstanceQuery())).instances) == 1


async def test_a_hub_is_destroyed_with_everything_in_it_but_not_its_queues(provider, storage, queue):
    await storage.insert(new_row(tail=[b"turn"]))
    await storage.put_payload("one", "p", b"x")
    await storage.put_segment("one", "s", b"x" * 10**6)
    await storage.send(queue, "still here")

    await storage.destroy()
    await storage.destroy()
    await storage.create()

    assert await storage.read("one") is None
    assert (await storage.query(InstanceQuery())).instances == []
    assert await storage.list_payloads("one") == []
    assert await storage.list_segments("one") == []
    assert (await provider.receive_one(storage, queue)).body == "still here"


@pytest.mark.parametrize("make_provider", [memory_provider, partial(sqlite_provider, None)], ids=["memory", "sqlite"])
async def test_the_case_of_a_hubs_name_does_not_matter(make_provider):
    # nor does it on Azure; Azurite tells tables apart by case
    provider = make_provider()
    await provider.open("orders").insert(new_row())

    assert await provider.open("ORDERS").read("one") is not None

    await provider.close()


@pytest.mark.parametrize("hub", ["", "1a", "a-b", "a_b", "é", "a" * 46, "a\n"])
async def test_a_hub_that_azure_could_not_name_is_refused(provider, hub):
    with pytest.raises(SettingsError, match="hubName"):
        provider.open(hub)
