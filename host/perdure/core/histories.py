"""History as orchestrator code may see it: `context.histories`, with the names that Durable Functions gave to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, assert_never

import msgspec

from perdure.core.actions import (
    Action,
    EntityCalled,
    EntitySignaled,
    EventSent,
    LockRequested,
    LocksReleased,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCreated,
)
from perdure.core.history import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)


class HistoryEventType(IntEnum):
    """Kinds of history events; the numbers are those of Durable Functions."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_FAILED = 2
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    CONTINUE_AS_NEW = 16
    GENERIC_EVENT = 17
    HISTORY_STATE = 18
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


class HistoryEvent(msgspec.Struct, frozen=True):
    """One event. It holds no inputs and results: those are with the tasks that they belong to."""

    event_type: HistoryEventType
    timestamp: datetime
    """The orchestration's time in the turn of the event."""
    is_played: bool
    """Whether it is of an earlier turn than the one that is run for the first time now."""
    event_id: int = -1
    """Number of the action, for events that record one."""
    Name: str | None = None
    InstanceId: str | None = None
    """Id of the child, or of the instance that an event was sent to."""
    TaskScheduledId: int | None = None
    """Number of the action that the event answers."""
    TimerId: int | None = None
    FireAt: datetime | None = None
    Reason: str | None = None
    Details: str | None = None
    Version: str | None = None


class PastTurn(msgspec.Struct):
    """What happened in a turn so far."""

    at: datetime
    replayed: bool
    events: list[Event]
    actions: Sequence[Action] = ()


def without_data(events: Iterable[Event]) -> list[Event]:
    """Return the events without their payloads, to be kept as long as the orchestration is in memory."""
    return [_without_data(event) for event in events]


def history_events(turns: Iterable[PastTurn], name: str, version: str | None) -> list[HistoryEvent]:
    """Return the events of the turns, oldest first.

    Args:
        turns: the generation's turns up to the present one.
        name: the orchestrator's name.
        version: the instance's version.
    """
    return [event for turn in turns for event in _events(turn, name, version)]


def _events(turn: PastTurn, name: str, version: str | None) -> Iterator[HistoryEvent]:
    def event(kind: HistoryEventType, **more: Any) -> HistoryEvent:
        return HistoryEvent(kind, turn.at, turn.replayed, **more)

    kinds = HistoryEventType
    yield event(kinds.ORCHESTRATOR_STARTED)
    for each in turn.events:
        kind, more = _described(each, name, version)
        yield event(kind, **more)
    for action in turn.actions:
        match action:
            case TaskScheduled():
                yield event(kinds.TASK_SCHEDULED, event_id=action.no, Name=action.name)
            case SubOrchestrationScheduled():
                child = {"Name": action.name, "InstanceId": action.instance_id, "Version": action.version}
                yield event(kinds.SUB_ORCHESTRATION_INSTANCE_CREATED, event_id=action.no, **child)
            case TimerCreated():
                yield event(kinds.TIMER_CREATED, event_id=action.no, FireAt=action.fire_at)
            case EntitySignaled() | EntityCalled():
                yield event(kinds.EVENT_SENT, event_id=action.no, Name=action.operation, InstanceId=action.entity)
            case LockRequested():
                yield event(kinds.EVENT_SENT, event_id=action.no, Name="lock", InstanceId=action.entities[0])
            case LocksReleased():
                for entity in action.entities:
                    yield event(kinds.EVENT_SENT, event_id=action.no, Name="release", InstanceId=entity)
            case EventSent():
                yield event(kinds.EVENT_SENT, event_id=action.no, Name=action.name, InstanceId=action.instance_id)
            case _:  # the cancellation of a timer: no event in Durable Functions
                continue


def _described(  # noqa: PLR0912 - a case for each event
    event: Event, name: str, version: str | None
) -> tuple[HistoryEventType, dict[str, Any]]:
    kinds = HistoryEventType
    match event:
        case ExecutionStarted():
            return kinds.EXECUTION_STARTED, {"Name": name, "Version": version}
        case TaskCompleted():
            return kinds.TASK_COMPLETED, {"TaskScheduledId": event.no}
        case SubOrchestrationCompleted():
            return kinds.SUB_ORCHESTRATION_INSTANCE_COMPLETED, {"TaskScheduledId": event.no}
        case TaskFailed() | SubOrchestrationFailed():
            failed = kinds.TASK_FAILED if isinstance(event, TaskFailed) else kinds.SUB_ORCHESTRATION_INSTANCE_FAILED
            failure = event.failure
            return failed, {"TaskScheduledId": event.no, "Reason": str(failure), "Details": failure.stack}
        case TimerFired():
            return kinds.TIMER_FIRED, {"TimerId": event.no}
        case EventRaised():
            return kinds.EVENT_RAISED, {"Name": event.name}
        case EntityOperationCompleted() | EntityLockGranted():
            return kinds.EVENT_RAISED, {"Name": str(event.no)}
        case EntityOperationFailed():
            return kinds.EVENT_RAISED, {"Name": str(event.no), "Reason": str(event.failure)}
        case ExecutionSuspended():
            return kinds.EXECUTION_SUSPENDED, {"Reason": event.reason}
        case ExecutionResumed():
            return kinds.EXECUTION_RESUMED, {"Reason": event.reason}
        case ExecutionTerminated():
            return kinds.EXECUTION_TERMINATED, {"Reason": event.reason}
        case ExecutionRewound():
            return kinds.GENERIC_EVENT, {"Reason": event.reason}
        case _:
            assert_never(event)


def _without_data(event: Event) -> Event:
    match event:
        case TaskCompleted() | SubOrchestrationCompleted() | EntityOperationCompleted():
            return msgspec.structs.replace(event, result=None)
        case EventRaised():
            return msgspec.structs.replace(event, data=None)
        case _:
            return event
