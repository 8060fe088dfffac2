"""What a piece of work costs in storage requests, counted at the HTTP transport on Azurite."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from perdure.engine.worker import Worker
from perdure.storage.azure.storage import AzureStorage
from perdure.storage.connection import AzureConnection, resolve_connection
from tests.scenarios.hub import Hub
from tests.storage.providers import new_hub

EXPECTED = Counter({"table:insert": 1, "queue:put": 1, "table:merge": 3, "queue:delete": 1})
"""A start message, a row inserted with the first turn, a commit for each of three more, an acknowledgement."""


@pytest.mark.azurite
async def test_a_chain_of_three_activities(azurite, capsys):
    """The worker runs what is started in it and polls nothing: receives are the Functions host's requests."""
    connection = resolve_connection("Storage", {"Storage": azurite.connection_string})
    assert isinstance(connection, AzureConnection)
    counts: Counter[str] = Counter()
    name = new_hub()
    counted = AzureStorage(connection, name, observer=lambda kind: counts.update([kind]))
    watching = Hub(lambda: AzureStorage(connection, name))

    @watching.orchestrator
    def chain(context):
        one = yield context.call_activity("hello", "Tokyo")
        two = yield context.call_activity("hello", "Seattle")
        three = yield context.call_activity("hello", "London")
        return [one, two, three]

    @watching.activity
    async def hello(city):
        return f"Hello {city}!"

    engine = Worker(counted, watching.registry)
    await engine.create_hub()
    first = engine.starting.row("first", "chain", execution_id="e", input_="null")
    await engine.starting.insert(first)
    await engine.start(first)
    await watching.ended("first")
    while await watching.storage.queue_length(engine.queues.control[0]):
        await asyncio.sleep(0.01)
    counts.clear()
    row = engine.starting.row("one", "chain", execution_id="e", input_="null")
    assert await engine.begin(row)
    await watching.ended("one")
    while await watching.storage.queue_length(engine.queues.control[0]):
        await asyncio.sleep(0.01)
    with capsys.disabled():
        sys.stdout.write(f"\n3-activity chain, start to finish: {counts.total()} requests: {dict(counts)}\n")
    assert counts == EXPECTED
    await engine.stop()
    await counted.close()
    await watching.close()
