"""The outbox: what a committed turn sends, derived from history alone, so that it can be sent again after a crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from perdure.core.actions import (
    Action,
    ChildTerminated,
    EventSent,
    OrchestrationCompleted,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCreated,
)
from perdure.core.entity_posts import EntityAction, entity_requests
from perdure.core.failure import Failure
from perdure.core.history import Turn
from perdure.core.messages import (
    ActivityCall,
    Completion,
    ControlMessage,
    Operate,
    RaiseEvent,
    Terminate,
    TimerDue,
)
from perdure.core.state import Parent, State
from perdure.core.status import OrchestrationRuntimeStatus


class Post(msgspec.Struct, frozen=True):
    """A message to queue."""

    message: ControlMessage
    due: datetime | None = None
    """When it is to be delivered; None means now."""


class Work(msgspec.Struct, frozen=True):
    """An activity to queue; which of them share a work item is not history's business."""

    call: ActivityCall
    pinned: bool = False
    """It is to have a work item of its own."""


class Child(msgspec.Struct, frozen=True):
    """A child to start: insert its row, then queue its start message."""

    action: SubOrchestrationScheduled
    parent: Parent


class Report(msgspec.Struct, frozen=True):
    """The outcome to tell a parent; its payload, if it has one, must be copied to the parent first."""

    to: Parent
    completion: Completion


Outgoing = Post | Work | Child | Report


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


def outcome_message_id(execution: str, *numbers: int) -> str:
    """Return the id of the message that brings the outcomes of these actions, whoever sends it.

    It names all of them: a message that brings more than another must not be taken for it.
    """
    return f"{execution}/done/{','.join(_runs(numbers))}"


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    """Yield the runs of consecutive numbers."""
    first = last = numbers[0]
    for number in (*numbers[1:], None):
        if number == last + 1:
            last = number
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if number is not None:
            first = last = number


def outgoing(turn: Turn, state: State, sender: Sender) -> list[Outgoing]:
    """Return what a turn sends that is not finished.

    Args:
        turn: a committed turn of `state`, or a record of one carried over from an earlier generation.
        state: the instance now.
        sender: its identity.
    """
    sending = _Sending(turn, state, sender)
    items: list[Outgoing] = []
    for action in turn.actions:
        if isinstance(action, EntityAction):
            execution = execution_of(sender.execution_id, turn.generation)
            requests = entity_requests(action, sender.instance_id, execution)
            items += [Post(each, due=each.due if isinstance(each, Operate) else None) for each in requests]
        elif (item := sending.of(action)) is not None:
            items.append(item)
    return items


class _Sending:
    def __init__(self, turn: Turn, state: State, sender: Sender) -> None:
        self._state = state
        self._sender = sender
        self._present = turn.generation == state.generation
        self._execution = execution_of(sender.execution_id, turn.generation)

    def of(self, action: Action) -> Outgoing | None:
        match action:
            case TaskScheduled() if action.placement == "queue" and self._awaited(action.no):
                return Work(ActivityCall.of(action), action.pinned)
            case TimerCreated() if action.placement == "queue" and self._awaited(action.no) and not self._state.ended:
                return _timer(self._sender.instance_id, self._execution, action)
            case SubOrchestrationScheduled() if not self._present or self._is_wanted(action):
                return Child(action, Parent(self._sender.instance_id, self._execution, action.no))
            case EventSent():
                return Post(self._event(action))
            case ChildTerminated():
                return Post(_termination(self._execution, action))
            case OrchestrationCompleted() if self._sender.parent is not None:
                return Report(self._sender.parent, _report(self._sender.parent.no, action))
            case _:
                return None

    def _awaited(self, no: int) -> bool:
        return self._present and self._state.open(no) is not None

    def _is_wanted(self, action: SubOrchestrationScheduled) -> bool:
        """Whether a child is awaited. One that was terminated with its parent before it was started never is started:
        the message that terminates it may have found nothing, and may be gone.
        """
        decided = (each for turn in self._state.turns for each in turn.actions) if self._state.ended else ()
        gone = any(isinstance(each, ChildTerminated) and each.execution_id == action.execution_id for each in decided)
        return self._awaited(action.no) and not gone

    def _event(self, action: EventSent) -> RaiseEvent:
        message_id = f"{self._execution}/event/{action.no}"
        return RaiseEvent(to=action.instance_id, id=message_id, name=action.name, data=action.data)


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
