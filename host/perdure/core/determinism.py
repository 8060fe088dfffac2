"""Determinism: whether code asks for the same actions as history records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from perdure.core.actions import (
    Action,
    ChildTerminated,
    ContinuedAsNew,
    EntityCalled,
    EntitySignaled,
    EventSent,
    LockRequested,
    LocksReleased,
    OrchestrationCompleted,
    PatchMarked,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)

_SHOWN = 300
"""Characters of a failure that an error about something else shows."""


def comparable(actions: Sequence[Action]) -> list[Action]:
    """Return the actions that must be the same: not what the code did not ask for, nor patches, which may be removed
    from code when they have done their part.
    """
    return [
        action
        for action in actions
        if not (isinstance(action, PatchMarked) or (isinstance(action, LocksReleased) and action.implied))
    ]


def same(recorded: Action, asked: Action) -> bool:
    """Whether the code asks for what history records; what it gives as input may differ."""
    match recorded, asked:
        case TaskScheduled(), TaskScheduled():
            return (recorded.no, recorded.name) == (asked.no, asked.name)
        case SubOrchestrationScheduled(), SubOrchestrationScheduled():
            return (recorded.no, recorded.name, recorded.instance_id) == (
                asked.no,
                asked.name,
                asked.instance_id,
            )
        case EventSent(), EventSent():
            return (recorded.no, recorded.instance_id, recorded.name) == (
                asked.no,
                asked.instance_id,
                asked.name,
            )
        case EntitySignaled(), EntitySignaled():
            return _operation(recorded) == _operation(asked)
        case EntityCalled(), EntityCalled():
            return _operation(recorded) == _operation(asked)
        case LockRequested(), LockRequested():
            return (recorded.no, recorded.entities) == (asked.no, asked.entities)
        case LocksReleased(), LocksReleased():
            return (recorded.no, recorded.entities) == (asked.no, asked.entities)
        case TimerCreated(), TimerCreated():
            return recorded.no == asked.no
        case TimerCanceled(), TimerCanceled():
            return recorded.no == asked.no
        case _:
            return type(recorded) is type(asked)


def told(action: Action | None) -> str:  # noqa: PLR0912 - a case for each action
    """Return what an error says of an action."""
    match action:
        case None:
            return "nothing"
        case TaskScheduled():
            return f"activity '{action.name}' (#{action.no})"
        case SubOrchestrationScheduled():
            return f"sub-orchestration '{action.name}' (#{action.no}, instance '{action.instance_id}')"
        case TimerCreated():
            return f"a timer (#{action.no})"
        case TimerCanceled():
            return f"the cancellation of timer #{action.no}"
        case EventSent():
            return f"event '{action.name}' to instance '{action.instance_id}' (#{action.no})"
        case EntitySignaled():
            return f"signal '{action.operation}' to entity '{action.entity}' (#{action.no})"
        case EntityCalled():
            return f"a call of '{action.operation}' of entity '{action.entity}' (#{action.no})"
        case LockRequested():
            return f"a lock of {', '.join(action.entities)} (#{action.no})"
        case LocksReleased():
            return f"the release of lock #{action.no}"
        case ContinuedAsNew():
            return "continue-as-new"
        case OrchestrationCompleted():
            why = f": {str(action.failure)[:_SHOWN]}" if action.failure is not None else ""
            return f"its end ({action.status.value}{why})"
        case ChildTerminated() | PatchMarked():  # these are never compared
            return type(action).__name__
        case _:
            assert_never(action)


def _operation(action: EntitySignaled | EntityCalled) -> tuple[int, str, str]:
    return action.no, action.entity, action.operation
