"""What an operation of an entity costs in storage requests when many are signalled, and how many share a commit."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from perdure.client import Client
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.storage.azure.storage import AzureStorage
from perdure.storage.connection import AzureConnection, resolve_connection
from perdure.storage.counting import CountingStorage
from perdure.storage.opening import open_storage
from tests.scenarios.hub import Hub
from tests.storage.providers import new_hub

SIGNALS, ENTITIES, CLIENTS = 600, 3, 6


def counter(context):
    context.set_state(context.get_state(lambda: 0) + context.get_input())


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def counted(request, tmp_path):
    """A way to open the storage of a hub, and what has been asked of it by all who have."""
    counts: Counter[str] = Counter()
    name = new_hub()
    if request.param == "azurite":
        connection = resolve_connection("S", {"S": request.getfixturevalue("azurite").connection_string})
        assert isinstance(connection, AzureConnection)
        return lambda: AzureStorage(connection, name, observer=lambda kind: counts.update([kind])), counts
    connection = resolve_connection("S", {"S": f"sqlite:///{tmp_path / 'hub.db'}"})

    def opened():
        storage = CountingStorage(open_storage(connection, name))
        storage.counts = counts
        return storage

    return opened, counts


async def test_signals_under_load(counted, capsys):
    open_counted, counts = counted
    hub = Hub(open_counted)
    hub.registry.entities.add("counter", EntityDefinition(counter))
    hub.settings = EngineSettings(reorder_window=1)
    await Worker(hub.storage, hub.registry).create_hub()
    clients = [Client(hub.storage) for _ in range(CLIENTS)]
    counts.clear()

    async def signal_all(client, first):
        for number in range(first, SIGNALS, CLIENTS):
            await client.signal_entity(EntityId("counter", str(number % ENTITIES)), "add", 1)

    await asyncio.gather(*(signal_all(client, first) for first, client in enumerate(clients)))
    await hub.add_worker()
    await hub.add_worker()
    await hub.quiet()

    asked = counts.total() - counts["queue_length"] - counts["queue:length"]
    commits = sum(counts[kind] for kind in ("insert", "replace", "table:insert", "table:replace"))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{SIGNALS} signals to {ENTITIES} entities: {asked / SIGNALS:.2f} requests each, {commits} commits: "
            f"{dict(counts)}\n"
        )
    states = await clients[0].list_entities("counter", include_state=True)
    assert [entity.state for entity in states] == [SIGNALS // ENTITIES] * ENTITIES
    assert asked / SIGNALS <= 3.5
    assert 0 < commits < SIGNALS / 2
    await hub.close()
