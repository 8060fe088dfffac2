"""One measurement, in this process: `python -m benchmarks.measure` reads what to do from standard input, as JSON, and
prints what it measured.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any, TypedDict

from benchmarks.bench import Bench
from benchmarks.stores import Place
from benchmarks.workloads import WORKLOADS, InBench


class Order(TypedDict):
    """What is to be measured."""

    workload: str
    floor: bool
    """The workload's floor, rather than itself."""
    store: str
    connection: str
    pids: list[int]
    sizes: dict[str, int]
    shape: dict[str, float]
    """What a floor needs to know of the workload's writes."""


def carry_out(order: Order) -> dict[str, Any]:
    """Measure, and return figures."""
    workload = WORKLOADS[order["workload"]]
    place = Place(order["store"], order["connection"], tuple(order["pids"]))
    hosted = workload.hosted_floor if order["floor"] else workload.hosted
    if hosted is not None:
        return hosted(place, order["sizes"], order["shape"])
    work = workload.floor if order["floor"] else workload.run
    if work is None:
        raise ValueError(f"{order['workload']} has no floor")
    return asyncio.run(_in_bench(place, order, work))


async def _in_bench(place: Place, order: Order, work: InBench) -> dict[str, Any]:
    bench = Bench(place, order["sizes"])
    bench.shape = order["shape"]
    try:
        await bench.create()
        figures = await work(bench)
        return bench.record(figures)
    finally:
        await bench.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.stdout.write(json.dumps(carry_out(json.load(sys.stdin))) + "\n")
