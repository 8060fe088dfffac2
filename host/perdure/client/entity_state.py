"""What clients see of entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perdure.core.entity_id import EntityId
from perdure.core.typed import read_as


@dataclass(frozen=True, slots=True)
class EntityStateResponse:
    """The state of an entity; falsy if the entity does not exist."""

    entity_exists: bool
    entity_state: Any = None

    def __bool__(self) -> bool:
        return self.entity_exists


@dataclass(frozen=True, slots=True)
class EntityMetadata:
    """An entity, and how it is."""

    id: EntityId
    last_modified: datetime
    """When its last operation was performed."""
    backlog_queue_size: int
    """How many requests wait in it: for the end of a critical section, or for one that was sent before them."""
    locked_by: str | None
    """Instance id of the orchestration whose critical section it is in."""
    includes_state: bool
    exists: bool
    """Whether it has a state."""
    state_text: str | None = None
    """JSON text of its state."""
    reason: str | None = None
    """Why something of it can't be processed or shown: messages are parked, the payload of its state is lost."""

    @property
    def state(self) -> Any:
        """Its state as plain JSON; None if it has none, if it was not asked for, or if it is lost: see `reason`."""
        return self.get_state()

    def get_state(self, expected_type: Any = None) -> Any:
        """Return its state, read as a type. Raises DataError if it does not fit."""
        return read_as(self.state_text, expected_type, f"the state of entity '{self.id}'")


@dataclass(frozen=True, slots=True)
class EntityPage:
    """One page of a list of entities. It may hold fewer than asked for, even none, and not be the last."""

    entities: list[EntityMetadata]
    continuation: str | None = None
    """Opaque; None on the last page."""

    def __iter__(self) -> Iterator[EntityMetadata]:
        return iter(self.entities)

    def __len__(self) -> int:
        return len(self.entities)


@dataclass(frozen=True, slots=True)
class CleanEntityStorageResult:
    """What a clean-up has done."""

    empty_entities_removed: int
    orphaned_locks_released: int
