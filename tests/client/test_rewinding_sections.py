"""Rewinding what failed with entities locked."""

from __future__ import annotations

import pytest

from perdure.core.entities.performing import EntityDefinition
from perdure.errors import InstanceEndedError


async def test_what_failed_inside_a_critical_section_is_not_rewound(hub, client):
    hub.registry.entities.add("account", EntityDefinition(lambda _: None))

    @hub.activity
    def step(_):
        raise ValueError("boom")

    @hub.orchestrator
    async def flow(context):
        async with context.lock_entities(["@account@a"]):
            await context.call_activity("step")

    await client.start_new("flow", "one")
    assert (await client.wait_for_completion("one", 10)).runtime_status == "Failed"
    with pytest.raises(InstanceEndedError, match=r"'one' \('flow'\) failed inside a critical section"):
        await client.rewind("one", "again")
