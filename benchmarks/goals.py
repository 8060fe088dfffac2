"""What is to be reached, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.records import Record, Run


@dataclass(frozen=True)
class Goal:
    """A bound for a figure, which is to be at most or at least so large."""

    store: str
    workload: str
    figure: str
    bound: float
    at_least: bool = False
    of_floor: bool = False
    """The bound is a part of the floor's figure in the same run."""


GOALS = (
    Goal("sqlite", "chain", "steps_per_s", 1500, at_least=True),
    Goal("sqlite", "concurrent", "workflows_per_s", 300, at_least=True),
    Goal("sqlite", "fan", "seconds", 0.12),
    Goal("sqlite", "signal", "p50_ms", 3),
    Goal("azurite", "chain", "steps_per_s", 0.75, at_least=True, of_floor=True),
    Goal("azurite", "concurrent", "workflows_per_s", 0.75, at_least=True, of_floor=True),
    Goal("azurite", "fan", "seconds", 0.5),
    Goal("azurite", "signal", "p50_ms", 12),
    Goal("azurite", "start", "p50_ms", 30),
    *(Goal(store, "long", "ratio", 1.3) for store in ("sqlite", "azurite")),
    *(Goal(store, "scaleout", "speedup", 1.7, at_least=True) for store in ("sqlite", "azurite")),
    Goal("azurite", "idle", "requests_per_hour", 300),
    *(Goal(store, "idle", "import_s", 0.35) for store in ("sqlite", "azurite")),
    *(Goal(store, "idle", "resident_mib", 110) for store in ("sqlite", "azurite")),
)


@dataclass(frozen=True)
class Verdict:
    """A goal, and what a run says of it."""

    goal: Goal
    value: float
    bound: float
    holds: bool


def verdicts(run: Run) -> Iterator[Verdict]:
    """Yield a verdict for each goal that the run says something of."""
    for goal in GOALS:
        record = run.find("perdure", goal.store, goal.workload)
        if record is None or goal.figure not in record.figures:
            continue
        bound = _bound(goal, run.find("floor", goal.store, goal.workload))
        if bound is None:
            continue
        value = record.figures[goal.figure]
        yield Verdict(goal, value, bound, value >= bound if goal.at_least else value <= bound)


def _bound(goal: Goal, floor: Record | None) -> float | None:
    if not goal.of_floor:
        return goal.bound
    return None if floor is None else goal.bound * floor.figures[goal.figure]
