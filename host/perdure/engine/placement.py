"""Placement: where each activity and timer that a turn schedules is carried out. Pure.

* **In place**, by the session that committed it: a lone activity, since nothing else could run meanwhile and its work
  is likely smaller than a queue hop; and several whose work together is.
* **Batched**: those that are short go several to a work item.
* **Queued**: all others, one work item each, so that they spread over all workers.

How long an activity takes is learnt (`Durations`). Of one that has not run here yet nothing is known: many of them are
batched, and whoever takes such a batch puts back what turns out to be too much (`perdure.engine.work`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil

import msgspec

from perdure.core.actions import (
    Action,
    ContinuedAsNew,
    OrchestrationCompleted,
    Placement,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.messages import ActivityCall

Estimate = Callable[[str], float | None]
"""How many seconds an activity of a name is expected to take; None if nothing is known."""

ENOUGH = 0.1
"""Seconds of work that are worth a queue hop (some requests, and the wait for somebody to look into the queue): as much
as that is done in place, or put into one batch.
"""
BRIEFLY = 1.0
"""Seconds that an anchor is held for in a crowd: others of its queue may wait for that."""
_OVERHEAD = 0.0001
"""Seconds that calling any function takes."""
_SPREAD = 16
"""Activities of which nothing is known go into so many batches, unless those would be too large."""
_LARGEST_BATCH = 100
_LARGEST_UNKNOWN_BATCH = 32
_BATCH_TEXT = 16 * 1024
"""Characters of input that share a work item: as JSON within JSON, in UTF-8, they may take three times as much."""


class Situation(msgspec.Struct, frozen=True):
    """What the policy looks at besides the actions."""

    now: datetime
    anchor_age: float
    """Seconds since the message that would be the anchor came."""
    anchor_budget: float
    activities_free: bool
    """Whether this worker could begin an activity soon."""
    crowded: bool
    """Whether no message should be held for long."""
    short_timer: float
    knows: Callable[[str], bool]
    """Whether this worker has an activity of this name."""
    estimate: Estimate


def place(actions: Sequence[Action], situation: Situation) -> list[Action]:
    """Return the actions with each activity's and timer's placement decided."""
    if any(isinstance(action, OrchestrationCompleted | ContinuedAsNew) for action in actions):
        return list(actions)
    budget = situation.anchor_budget if not situation.crowded else min(situation.anchor_budget, BRIEFLY)
    left = budget - situation.anchor_age
    in_time = left > 0
    longest_wait = min(situation.short_timer, left) if situation.crowded else situation.short_timer
    here = _in_place(actions, situation, left) if in_time else frozenset()
    canceled = {action.no for action in actions if isinstance(action, TimerCanceled)}
    placed: list[Action] = []
    for action in actions:
        where: Placement = "queue"
        if isinstance(action, TaskScheduled) and action.no in here:
            where = "here"
        if isinstance(action, TimerCreated) and in_time and action.no not in canceled:
            wait = action.fire_at - situation.now
            where = "here" if wait <= timedelta(seconds=longest_wait) else "queue"
        if isinstance(action, TaskScheduled | TimerCreated) and where != action.placement:
            placed.append(msgspec.structs.replace(action, placement=where))
        else:
            placed.append(action)
    return placed


def _in_place(actions: Sequence[Action], situation: Situation, left: float) -> frozenset[int]:
    """Return the numbers of the activities that run in place, when the anchor may be held for so many seconds yet."""
    tasks = [action for action in actions if isinstance(action, TaskScheduled)]
    fit = [task for task in tasks if situation.activities_free and not task.pinned and situation.knows(task.name)]
    if situation.crowded:
        fit = [task for task in fit if is_brief(situation.estimate(task.name), left)]
    if len(tasks) > 1:
        known = [(task, seconds) for task in fit if (seconds := situation.estimate(task.name)) is not None]
        fit = [task for task, seconds in known if seconds < ENOUGH]
        if sum(seconds + _OVERHEAD for _, seconds in known if seconds < ENOUGH) > ENOUGH:
            fit = []
    return frozenset(task.no for task in fit)


def is_brief(estimate: float | None, left: float = BRIEFLY) -> bool:
    """Whether an activity may run in place in a crowd, where its anchor may be held for so many seconds yet."""
    return estimate is not None and estimate <= left


def batches(calls: Iterable[ActivityCall], estimate: Estimate, *, trusting: bool = True) -> list[list[ActivityCall]]:
    """Return queued activities as they share work items, in their order.

    Args:
        calls: the activities.
        estimate: see there.
        trusting: batch many of which nothing is known. Otherwise each has a work item of its own.
    """
    calls = list(calls)
    together = min(_LARGEST_UNKNOWN_BATCH, ceil(len(calls) / _SPREAD)) if trusting else 1
    made: list[list[ActivityCall]] = []
    fullness = size = 0.0
    for call in calls:
        seconds = estimate(call.name)
        share = 1 / together if seconds is None else max((seconds + _OVERHEAD) / ENOUGH, 1 / _LARGEST_BATCH)
        weight = len(call.input or "") / _BATCH_TEXT
        if not made or fullness + share > 1 or size + weight > 1:
            made.append([])
            fullness = size = 0.0
        made[-1].append(call)
        fullness, size = fullness + share, size + weight
    return made
