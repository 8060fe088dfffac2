"""Actions: what an orchestrator asks for in a turn. Once the turn is committed they are its history.

Action numbers count from 0 within a generation, in the order in which the code asks.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from perdure.core.failure import Failure
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.streams import Place

Placement = Literal["queue", "here"]
"""Where an action is carried out: by whoever takes it from a queue, or in place by the session that committed it."""


class TaskScheduled(msgspec.Struct, frozen=True, array_like=True, tag="TaskScheduled"):
    """Run an activity."""

    no: int
    name: str
    input: str | None
    placement: Placement = "queue"
    pinned: bool = False
    """It must go through the queue."""
    tags: dict[str, str] = {}
    first: int | None = None
    """The number of the first attempt at the same step, if this is another one."""


class TimerCreated(msgspec.Struct, frozen=True, array_like=True, tag="TimerCreated"):
    """Wake the orchestration at a time."""

    no: int
    fire_at: datetime
    placement: Placement = "queue"


class TimerCanceled(msgspec.Struct, frozen=True, array_like=True, tag="TimerCanceled"):
    """Forget a timer; `no` is the timer's. Its message is ignored when it arrives."""

    no: int


class SubOrchestrationScheduled(msgspec.Struct, frozen=True, array_like=True, tag="SubOrchestrationScheduled"):
    """Start a child orchestration and wait for its result."""

    no: int
    name: str
    instance_id: str
    execution_id: str
    input: str | None
    version: str | None = None
    tags: dict[str, str] = {}
    earlier: list[str] = []
    """Executions of the child that were begun before its parent was rewound. If one of them is still there it goes on,
    rewound if it has failed, in place of a new one."""


class EventSent(msgspec.Struct, frozen=True, array_like=True, tag="EventSent"):
    """Raise an external event at another orchestration."""

    no: int
    instance_id: str
    name: str
    data: str | None


class ChildTerminated(msgspec.Struct, frozen=True, array_like=True, tag="ChildTerminated"):
    """Terminate a child because its parent is terminated."""

    instance_id: str
    execution_id: str
    reason: str


class EntitySignaled(msgspec.Struct, frozen=True, array_like=True, tag="EntitySignaled"):
    """Have an entity perform an operation; nothing comes back."""

    no: int
    entity: str
    """The entity's instance id."""
    operation: str
    input: str | None
    place: Place
    due: datetime | None = None
    """When it is to be performed; None means as soon as may be."""


class EntityCalled(msgspec.Struct, frozen=True, array_like=True, tag="EntityCalled"):
    """Have an entity perform an operation and wait for its result."""

    no: int
    entity: str
    operation: str
    input: str | None
    place: Place
    lock: str | None = None
    """The critical section that it belongs to."""


class LockRequested(msgspec.Struct, frozen=True, array_like=True, tag="LockRequested"):
    """Lock entities, one after the other, and wait until the last one is locked."""

    no: int
    entities: list[str]
    """Sorted, each one once: so two orchestrations can't wait for one another."""
    place: Place
    """Of the message to the first of them, which passes it on."""


class LocksReleased(msgspec.Struct, frozen=True, array_like=True, tag="LocksReleased"):
    """Unlock the entities of a critical section; `no` is the number of the request."""

    no: int
    entities: list[str]
    places: list[Place]
    """Of the messages: one to each entity; or, if the request has not been granted yet, one to the first of them, which
    passes it on after the request.
    """
    implied: bool = False
    """The code did not ask for it: the orchestration has ended, or continues as new."""


class ContinuedAsNew(msgspec.Struct, frozen=True, array_like=True, tag="ContinuedAsNew"):
    """End this generation and begin the next one with a new input."""

    input: str | None
    save_events: bool = True
    new_version: str | None = None


class PatchMarked(msgspec.Struct, frozen=True, array_like=True, tag="PatchMarked"):
    """The code has gone the new way at a patch, and goes it in every replay."""

    id: str


class OrchestrationCompleted(msgspec.Struct, frozen=True, array_like=True, tag="OrchestrationCompleted"):
    """The orchestration has ended: completed, failed or terminated."""

    status: OrchestrationRuntimeStatus
    output: str | None
    failure: Failure | None = None
    causes: list[int] = []
    """The actions whose failures its error comes from."""


Action = (
    TaskScheduled
    | TimerCreated
    | TimerCanceled
    | SubOrchestrationScheduled
    | EventSent
    | ChildTerminated
    | ContinuedAsNew
    | EntitySignaled
    | EntityCalled
    | LockRequested
    | LocksReleased
    | PatchMarked
    | OrchestrationCompleted
)

Awaited = TaskScheduled | TimerCreated | SubOrchestrationScheduled | EntityCalled | LockRequested
"""The actions that something must come back for."""
