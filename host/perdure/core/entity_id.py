"""Entity ids: a name and a key, written `@name@key` where an instance id is asked for."""

from __future__ import annotations

from typing import Self

from perdure.core.naming import INSTANCE_ID_LIMIT, check_instance_id, check_text

MARK = "@"
"""Stands before the name and before the key."""


class EntityId:
    """Which entity is meant.

    The name keeps its case and compares without it; the key is compared exactly and may hold any characters.

    Args:
        name: name of the entity function or class, without "@".
        key: which of the entities of that name.

    Raises:
        ValueError: one of them is empty, the name has an "@", or both together have more than 254 characters.
    """

    __slots__ = ("_id", "key", "name")

    def __init__(self, name: str, key: str) -> None:
        self.name = check_text(name, "an entity's name")
        self.key = check_text(key, "an entity's key")
        if not name:
            raise ValueError("an entity's name can't be empty")
        if not key:
            raise ValueError(f"the key of an entity '{name}' can't be empty")
        if MARK in name:
            raise ValueError(f"an entity's name can't have an '{MARK}', as {name!r} has")
        self._id = f"{MARK}{name.lower()}{MARK}{key}"
        if len(self._id) > INSTANCE_ID_LIMIT:
            raise ValueError(
                f"the name and key of an entity have at most {INSTANCE_ID_LIMIT - 2} characters together, not "
                f"{len(name) + len(key)}"
            )

    @property
    def entity(self) -> str:
        """The name, as the Durable Task SDK calls it."""
        return self.name

    @classmethod
    def parse(cls, instance_id: str) -> Self:
        """Return the entity id that is written `@name@key`. Raises ValueError for another text, TypeError for none."""
        if not isinstance(instance_id, str):
            raise TypeError(f"an entity id is a text, not {type(instance_id).__name__}")
        if not is_entity_id(instance_id):
            raise ValueError(f"an entity id is written '@name@key', not {instance_id!r}")
        name, _, key = instance_id[1:].partition(MARK)
        return cls(name, key)

    @classmethod
    def get_entity_id(cls, scheduler_id: str) -> Self:
        """Return the entity id that is written `@name@key`, as Durable Functions 1.x calls it. Raises ValueError."""
        return cls.parse(scheduler_id)

    @staticmethod
    def get_scheduler_id(entity_id: EntityId) -> str:
        """Return the instance id of an entity, as Durable Functions 1.x calls it."""
        return str(entity_id)

    @staticmethod
    def get_entity_id_url_path(entity_id: EntityId) -> str:
        """Return where the management API has an entity, below its root."""
        return f"entities/{entity_id.name}/{entity_id.key}"

    def __str__(self) -> str:
        return self._id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.key!r})"

    def __eq__(self, other: object) -> bool:
        return self._id == other._id if isinstance(other, EntityId) else NotImplemented

    def __lt__(self, other: EntityId) -> bool:
        return self._id < other._id

    def __hash__(self) -> int:
        return hash(self._id)


class EntityInstanceId(EntityId):
    """An entity id under the names of the Durable Task SDK; equal to the `EntityId` of the same name and key."""

    __slots__ = ()

    def __init__(self, entity: str, key: str) -> None:
        super().__init__(entity, key)


def is_entity_id(instance_id: str) -> bool:
    """Whether an instance id is an entity's."""
    name, mark, key = instance_id[1:].partition(MARK)
    return instance_id.startswith(MARK) and bool(name and mark and key)


def check_orchestration_id(instance_id: object) -> str:
    """Return the id if it can be an orchestration's. Raises TypeError and ValueError, for an entity's id, too."""
    checked = check_instance_id(instance_id)
    if is_entity_id(checked):
        raise ValueError(
            f"'{checked}' is the id of an entity: an orchestration can't have it, choose another. Entities are called "
            f"and signalled."
        )
    return checked


def instance_id_of(entity: object) -> str:
    """Return the instance id of an entity given by its id, or by that in writing. Raises TypeError, ValueError."""
    if isinstance(entity, str):
        return str(EntityId.parse(entity))
    if isinstance(entity, EntityId):
        return str(entity)
    raise TypeError(f"an entity is given by its EntityId, not by {type(entity).__name__}")
