"""The outbox: what a committed turn sends, derived from history alone, so that it can be sent again after a crash."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec

from perdure.core.actions import (
    ChildTerminated,
    ContinuedAsNew,
    EventSent,
    OrchestrationCompleted,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.failure import Failure
from perdure.core.history import Turn
from perdure.core.messages import (
    ActivityCall,
    Completion,
    ControlMessage,
    RaiseEvent,
    Terminate,
    TimerDue,
    WorkItem,
)
from perdure.core.state import Parent, State
from perdure.core.status import OrchestrationRuntimeStatus


class Post(msgspec.Struct, frozen=True):
    """A message to queue."""

    message: ControlMessage | WorkItem
    due: datetime | None = None
    """When it is to be delivered; None means now."""


class Child(msgspec.Struct, frozen=True):
    """A child to start: insert its row, then queue its start message."""

    action: SubOrchestrationScheduled
    parent: Parent


class Report(msgspec.Struct, frozen=True):
    """The outcome to tell a parent; its payload, if it has one, must be copied to the parent first."""

    to: Parent
    completion: Completion


Outgoing = Post | Child | Report


class Sender(msgspec.Struct, frozen=True):
    """Who sends."""

    instance_id: str
    execution_id: str
    parent: Parent | None


def execution_of(execution_id: str, generation: int) -> str:
    """Name one generation of one execution: what activities, timers and children answer to."""
    return f"{execution_id}.{generation}"


def start_message_id(execution_id: str) -> str:
    """Return the id of the message that starts an execution."""
    return f"{execution_id}/start"


def outcome_message_id(execution: str, no: int) -> str:
    """Return the id of the message that brings the outcome of action `no`, whoever sends it."""
    return f"{execution}/done/{no}"


def outgoing(turn: Turn, state: State, sender: Sender, *, again: bool) -> list[Outgoing]:
    """Return what a turn sends that is not finished.

    Args:
        turn: a committed turn of `state`, or a record of one carried over from an earlier generation.
        state: the instance now.
        sender: its identity.
        again: it may have been sent before.
    """
    execution = execution_of(sender.execution_id, turn.generation)
    present = turn.generation == state.generation
    sends: list[Outgoing] = []
    calls: list[ActivityCall] = []
    for action in turn.actions:
        match action:
            case TaskScheduled():
                if action.placement == "queue" and present and state.open(action.no):
                    calls.append(ActivityCall(action.no, action.name, action.input))
            case TimerCreated():
                if action.placement == "queue" and present and state.open(action.no) and not state.ended:
                    sends.append(_timer(sender.instance_id, execution, action))
            case SubOrchestrationScheduled():
                if not present or state.open(action.no):
                    sends.append(Child(action, Parent(sender.instance_id, execution, action.no)))
            case EventSent():
                message_id = f"{execution}/event/{action.no}"
                sends.append(Post(RaiseEvent(to=action.instance_id, id=message_id, name=action.name, data=action.data)))
            case ChildTerminated():
                sends.append(Post(_termination(execution, action)))
            case OrchestrationCompleted():
                if sender.parent is not None:
                    sends.append(Report(sender.parent, _report(sender.parent.no, action)))
            case TimerCanceled() | ContinuedAsNew():
                pass
            case _:
                assert_never(action)
    work = [
        Post(WorkItem(instance_id=sender.instance_id, execution=execution, calls=[call], again=again)) for call in calls
    ]
    return [*work, *sends]


def _timer(instance_id: str, execution: str, action: TimerCreated) -> Post:
    message_id = outcome_message_id(execution, action.no)
    return Post(
        TimerDue(to=instance_id, id=message_id, execution=execution, no=action.no, fire_at=action.fire_at),
        due=action.fire_at,
    )


def _termination(execution: str, action: ChildTerminated) -> Terminate:
    return Terminate(
        to=action.instance_id,
        id=f"{execution}/terminate/{action.execution_id}",
        reason=action.reason,
        execution_id=action.execution_id,
    )


def _report(no: int, action: OrchestrationCompleted) -> Completion:
    if action.status is OrchestrationRuntimeStatus.Completed:
        return Completion(no, action.output)
    if action.failure is not None:
        return Completion(no, failure=action.failure)
    return Completion(no, failure=Failure("OrchestrationTerminatedError", f"terminated: {action.output}"))
