"""Actions: what an orchestrator asks for in a turn. Once the turn is committed they are its history.

Action numbers count from 0 within a generation, in the order in which the code asks.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from perdure.core.failure import Failure
from perdure.core.status import OrchestrationRuntimeStatus

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
    | PatchMarked
    | OrchestrationCompleted
)

Awaited = TaskScheduled | TimerCreated | SubOrchestrationScheduled
"""The actions that something must come back for."""
