"""CPU-bound work on one worker process and on two."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.bench import HUB
from benchmarks.measuring import Meter, measured, peak_mib
from benchmarks.stores import ROOT, Place, new_place, open_plain
from perdure.client import Client

_WARM = 4


def scaleout(place: Place, sizes: dict[str, int], _shape: dict[str, float]) -> dict[str, Any]:
    """Seconds of a fan-out on one worker process and on two, and how many times faster two are."""
    one = _with_workers(place, sizes, 1)
    with new_place(place.name) as second:
        two = _with_workers(second, sizes, 2)
    walls = {"one_s": one["wall"], "two_s": two["wall"]}
    return {**two, "figures": {**walls, "speedup": round(one["wall"] / two["wall"], 3)}}


def scaleout_floor(_place: Place, sizes: dict[str, int], _shape: dict[str, float]) -> dict[str, Any]:
    """The same work without the engine."""
    meters = [_burning(sizes, processes) for processes in (1, 2)]
    one, two = (meter.wall for meter in meters)
    return measured(meters[1], {"one_s": one, "two_s": two, "speedup": one / two}) | {"requests": {}}


def _burning(sizes: dict[str, int], processes: int) -> Meter:
    share = str(sizes["activities"] // processes)
    command = [sys.executable, "-m", "benchmarks.burning", share, str(sizes["milliseconds"])]
    meter = Meter()
    with meter:
        running = [subprocess.Popen(command, cwd=ROOT) for _ in range(processes)]
        codes = [each.wait() for each in running]
        if any(codes):
            raise RuntimeError("a process that burns CPU has failed")
    return meter


def _with_workers(place: Place, sizes: dict[str, int], number: int) -> dict[str, Any]:
    with _workers(place, number) as pids:
        meter = Meter(children=pids, store=place.pids)
        asyncio.run(_burn_all(place, sizes, meter))
        peak = max(map(peak_mib, pids))
    return {**measured(meter, {}), "requests": {}, "peak_mib": peak}


async def _burn_all(place: Place, sizes: dict[str, int], meter: Meter) -> None:
    storage = open_plain(place, HUB)
    client = Client(storage)
    await client.wait_for_completion(await client.start_new("burn_all", "warm", [_WARM, 1]))
    with meter:
        amount = [sizes["activities"], sizes["milliseconds"]]
        status = await client.wait_for_completion(await client.start_new("burn_all", "all", amount))
    if status.output != sizes["activities"]:
        raise RuntimeError(f"the fan-out did not complete: {status.output}")
    await storage.close()


@contextmanager
def _workers(place: Place, number: int) -> Iterator[list[int]]:
    """Run so many worker processes; they end when their standard input does."""
    command = [sys.executable, "-m", "benchmarks.burning_worker"]
    running: list[subprocess.Popen[str]] = []
    try:
        for _ in range(number):
            worker = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
            running.append(worker)
            if worker.stdin is None or worker.stdout is None:
                raise RuntimeError("a worker has no pipes")
            worker.stdin.write(f"{place.name} {place.connection}\n")
            worker.stdin.flush()
            if worker.stdout.readline() != "ready\n":
                raise RuntimeError("a worker did not start")
        yield [worker.pid for worker in running]
    finally:
        for worker in running:
            if worker.stdin is not None:
                worker.stdin.close()
            worker.wait(30)
            if worker.stdout is not None:
                worker.stdout.close()
