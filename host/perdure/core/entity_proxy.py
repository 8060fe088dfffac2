"""Entity proxies: an entity's operations as methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure.core.entity_id import EntityId


class EntityProxy:
    """Stands for an entity: each of its methods hands the operation of that name to `perform`."""

    def __init__(self, entity_id: EntityId, perform: Callable[..., Any]) -> None:
        self._entity_id = entity_id
        self._perform = perform

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(f"entity '{self._entity_id}' has no operation '{operation}': it would be private")

        def perform(*args: Any, **kwargs: Any) -> Any:
            given = (*args, *kwargs.values())
            if len(given) > 1:
                raise TypeError(f"operation '{operation}' of entity '{self._entity_id}' takes one input at most")
            return self._perform(self._entity_id, operation, *given)

        return perform

    def __repr__(self) -> str:
        return f"<proxy of entity {self._entity_id}>"
