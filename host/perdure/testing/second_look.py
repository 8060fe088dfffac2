"""A second look: an orchestrator's turns, run again from history and compared.

Stricter than the engine, which lets the code of running instances change in what does no harm: here the same code is
run twice, so that data and times must be the same, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from perdure.core.actions import (
    Action,
    ContinuedAsNew,
    EntityCalled,
    EntitySignaled,
    EventSent,
    OrchestrationCompleted,
    PatchMarked,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCreated,
)
from perdure.core.history import Turn
from perdure.core.replay import Orchestration
from perdure.errors import NonDeterminismError

_SHOWN = 200


class SecondLook:
    """Runs one generation's turns again: each as it comes, and in the end all of them.

    Args:
        name: the orchestrator's.
        fresh: returns the orchestration before its first turn.
    """

    def __init__(self, name: str, fresh: Callable[[], Orchestration]) -> None:
        self._name = name
        self._fresh = fresh
        self._follower = fresh()
        self._turns = 0

    def at(self, turn: Turn) -> None:
        """Run a new turn again. Raises NonDeterminismError."""
        self._turns += 1
        self._compare(self._follower, turn, self._turns)

    def at_the_end(self, turns: Sequence[Turn]) -> None:
        """Run all turns again, as after a restart: what has changed outside meanwhile must make no difference."""
        cold = self._fresh()
        for number, turn in enumerate(turns, start=1):
            self._compare(cold, turn, number)

    def _compare(self, orchestration: Orchestration, turn: Turn, number: int) -> None:
        try:
            asked = orchestration.replay(turn, {})
        except NonDeterminismError as error:
            raise self._error(number, error.difference) from None
        for first, second in zip_longest(_without_patches(turn.actions), _without_patches(asked)):
            what, before, now = _data(first, second)
            if before != now:
                difference = f"{what} was {_shown(before)}, and is {_shown(now)} when it is run again"
                raise self._error(number, difference)

    def _error(self, number: int, difference: str) -> NonDeterminismError:
        return NonDeterminismError(
            f"orchestrator '{self._name}' is not deterministic: turn {number}, run again from its history, differs: "
            f"{difference}. Take time, ids and random numbers from the context, and do everything else in activities; "
            f"`perdure check` finds the usual causes.",
            difference,
        )


def _without_patches(actions: Sequence[Action]) -> list[Action]:
    return [action for action in actions if not isinstance(action, PatchMarked)]


def _data(first: Action | None, second: Action | None) -> tuple[str, object, object]:
    """Return what is compared of two actions that are the same as far as the engine is concerned."""
    match first, second:
        case TaskScheduled(), TaskScheduled():
            return f"the input of activity '{first.name}' (#{first.no})", first.input, second.input
        case SubOrchestrationScheduled(), SubOrchestrationScheduled():
            return f"the input of sub-orchestration '{first.name}' (#{first.no})", first.input, second.input
        case TimerCreated(), TimerCreated():
            return f"the time of a timer (#{first.no})", first.fire_at, second.fire_at
        case EventSent(), EventSent():
            return f"the data of event '{first.name}' (#{first.no})", first.data, second.data
        case EntityCalled(), EntityCalled():
            return f"the input of {_operation(first)}", first.input, second.input
        case EntitySignaled(), EntitySignaled():
            what = f"the input or time of {_operation(first)}"
            return what, (first.input, first.due), (second.input, second.due)
        case ContinuedAsNew(), ContinuedAsNew():
            return "the input of continue_as_new", first.input, second.input
        case OrchestrationCompleted(), OrchestrationCompleted():
            return "its end", _told(first), _told(second)
        case _:
            return "", None, None


def _operation(action: EntityCalled | EntitySignaled) -> str:
    return f"operation '{action.operation}' of entity '{action.entity}' (#{action.no})"


def _told(end: OrchestrationCompleted) -> str:
    if end.failure is not None:  # a failure's text may hold an address in memory
        return f"{end.status.value} ({end.failure.type})"
    return f"{end.status.value} with {end.output}"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " [...]"
