"""The workloads as every peer runs them. Runs in the peers' own environments: standard library only."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.measuring import Meter, measured, percentile


@dataclass(frozen=True)
class Order:
    """What is to be measured."""

    workload: str
    sizes: dict[str, int]
    folder: Path
    """An empty folder for the peer's state, on the project's own disk."""
    home: Path
    """The peer's environment."""


class System(Protocol):
    """What a peer's module offers."""

    async def run(self, function: str, instance_id: str, number: int) -> Any:
        """Run `chain` or `fan` of so many no-op steps, and return its output."""

    async def wait(self, instance_id: str) -> None:
        """Start an orchestration that waits for an event; return when it waits, or will before an event can come."""

    async def signal(self, instance_id: str) -> None:
        """Send it the event, and return when its result has been seen."""


def read_order() -> Order:
    """Read the order from standard input."""
    given = json.load(sys.stdin)
    return Order(given["workload"], given["sizes"], Path(given["folder"]), Path(given["home"]))


async def carry_out(order: Order, system: System, children: list[int] | None = None) -> None:
    """Measure, and print the figures. `children` are processes that do part of the work."""
    meter = Meter(children=children or [])
    figures = await _WORKLOADS[order.workload](system, order.sizes, meter)
    sys.stdout.write(json.dumps(measured(meter, figures)) + "\n")
    sys.stdout.flush()


async def _chain(system: System, sizes: dict[str, int], meter: Meter) -> dict[str, float]:
    await system.run("chain", "warm", 20)
    for number in range(sizes["rounds"]):
        with meter:
            await system.run("chain", f"c{number}", sizes["steps"])
    return {"steps_per_s": sizes["steps"] / meter.wall}


async def _concurrent(system: System, sizes: dict[str, int], meter: Meter) -> dict[str, float]:
    await system.run("chain", "warm", 20)
    for turn in range(sizes["rounds"]):
        with meter:
            ids = [f"c{turn}-{number}" for number in range(sizes["workflows"])]
            await asyncio.gather(*(system.run("chain", each, sizes["steps"]) for each in ids))
    return {"workflows_per_s": sizes["workflows"] / meter.wall}


async def _fan(system: System, sizes: dict[str, int], meter: Meter) -> dict[str, float]:
    await system.run("fan", "warm", 5)
    for number in range(sizes["rounds"]):
        with meter:
            if await system.run("fan", f"f{number}", sizes["activities"]) != sizes["activities"]:
                raise ValueError("results are missing")
    return {"seconds": meter.wall}


async def _signal(system: System, sizes: dict[str, int], meter: Meter) -> dict[str, float]:
    warm = [f"w{number}" for number in range(5)]
    ids = [f"i{number}" for number in range(sizes["waiting"])]
    await asyncio.gather(*(system.wait(each) for each in [*warm, *ids]))
    await asyncio.sleep(1)  # not every system says when an orchestration has begun to wait
    for number, each in enumerate([*warm, *ids]):
        if number == len(warm):
            meter.walls.clear()
        with meter:
            await system.signal(each)
    milliseconds = [wall * 1000 for wall in meter.walls]
    return {"p50_ms": percentile(milliseconds, 0.5), "p95_ms": percentile(milliseconds, 0.95)}


_WORKLOADS: dict[str, Callable[[System, dict[str, int], Meter], Awaitable[dict[str, float]]]] = {
    "chain": _chain,
    "concurrent": _concurrent,
    "fan": _fan,
    "signal": _signal,
}
