"""What tests see of entities: operations that were performed or asked for, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from perdure.core.data import from_json
from perdure.core.entities.effects import Effect, OrchestrationBegun, SignalSent
from perdure.core.entity_id import EntityId
from perdure.core.failure import Failure
from perdure.core.typed import read_as


class EntityCall(NamedTuple):
    """An operation that an orchestrator has called; it equals the tuple `(entity, operation, input)`."""

    entity: EntityId
    operation: str
    input: Any
    """As it travels: plain JSON."""


class Signal(NamedTuple):
    """An operation that somebody has signalled."""

    entity: EntityId
    operation: str
    input: Any = None
    """As it travels: plain JSON."""
    signal_time: datetime | None = None
    """When it is to be performed; None means as soon as may be."""


@dataclass(frozen=True, slots=True)
class BegunOrchestration:
    """An orchestration that an entity has started. It is not run."""

    name: str
    input: Any
    instance_id: str
    version: str | None = None
    start_at: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperationRun:
    """How one operation went."""

    operation: str
    input: Any
    result: Any
    """As it travels: plain JSON. None if it failed."""
    error: Failure | None
    """Why it failed: its `type`, `message`, `stack`, and `is_caused_by(...)`."""


@dataclass(kw_only=True)
class EntityRun:
    """How operations of one entity went."""

    entity_id: EntityId
    state_text: str | None
    """JSON text of the state that they have left; None if the entity has none."""
    operations: list[OperationRun] = field(default_factory=list)
    """All of them, in order."""
    signals: list[Signal] = field(default_factory=list)
    """What those that succeeded have signalled, in order."""
    orchestrations: list[BegunOrchestration] = field(default_factory=list)
    """What those that succeeded have started, in order."""

    @property
    def state(self) -> Any:
        """The state that they have left, as it is stored: plain JSON. None if the entity has none."""
        return self.get_state()

    def get_state(self, expected_type: Any = None) -> Any:
        """Return the state, read as a type. Raises DataError if it does not fit."""
        return read_as(self.state_text, expected_type, f"the state of entity '{self.entity_id}'")

    @property
    def result(self) -> Any:
        """What the last operation returned or set: plain JSON. None if it failed."""
        return self.operations[-1].result

    @property
    def error(self) -> Failure | None:
        """Why the last operation failed."""
        return self.operations[-1].error

    def add_effects(self, effects: list[Effect]) -> None:
        """Take in what an operation asked for."""
        for effect in effects:
            if isinstance(effect, SignalSent):
                self.signals.append(signal_of(effect))
            else:
                self.orchestrations.append(begun_of(effect))


def signal_of(sent: SignalSent) -> Signal:
    """Return what a test sees of a signal."""
    return Signal(EntityId.parse(sent.entity), sent.operation, from_json(sent.input), sent.due)


def begun_of(begun: OrchestrationBegun) -> BegunOrchestration:
    """Return what a test sees of an orchestration that an entity has started."""
    return BegunOrchestration(
        begun.name, from_json(begun.input), begun.instance_id, begun.version, begun.start_at, dict(begun.tags)
    )
