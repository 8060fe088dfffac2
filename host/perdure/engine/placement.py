"""Placement: where each activity and timer that a turn schedules is carried out. Pure.

A lone activity runs in place: its work is likely smaller than a queue hop, and nothing else could run meanwhile.
Everything else goes to the queue, where all workers share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

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


class Situation(msgspec.Struct, frozen=True):
    """What the policy looks at besides the actions."""

    now: datetime
    anchor_age: float
    """Seconds since the message that would be the anchor came."""
    anchor_budget: float
    activities_free: bool
    """Whether this worker could begin an activity at once."""
    short_timer: float
    knows: Callable[[str], bool]
    """Whether this worker has an activity of this name."""


def place(actions: Sequence[Action], situation: Situation) -> list[Action]:
    """Return the actions with each activity's and timer's placement decided."""
    if any(isinstance(action, OrchestrationCompleted | ContinuedAsNew) for action in actions):
        return list(actions)
    in_time = situation.anchor_age < situation.anchor_budget
    lone = sum(isinstance(action, TaskScheduled) for action in actions) == 1
    canceled = {action.no for action in actions if isinstance(action, TimerCanceled)}
    placed: list[Action] = []
    for action in actions:
        where: Placement = "queue"
        if isinstance(action, TaskScheduled) and lone and in_time and _may_run_here(action, situation):
            where = "here"
        if isinstance(action, TimerCreated) and in_time and action.no not in canceled:
            wait = action.fire_at - situation.now
            where = "here" if wait <= timedelta(seconds=situation.short_timer) else "queue"
        if isinstance(action, TaskScheduled | TimerCreated) and where != action.placement:
            placed.append(msgspec.structs.replace(action, placement=where))
        else:
            placed.append(action)
    return placed


def _may_run_here(action: TaskScheduled, situation: Situation) -> bool:
    return situation.activities_free and not action.pinned and situation.knows(action.name)
