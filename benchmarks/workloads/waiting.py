"""Orchestrations that wait for events."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from benchmarks.bench import Bench
from benchmarks.measuring import percentile
from perdure.core.context import OrchestrationContext


async def signal(bench: Bench) -> dict[str, float]:
    """Milliseconds from sending an event to seeing the result."""

    @bench.orchestrator
    def waits(context: OrchestrationContext) -> Generator[Any, Any, Any]:
        context.set_custom_status("waits")
        return (yield context.wait_for_external_event("go"))

    bench.serve()
    warm = [f"w{number}" for number in range(5)]
    ids = [f"i{number}" for number in range(bench.sizes["waiting"])]
    await asyncio.gather(*(bench.client.start_new("waits", each) for each in [*warm, *ids]))
    for each in [*warm, *ids]:
        while (await bench.watcher.get_status(each)).custom_status != "waits":
            await asyncio.sleep(0.01)
    for number, each in enumerate([*warm, *ids]):
        if number == len(warm):
            bench.counts.clear()
            bench.meter.walls.clear()
        with bench.meter:
            await bench.client.raise_event(each, "go", 1)
            await bench.completed(each)
    await bench.note_writes(ids[0])
    milliseconds = [wall * 1000 for wall in bench.meter.walls]
    return {"p50_ms": percentile(milliseconds, 0.5), "p95_ms": percentile(milliseconds, 0.95)}
