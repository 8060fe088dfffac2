"""Entities over hours, under faults: streams that are begun anew and forgotten, rows that go and come again, expiry,
signals that are under way while all that happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from perdure.core.context import OrchestrationContext
from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId, is_entity_id
from perdure.engine.registry import Registry
from perdure.testing import Faults, Simulation
from tests.simulation.corpus import Ledger
from tests.simulation.entity_corpus import LARGE
from tests.simulation.entity_playing import EntityPlay

FAULTS = Faults(crash=0.003, lost_answer=0.02, refused=0.003, clocks_differ=2.0, quiet_after=12_000)
LATER, LOCKED = EntityId("tally", "later"), EntityId("tally", "locked")
PAUSES = [1, 20, 32, 62, 5]
"""Minutes: about as long as a stream goes on, as one is remembered, as an empty row stays."""


def tally_of(simulation: Simulation) -> Any:
    async def tally(context: DurableEntityContext) -> int:
        if simulation.random.random() < 0.1:
            await asyncio.sleep(simulation.random.uniform(0, 15))
        before: int = context.get_state(lambda: 0)
        match context.operation_name:
            case "add":
                context.set_state(before + 1)
            case "weigh":
                context.set_state(len(context.get_input()))
            case "take":
                context.destruct_on_exit()
        return before

    return tally


async def collector(context: OrchestrationContext) -> int:
    """Adds and takes away, with pauses; what it takes is what it has added."""
    mine = EntityId("tally", context.instance_id)
    taken = 0
    for pause in PAUSES:
        context.signal_entity(mine, "add")
        context.signal_entity(mine, "add")
        taken += await context.call_entity(mine, "take")
        await context.create_timer(timedelta(minutes=pause))
    return taken


async def sharer(context: OrchestrationContext) -> int:
    """Adds to what others add to, in generations of half an hour."""
    count = context.get_input()
    context.signal_entity(EntityId("shared", "1"), "add")
    await context.create_timer(timedelta(minutes=35))
    await context.call_entity(EntityId("shared", "1"), "add")
    if count < 3:
        context.continue_as_new(count + 1)
    return count


async def delaying(context: OrchestrationContext) -> int:
    """Empties an entity that a large signal is under way to, and locks one that never has a state."""
    context.signal_entity(LATER, "weigh", "x" * LARGE, context.current_utc_datetime + timedelta(minutes=100))
    context.signal_entity(LATER, "add")
    taken = await context.call_entity(LATER, "take")
    async with context.lock_entities([LOCKED]):
        return taken


async def fading(context: OrchestrationContext) -> list[int]:
    """Comes back to an entity before it expires, and after."""
    mine = EntityId("fading", "1")
    seen = []
    for pause in (5, 5, 40, 1):
        seen.append(await context.call_entity(mine, "add"))
        await context.create_timer(timedelta(minutes=pause))
    return seen


STARTS: dict[str, tuple[str, Any, set[str]]] = {
    "collector-1": ("collector", None, {"Completed"}),
    "collector-2": ("collector", None, {"Completed"}),
    "sharer-1": ("sharer", 0, {"Completed"}),
    "sharer-2": ("sharer", 0, {"Completed"}),
    "delaying": ("delaying", None, {"Completed"}),
    "fading": ("fading", None, {"Completed"}),
}
OUTPUTS = {
    "collector-1": 2 * len(PAUSES),
    "collector-2": 2 * len(PAUSES),
    "delaying": 1,
    "fading": [0, 1, 2, 0],
}


class Hours(EntityPlay):
    """A run of several hours."""

    starts = STARTS
    limit = 30_000.0
    workers = 2

    def __init__(self, seed: int, faults: Faults = FAULTS) -> None:
        super().__init__(seed, faults)

    def registry_of(self, simulation: Simulation, ledger: Ledger) -> Registry:
        registry = Registry()
        for orchestrator in (collector, sharer, delaying, fading):
            registry.orchestrators.add(orchestrator.__name__, orchestrator)
        tally = tally_of(simulation)
        for name in ("tally", "shared"):
            registry.entities.add(name, EntityDefinition(tally))
        registry.entities.add("fading", EntityDefinition(tally, expires_after=timedelta(minutes=15)))
        return registry

    def meddling(self) -> list[Coroutine[Any, Any, None]]:
        return [self.clean_up(2_000)]

    def may_stay(self, message: Any) -> bool:
        """All messages come in the end."""
        return False

    async def check_states(self) -> None:
        for instance_id, output in OUTPUTS.items():
            if (got := await self.state(instance_id)) != output:
                self.wrong.append(f"{instance_id} came to {got}, not {output}")
        for entity, state in ((EntityId("shared", "1"), 16), (LATER, LARGE)):
            if (got := await self.state(entity)) != state:
                self.wrong.append(f"{entity} is {got}, not {state}")
        there = {instance_id for instance_id in self.rows if is_entity_id(instance_id)}
        if there != {"@shared@1", str(LATER)}:
            self.wrong.append(f"empty entities are left: {there}")
