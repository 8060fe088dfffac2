"""What `run_orchestrator` tells of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from perdure.core.actions import Action
from perdure.core.entity_id import EntityId
from perdure.core.failure import Failure
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.testing.entity_run import BegunOrchestration, EntityCall, Signal
from perdure.testing.recorded_history import RecordedHistory


class Call(NamedTuple):
    """An activity or sub-orchestration that the orchestrator has called; it equals the tuple `(name, input)`."""

    name: str
    input: Any
    """As it travels: plain JSON."""


class SentEvent(NamedTuple):
    """An event that the orchestrator has sent to another one; it equals the tuple `(instance_id, name, data)`."""

    instance_id: str
    name: str
    data: Any


@dataclass(slots=True)
class Timer:
    """A timer that the orchestrator has created, or that waits between retries or limits the wait for an event."""

    delay: timedelta
    """From its creation to its time."""
    fire_at: datetime
    fired: bool = False
    cancelled: bool = False


@dataclass(kw_only=True)
class OrchestratorRun:
    """How an orchestrator went."""

    status: OrchestrationRuntimeStatus
    """Completed, Failed, ContinuedAsNew, or Running if it waits."""
    output: Any = None
    """What it returned, as it is stored: plain JSON. If it failed: why, as a text."""
    error: Failure | None = None
    """Why it failed: its `type`, `message`, `stack`, and `is_caused_by(...)`."""
    custom_status: Any = None
    """The last one that it set."""
    next_input: Any = None
    """If it continued as new: the next generation's input."""
    waits_for: list[str] = field(default_factory=list)
    """If it waits: for what, in words."""
    calls: list[Call] = field(default_factory=list)
    """The activities it called, in order; each attempt of one that is retried is a call."""
    sub_orchestrations: list[Call] = field(default_factory=list)
    """The sub-orchestrations it called, in order."""
    children: list[OrchestratorRun] = field(default_factory=list)
    """How those of them went that were run, not stubbed."""
    entity_calls: list[EntityCall] = field(default_factory=list)
    """The operations of entities that it called, in order."""
    signals: list[Signal] = field(default_factory=list)
    """The operations of entities that it signalled, in order."""
    critical_sections: list[list[EntityId]] = field(default_factory=list)
    """The entities of each critical section that it asked for, in the order in which they are locked."""
    entity_states: dict[EntityId, Any] = field(default_factory=dict)
    """The states that the entities which were run have at the end: plain JSON."""
    entity_orchestrations: list[BegunOrchestration] = field(default_factory=list)
    """What the entities which were run have started."""
    timers: list[Timer] = field(default_factory=list)
    events_sent: list[SentEvent] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    """Everything that it asked for, in order, as history records it."""
    generations: int = 1
    """How many there were: continue-as-new begins another."""
    started_at: datetime
    ended_at: datetime
    """The orchestration's time at the end of the run."""
    history: RecordedHistory
    """Of the last generation; `assert_replays` takes it."""

    @property
    def duration(self) -> timedelta:
        """How much of the orchestration's time went by."""
        return self.ended_at - self.started_at
