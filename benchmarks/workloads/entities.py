"""Signals to entities."""

from __future__ import annotations

import asyncio

from benchmarks.bench import Bench
from perdure.core.entities.context import DurableEntityContext
from perdure.core.entity_id import EntityId


async def entity(bench: Bench) -> dict[str, float]:
    """Signals a second, from the first one sent to the last one performed."""
    signals, entities = bench.sizes["signals"], bench.sizes["entities"]

    @bench.entity
    def counter(context: DurableEntityContext) -> None:
        context.set_state(context.get_state(lambda: 0) + context.get_input())

    async def performed() -> int:
        return sum(each.state or 0 for each in await bench.watcher.list_entities("counter", include_state=True))

    bench.serve()
    await bench.client.signal_entity(EntityId("counter", "0"), "add", 1)
    while await performed() < 1:
        await asyncio.sleep(0.01)
    bench.counts.clear()
    with bench.meter:
        ids = (EntityId("counter", str(number % entities)) for number in range(signals))
        await asyncio.gather(*(bench.client.signal_entity(each, "add", 1) for each in ids))
        while await performed() < 1 + signals:
            await asyncio.sleep(0.01)
    return {"signals_per_s": signals / bench.meter.wall}
