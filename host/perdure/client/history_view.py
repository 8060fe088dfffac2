"""History as people and programs read it: a list of dictionaries in the shape that Durable Functions gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from perdure.client.status import time_text
from perdure.core.actions import (
    Action,
    Awaited,
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
from perdure.core.data import from_json, payload_of
from perdure.core.failure import Failure
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
    Turn,
)
from perdure.storage.rows import Instance

HistoryEvent = dict[str, Any]

_DATA = ("Input", "Result")
"""The keys under which a stored datum stands until `with_values` has replaced it."""


def history_events(
    instance: Instance, turns: Iterable[Turn], *, show_inputs: bool, show_results: bool
) -> list[HistoryEvent]:
    """Return the events of a generation, oldest first, their inputs and results still as they are stored.

    Args:
        instance: whose history it is.
        turns: the turns of its present generation.
        show_inputs: include `Input`: of the orchestration, activities, children and events.
        show_results: include `Result`: of activities, children and the orchestration.
    """
    view = _View(instance)
    events = [event for turn in turns for event in view.of(turn)]
    hidden = {key for key, shown in zip(_DATA, (show_inputs, show_results), strict=True) if not shown}
    return [{key: value for key, value in event.items() if key not in hidden} for event in events]


def data_in(events: Sequence[HistoryEvent]) -> list[str | None]:
    """Return the stored data in the events."""
    return [event[key] for event in events for key in _DATA if key in event]


def with_values(events: Sequence[HistoryEvent], texts: Mapping[str, str]) -> list[HistoryEvent]:
    """Return the events with values in place of stored data.

    Args:
        events: what `history_events` returned.
        texts: JSON text by payload id, for the data that are references; what is not there is shown as None.
    """
    return [{key: _value(item, texts) if key in _DATA else item for key, item in event.items()} for event in events]


def _value(datum: str | None, texts: Mapping[str, str]) -> Any:
    payload_id = payload_of(datum)
    return from_json(datum if payload_id is None else texts.get(payload_id))


class _View:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._scheduled: dict[int, tuple[Action, datetime]] = {}

    def of(self, turn: Turn) -> Iterable[HistoryEvent]:
        for event in turn.events:
            yield {"EventType": _type_of(event), "EventId": -1, "Timestamp": time_text(turn.at)} | self._event(event)
        for action in turn.actions:
            if isinstance(action, Awaited):
                self._scheduled[action.no] = (action, turn.at)
            yield self._action(action) | {"Timestamp": time_text(turn.at)}

    def _event(self, event: Event) -> HistoryEvent:
        match event:
            case ExecutionStarted():
                instance = self._instance
                return {
                    "Name": instance.name,
                    "FunctionName": instance.name,
                    "Version": instance.version,
                    "Generation": instance.generation,
                    "Input": instance.input,
                }
            case TaskCompleted() | SubOrchestrationCompleted():
                return self._answer(event.no) | {"Result": event.result}
            case TaskFailed() | SubOrchestrationFailed():
                return self._answer(event.no) | _failure(event.failure)
            case TimerFired():
                action, scheduled_at = self._scheduled.get(event.no, (None, None))
                due = time_text(action.fire_at) if isinstance(action, TimerCreated) else None
                return {"TimerId": event.no, "FireAt": due, "ScheduledTime": time_text(scheduled_at)}
            case EntityOperationCompleted():
                return self._operation(event.no) | {"Result": event.result}
            case EntityOperationFailed():
                return self._operation(event.no) | _failure(event.failure)
            case EntityLockGranted():
                return {"TaskScheduledId": event.no}
            case EventRaised():
                return {"Name": event.name, "Input": event.data}
            case ExecutionTerminated() | ExecutionSuspended() | ExecutionResumed() | ExecutionRewound():
                return {"Reason": event.reason}
            case _:
                assert_never(event)

    def _answer(self, no: int) -> HistoryEvent:
        action, scheduled_at = self._scheduled.get(no, (None, None))
        name = action.name if isinstance(action, TaskScheduled | SubOrchestrationScheduled) else None
        return {
            "TaskScheduledId": no,
            "Name": name,
            "FunctionName": name,
            "ScheduledTime": time_text(scheduled_at),
        }

    def _operation(self, no: int) -> HistoryEvent:
        action, scheduled_at = self._scheduled.get(no, (None, None))
        called = {"Name": action.operation, "InstanceId": action.entity} if isinstance(action, EntityCalled) else {}
        return {"TaskScheduledId": no, **called, "ScheduledTime": time_text(scheduled_at)}

    def _action(self, action: Action) -> HistoryEvent:  # noqa: PLR0912 - a case for each action
        match action:
            case TaskScheduled():
                return _called("TaskScheduled", action)
            case SubOrchestrationScheduled():
                child = {"InstanceId": action.instance_id, "Version": action.version}
                return _called("SubOrchestrationInstanceCreated", action) | child
            case TimerCreated():
                return {"EventType": "TimerCreated", "EventId": action.no, "FireAt": time_text(action.fire_at)}
            case TimerCanceled():
                return {"EventType": "TimerCanceled", "EventId": -1, "TimerId": action.no}
            case EventSent():
                return {
                    "EventType": "EventSent",
                    "EventId": action.no,
                    "InstanceId": action.instance_id,
                    "Name": action.name,
                    "Input": action.data,
                }
            case EntitySignaled() | EntityCalled():
                return {
                    "EventType": type(action).__name__,
                    "EventId": action.no,
                    "InstanceId": action.entity,
                    "Name": action.operation,
                    "Input": action.input if payload_of(action.input) is None else None,  # else it is the entity's
                }
            case LockRequested():
                return {"EventType": "EntityLockRequested", "EventId": action.no, "Entities": action.entities}
            case LocksReleased():
                return {"EventType": "EntityLocksReleased", "EventId": -1, "Entities": action.entities}
            case ChildTerminated():
                child = {"InstanceId": action.instance_id, "Reason": action.reason}
                return {"EventType": "SubOrchestrationInstanceTerminated", "EventId": -1} | child
            case PatchMarked():
                return {"EventType": "PatchMarked", "EventId": -1, "Name": action.id}
            case ContinuedAsNew():
                return {"EventType": "ContinueAsNew", "EventId": -1, "Input": action.input}
            case OrchestrationCompleted():
                ended = {"OrchestrationStatus": action.status.value, "Result": action.output}
                reason = _failure(action.failure) if action.failure is not None else {}
                return {"EventType": "ExecutionCompleted", "EventId": -1} | ended | reason
            case _:
                assert_never(action)


def _type_of(event: Event) -> str:
    match event:
        case SubOrchestrationCompleted():
            return "SubOrchestrationInstanceCompleted"
        case SubOrchestrationFailed():
            return "SubOrchestrationInstanceFailed"
        case _:
            return type(event).__name__


def _called(event_type: str, action: TaskScheduled | SubOrchestrationScheduled) -> HistoryEvent:
    return {
        "EventType": event_type,
        "EventId": action.no,
        "Name": action.name,
        "FunctionName": action.name,
        "Input": action.input,
    }


def _failure(failure: Failure) -> HistoryEvent:
    return {"Reason": str(failure), "Details": failure.stack}
