"""Rewinding: a failed orchestration goes back to before what failed it, and on from there.

History is cut before the turn in which the first of the fatal failures came in. What had happened by then stays, and so
do the outcomes and events that came later for what had been asked for by then, failures aside. What is still open is
asked for anew, under new action numbers: answers to the old ones that are still under way mean nothing any more. What
the code asked for after the cut is forgotten; it is asked for again if the code comes to it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from perdure.core.actions import (
    Action,
    Awaited,
    ChildTerminated,
    ContinuedAsNew,
    OrchestrationCompleted,
    PatchMarked,
    TimerCanceled,
)
from perdure.core.history import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    ExecutionRewound,
    ExecutionTerminated,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    Turn,
)
from perdure.core.state import State

_Success = TaskCompleted | TimerFired | SubOrchestrationCompleted | EntityOperationCompleted
_Failure = TaskFailed | SubOrchestrationFailed | EntityOperationFailed


class Past(msgspec.Struct, frozen=True):
    """Where a rewound orchestration goes on from."""

    kept: list[Turn]
    """Its history from now on."""
    events: list[Event]
    """What its next turn takes in."""
    consumed: list[str]
    """Ids of the messages that the turns cut off had consumed."""


def is_inside_section(turns: Sequence[Turn]) -> bool:
    """Whether an orchestration that has failed would go back into a critical section. Others may have locked its
    entities since, and what it has done in them can't be done again: it is not rewound.

    Args:
        turns: as for `rewound`.
    """
    kept = State(turns=turns[: _cut(turns)])
    return not kept.entered.isdisjoint(kept.unreleased)


def rewound(turns: Sequence[Turn], message_id: str, reason: str) -> Past:
    """Return where an orchestration that has failed goes on from.

    Args:
        turns: the history of its present generation, the end included.
        message_id: id of the message that asks for the rewind.
        reason: why it is asked for.
    """
    cut = _cut(turns)
    kept, gone = list(turns[:cut]), turns[cut:]
    awaited = State(turns=kept).awaited
    events = [event for turn in gone for event in turn.events if _stays(event, awaited)]
    answered = {event.no for event in events if isinstance(event, _Success)}
    numbers = [no for turn in turns for action in turn.actions if (no := _number(action)) is not None]
    again = ExecutionRewound(message_id, reason, max(numbers, default=-1) + 1, sorted(awaited.keys() - answered))
    return Past(kept, [again, *events], [each for turn in gone for each in turn.consumed])


def _cut(turns: Sequence[Turn]) -> int:
    """Return how many turns of a failed orchestration's history stay."""
    end = max((index for index, turn in enumerate(turns) if _ends(turn)), default=None)
    if end is None:
        return len(turns)
    fatal = _fatal(turns, end)
    return next((index for index, turn in enumerate(turns) if fatal & _failed_in(turn)), end)


def _fatal(turns: Sequence[Turn], end: int) -> set[int]:
    """Return the actions whose failures made the orchestration fail: those that its error says it comes from; failing
    that, those that the code asked for nothing after, as one that gathers failures and then raises an error of its own.
    """
    last = next(action for action in turns[end].actions if isinstance(action, OrchestrationCompleted))
    if last.causes:
        return set(last.causes)
    fatal = _failed_in(turns[end])
    for turn in reversed(turns[:end]):
        if not all(isinstance(action, OrchestrationCompleted | TimerCanceled | PatchMarked) for action in turn.actions):
            break
        fatal |= _failed_in(turn)
    return fatal


def _ends(turn: Turn) -> bool:
    return any(isinstance(action, OrchestrationCompleted) for action in turn.actions)


def _failed_in(turn: Turn) -> set[int]:
    return {event.no for event in turn.events if isinstance(event, _Failure)}


def _stays(event: Event, awaited: Mapping[int, Awaited]) -> bool:
    match event:
        case TaskCompleted() | TimerFired() | SubOrchestrationCompleted() | EntityOperationCompleted():
            return event.no in awaited
        case _:
            return not isinstance(event, _Failure | EntityLockGranted | ExecutionRewound | ExecutionTerminated)


def _number(action: Action) -> int | None:
    match action:
        case OrchestrationCompleted() | ContinuedAsNew() | ChildTerminated() | PatchMarked():
            return None
        case _:
            return action.no
