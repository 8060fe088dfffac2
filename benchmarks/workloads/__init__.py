"""The workloads, and how large they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import floors
from benchmarks.bench import Bench
from benchmarks.workloads import entities, hosted, scaling, steps, waiting

Figures = dict[str, float]
InBench = Callable[[Bench], Awaitable[Figures]]


@dataclass(frozen=True)
class Workload:
    """One kind of work.

    `small` sizes show that it works, and say nothing of speed. Functions of `run` and `floor` get a bench; those of
    `hosted` and `hosted_floor` get a place and sizes, and run processes of their own.
    """

    tells: str
    sizes: dict[str, int]
    small: dict[str, int]
    key: str
    """The figure that tells most."""
    run: InBench | None = None
    floor: InBench | None = None
    hosted: Callable[..., dict[str, Any]] | None = None
    hosted_floor: Callable[..., dict[str, Any]] | None = None
    pairs: int = 1
    """How often it is measured, in turn with its floor; the middle ones of both are told."""


WORKLOADS = {
    "chain": Workload(
        "one orchestration, no-op activities in sequence",
        {"steps": 100, "rounds": 7},
        {"steps": 20, "rounds": 2},
        "steps_per_s",
        steps.chain,
        floors.chain,
        pairs=3,
    ),
    "concurrent": Workload(
        "orchestrations of five steps each, all started at once",
        {"workflows": 200, "steps": 5, "rounds": 3},
        {"workflows": 10, "steps": 5, "rounds": 1},
        "workflows_per_s",
        steps.concurrent,
        floors.concurrent,
        pairs=3,
    ),
    "fan": Workload(
        "one orchestration, no-op activities at once, joined",
        {"activities": 500, "rounds": 5},
        {"activities": 40, "rounds": 2},
        "seconds",
        steps.fan,
        floors.fan,
        pairs=3,
    ),
    "signal": Workload(
        "waiting orchestrations, each sent an event: from sending it to seeing the result",
        {"waiting": 50},
        {"waiting": 5},
        "p50_ms",
        waiting.signal,
        floors.signal,
        pairs=3,
    ),
    "entity": Workload(
        "signals to entities, from the first one sent to the last one performed",
        {"signals": 1000, "entities": 10},
        {"signals": 60, "entities": 3},
        "signals_per_s",
        entities.entity,
        floors.entity,
    ),
    "long": Workload(
        "one orchestration, steps in sequence: time per step around an early and a late one",
        {"first": 100, "last": 5000, "width": 50},
        {"first": 30, "last": 300, "width": 20},
        "ratio",
        steps.long,
        floors.long,
    ),
    "start": Workload(
        "an HTTP POST that starts a chain of three steps, answered when it has completed",
        {"posts": 100},
        {"posts": 5},
        "p50_ms",
        hosted=hosted.start,
        hosted_floor=hosted.start_floor,
        pairs=3,
    ),
    "scaleout": Workload(
        "CPU-bound activities at once, on one worker process and on two",
        {"activities": 360, "milliseconds": 50},
        {"activities": 12, "milliseconds": 20},
        "speedup",
        hosted=scaling.scaleout,
        hosted_floor=scaling.scaleout_floor,
    ),
    "idle": Workload(
        "a host that has nothing to do, after its first minutes",
        {"settle_s": 130, "watch_s": 240},
        {"settle_s": 3, "watch_s": 5},
        "requests_per_hour",
        hosted=hosted.idle,
    ),
}
