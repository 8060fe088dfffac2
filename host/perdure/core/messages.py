"""Messages: what travels through the queues.

A message is encoded as a JSON array: the Functions host shreds a JSON object into trigger metadata, in which a key
such as "id" would replace the real one. Each message has an id that its sender derives from (instance, execution,
action number), so that a repeat carries the same id.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

import msgspec

from perdure.core.actions import TaskScheduled
from perdure.core.failure import Failure
from perdure.core.state import Parent
from perdure.core.streams import Place


class _Control(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    to: str
    """Id of the instance it is for."""
    id: str
    tries: int = 0
    """How often it has been put back because the instance could not go on."""


class Start(_Control, frozen=True, array_like=True, kw_only=True, tag="start"):
    """Begin an instance whose row is Pending."""

    execution_id: str
    safety_net: bool = False
    """It was queued while its sender began the instance itself, as that session's anchor."""


class Completion(msgspec.Struct, frozen=True, array_like=True):
    """The outcome of one awaited action: a result, or a failure."""

    no: int
    result: str | None = None
    failure: Failure | None = None


class Completions(_Control, frozen=True, array_like=True, kw_only=True, tag="done"):
    """Outcomes of activities or children of one generation."""

    execution: str
    items: list[Completion]


class TimerDue(_Control, frozen=True, array_like=True, kw_only=True, tag="timer"):
    """A timer's time has come, or part of it: delays are bounded, clocks differ."""

    execution: str
    no: int
    fire_at: datetime


class RaiseEvent(_Control, frozen=True, array_like=True, kw_only=True, tag="event"):
    """An external event."""

    name: str
    data: str | None


class Terminate(_Control, frozen=True, array_like=True, kw_only=True, tag="terminate"):
    """End the orchestration, and its children if `recursive`."""

    reason: str
    recursive: bool = True
    execution_id: str | None = None
    """Only this execution is meant; None means whichever has the id."""


class Suspend(_Control, frozen=True, array_like=True, kw_only=True, tag="suspend"):
    """Pause the orchestration: what comes meanwhile is recorded and waits."""

    reason: str


class Resume(_Control, frozen=True, array_like=True, kw_only=True, tag="resume"):
    """End the pause."""

    reason: str


class Rewind(_Control, frozen=True, array_like=True, kw_only=True, tag="rewind"):
    """If the execution has failed, have it go back to before what failed it, and on from there.

    A parent that is rewound sends it to its children: whatever has become of such a child, it answers to `parent` from
    now on.
    """

    execution_id: str
    reason: str
    parent: Parent | None = None


class _Placed(_Control, frozen=True, array_like=True, kw_only=True):
    place: Place
    """Where it stands among what its sender sends to this entity."""


class Operate(_Placed, frozen=True, array_like=True, kw_only=True, tag="operate"):
    """Perform an operation."""

    operation: str
    input: str | None
    reply: Parent | None = None
    """Who waits for the result; None for a signal."""
    lock: str | None = None
    """The critical section that it belongs to."""
    due: datetime | None = None
    """When it is to be performed; None means as soon as may be."""
    delete: bool = False
    """Delete the entity, should it be a function that knows no such operation."""


class AcquireLock(_Placed, frozen=True, array_like=True, kw_only=True, tag="lock"):
    """Lock this entity, pass the request on to the next, and tell the orchestration once the last one is locked."""

    lock: str
    """Names the critical section."""
    entities: list[str]
    position: int
    """Of this entity among them."""
    owner: Parent


class ReleaseLock(_Placed, frozen=True, array_like=True, kw_only=True, tag="unlock"):
    """Unlock this entity, and pass that on."""

    lock: str
    onward: list[str] = []
    """The entities that are to be unlocked after this one."""


class Wake(_Control, frozen=True, array_like=True, kw_only=True, tag="wake"):
    """Have an entity look whether something is due."""

    no: int
    due: datetime


class Sweep(_Control, frozen=True, array_like=True, kw_only=True, tag="sweep"):
    """Delete large data that somebody stored for the instance and nobody has taken in, if it was due before a time."""

    before: datetime
    again: bool = False
    """It has been through the queue once already."""


EntityRequest = Operate | AcquireLock | ReleaseLock
"""What an entity takes in order."""

ControlMessage = (
    Start
    | Completions
    | TimerDue
    | RaiseEvent
    | Terminate
    | Suspend
    | Resume
    | Rewind
    | Operate
    | AcquireLock
    | ReleaseLock
    | Wake
    | Sweep
)


class ActivityCall(msgspec.Struct, frozen=True, array_like=True):
    """One activity to run."""

    no: int
    name: str
    input: str | None
    tags: dict[str, str] = {}
    first: int | None = None
    """Number of the first attempt at the same step, if this is another one."""

    @classmethod
    def of(cls, action: TaskScheduled) -> Self:
        """Return the call that an action asks for."""
        return cls(action.no, action.name, action.input, action.tags, action.first)


class WorkItem(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="work"):
    """Activities of one generation of one instance, for any worker."""

    instance_id: str
    execution: str
    calls: list[ActivityCall]
    again: bool = False
    """It may have been sent before: look at the row first and skip what is finished."""
    tries: int = 0
    """How often it has been put back because no worker that received it knew its function."""


class Overflow(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="overflow"):
    """Stands for a message too large for the queue: the payload holds its text."""

    owner: str
    payload_id: str
