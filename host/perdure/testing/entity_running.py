"""Running an entity's operations without a hub."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from perdure.core.data import from_json, to_json
from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entities.performing import EntityDefinition, Outcome, Performance
from perdure.core.entity_id import EntityId
from perdure.core.naming import check_text, name_of
from perdure.testing.entity_run import EntityRun, OperationRun
from perdure.testing.functions import Function, entity_definition
from perdure.testing.stubs import Awaiting
from perdure.testing.virtual_time import EPOCH

Asked = str | tuple[str] | tuple[str, Any]
"""An operation: its name, or its name and its input."""


def run_entity(
    entity: Function | type[DurableEntity],
    operation: str | Iterable[Asked],
    input_: Any = None,
    *,
    state: Any = None,
    key: str = "test",
    now: datetime = EPOCH,
) -> EntityRun:
    """Perform an operation of an entity by itself, or several one after the other: no storage, no waiting.

    As in production each works on what the state's JSON text gives, and one that fails changes nothing. What operations
    signal or start is told, and not carried out.

    Args:
        entity: its function, decorated or not, or its class.
        operation: the operation's name; or several operations in a list, each a name or `(name, input)`.
        input_: the operation's input.
        state: the state before, anything that has a JSON form; None for an entity that has none.
        key: the entity's key.
        now: what the operations see as the time; a naive time means UTC.

    Raises:
        DataError: an input, or the state, has no JSON form.
        TypeError: this is no entity, or what is given as an operation is none.
    """
    entity_id = EntityId(name_of(entity, "entity"), key)
    text = None if state is None else to_json(state, f"the state of entity '{entity_id}'")
    asked = [(operation, input_)] if isinstance(operation, str) else [_asked(each) for each in operation]
    if not asked:
        raise ValueError(f"entity '{entity_id}' is to perform nothing: give an operation")
    run = EntityRun(entity_id=entity_id, state_text=text)
    with Awaiting() as awaiting:
        stage = Stage(awaiting)
        definition = entity_definition(entity)
        for name, data in asked:
            given = to_json(data, f"the input of operation '{name}'")
            outcome = stage.perform(definition, entity_id, name, given, state=run.state_text, now=_aware(now))
            run.state_text = outcome.state
            run.operations.append(OperationRun(name, from_json(given), from_json(outcome.result), outcome.failure))
            run.add_effects(outcome.effects)
    return run


class Stage:
    """Performs operations on the calling thread.

    Args:
        awaiting: awaits what `async def` operations return.
    """

    def __init__(self, awaiting: Awaiting) -> None:
        self._awaiting = awaiting
        ids = random.Random(0)  # noqa: S311 - the same in every run
        self._new_id: Callable[[], str] = lambda: f"{ids.getrandbits(128):032x}"

    def perform(
        self,
        definition: EntityDefinition,
        entity_id: EntityId,
        operation: str,
        input_: str | None,
        *,
        state: str | None,
        now: datetime,
    ) -> Outcome:
        """Return the outcome of an operation; input and state are JSON texts."""
        context = DurableEntityContext(
            entity_id, operation, input_, state, now=now, new_id=self._new_id, hints=definition.hints(operation)
        )
        outcome: Outcome = self._awaiting.result(Performance(definition, context, state).begin())
        return outcome


def _asked(given: Asked) -> tuple[str, Any]:
    name, *rest = given if isinstance(given, tuple) and given else (given,)
    if not isinstance(name, str) or len(rest) > 1:
        raise TypeError(f'an operation is "name" or ("name", input), not {given!r}')
    return check_text(name, "an operation's name"), rest[0] if rest else None


def _aware(now: datetime) -> datetime:
    return now.astimezone(UTC) if now.tzinfo else now.replace(tzinfo=UTC)
