"""History: turns, and the events that each of them took in and the actions it gave out."""

from __future__ import annotations

from datetime import datetime

import msgspec

from perdure.core.actions import Action
from perdure.core.failure import Failure


class ExecutionStarted(msgspec.Struct, frozen=True, array_like=True, tag="ExecutionStarted"):
    """The first event of a generation. The input stands in the instance's row."""


class TaskCompleted(msgspec.Struct, frozen=True, array_like=True, tag="TaskCompleted"):
    """An activity returned."""

    no: int
    result: str | None


class TaskFailed(msgspec.Struct, frozen=True, array_like=True, tag="TaskFailed"):
    """An activity raised, or could not be run."""

    no: int
    failure: Failure


class TimerFired(msgspec.Struct, frozen=True, array_like=True, tag="TimerFired"):
    """A timer's time has come."""

    no: int


class SubOrchestrationCompleted(msgspec.Struct, frozen=True, array_like=True, tag="SubOrchestrationCompleted"):
    """A child orchestration completed."""

    no: int
    result: str | None


class SubOrchestrationFailed(msgspec.Struct, frozen=True, array_like=True, tag="SubOrchestrationFailed"):
    """A child orchestration failed, was terminated, or could not be started."""

    no: int
    failure: Failure


class EntityOperationCompleted(msgspec.Struct, frozen=True, array_like=True, tag="EntityOperationCompleted"):
    """An entity performed an operation."""

    no: int
    result: str | None


class EntityOperationFailed(msgspec.Struct, frozen=True, array_like=True, tag="EntityOperationFailed"):
    """An operation raised, or could not be performed."""

    no: int
    failure: Failure


class EntityLockGranted(msgspec.Struct, frozen=True, array_like=True, tag="EntityLockGranted"):
    """All entities of a critical section are locked."""

    no: int


class EventRaised(msgspec.Struct, frozen=True, array_like=True, tag="EventRaised"):
    """An external event arrived; `id` is the id of the message that brought it."""

    id: str
    name: str
    data: str | None


class ExecutionTerminated(msgspec.Struct, frozen=True, array_like=True, tag="ExecutionTerminated"):
    """Somebody asked for the orchestration's end."""

    reason: str
    recursive: bool = True


class ExecutionSuspended(msgspec.Struct, frozen=True, array_like=True, tag="ExecutionSuspended"):
    """Somebody asked for a pause: what comes from here on waits until it is over. `id` is the message's."""

    id: str
    reason: str


class ExecutionResumed(msgspec.Struct, frozen=True, array_like=True, tag="ExecutionResumed"):
    """Somebody asked for the end of the pause. `id` is the message's."""

    id: str
    reason: str


class ExecutionRewound(msgspec.Struct, frozen=True, array_like=True, tag="ExecutionRewound"):
    """Somebody had the failed orchestration go back to before what failed it. `id` is the message's."""

    id: str
    reason: str
    next_no: int
    """The first action number that the history cut off did not use."""
    renewed: list[int]
    """The actions that are asked for anew, in this order, under numbers from `next_no` on."""


Event = (
    ExecutionStarted
    | TaskCompleted
    | TaskFailed
    | TimerFired
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | EntityOperationCompleted
    | EntityOperationFailed
    | EntityLockGranted
    | EventRaised
    | ExecutionTerminated
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionRewound
)

Outcome = (
    TaskCompleted
    | TaskFailed
    | TimerFired
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | EntityOperationCompleted
    | EntityOperationFailed
    | EntityLockGranted
)
"""The events that answer an awaited action, matched by its number."""


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """What one commit added to an instance's history.

    A turn without events and actions records a take-over: the session named here now answers for `consumed`.
    """

    commit: str
    session: str
    """Nonce of the session that committed it."""
    generation: int
    at: datetime
    """The orchestration's time in this turn."""
    consumed: list[str]
    """Ids of the messages that this turn consumed."""
    anchors: list[str]
    """Ids of the consumed messages of earlier turns that the session had not yet acknowledged."""
    events: list[Event]
    """What came in, in the order in which the orchestrator saw it."""
    actions: list[Action]
    """What the orchestrator asked for, in order."""
