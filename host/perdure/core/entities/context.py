"""The context that an operation of an entity works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from perdure.core.aliases import also_named
from perdure.core.data import to_json
from perdure.core.entities.effects import Effect, OrchestrationBegun, SignalSent
from perdure.core.entity_id import EntityId, check_orchestration_id, instance_id_of
from perdure.core.hints import Hints
from perdure.core.naming import check_text, checked_tags, name_of
from perdure.core.times import instant, start_time
from perdure.core.typed import read_as
from perdure.core.versions import checked_version

_ABSENT: Any = object()


class DurableEntityContext:
    """What an operation may know and do. What it does takes place if it succeeds, all of it or nothing.

    Args:
        entity_id: the entity.
        operation: the operation's name, as it was asked for.
        input_: JSON text of its input.
        state: JSON text of the entity's state; None if it has none.
        hints: types that the entity's own code declares.
        now: the time.
        new_id: source of ids.
    """

    def __init__(
        self,
        entity_id: EntityId,
        operation: str,
        input_: str | None,
        state: str | None,
        *,
        now: datetime,
        new_id: Callable[[], str],
        hints: Hints = Hints(),  # noqa: B008 - immutable
    ) -> None:
        self._entity_id = entity_id
        self._operation = operation
        self._input = input_
        self._before = state
        self._hints = hints
        self._value: Any = _ABSENT
        """The state as an object, if the operation has asked for it or set it."""
        self._deleted = False
        self._result: Any = None
        self._now = now
        self._new_id = new_id
        self.effects: list[Effect] = []
        """What the operation has asked for."""

    # ---- identity and input ----------------------------------------------------------------------------------------

    @property
    def entity_id(self) -> EntityId:
        """The entity."""
        return self._entity_id

    @property
    def entity_name(self) -> str:
        """Its name."""
        return self._entity_id.name

    @property
    def entity_key(self) -> str:
        """Its key."""
        return self._entity_id.key

    @property
    def operation_name(self) -> str:
        """What it is to do."""
        return self._operation

    operation = operation_name

    @property
    def is_newly_constructed(self) -> bool:
        """Whether the entity had no state when the operation began."""
        return self._before is None

    @property
    def current_utc_datetime(self) -> datetime:
        """When the operations of this batch began (aware, UTC)."""
        return self._now

    @property
    def has_input(self) -> bool:
        """Whether the operation was given an input other than None."""
        return self._input not in (None, "null")

    def get_input(self, expected_type: Any = None) -> Any:
        """Return the operation's input, None if it has none.

        Args:
            expected_type: what to read it as; by default what the entity's own hints say.

        Raises:
            DataError: it does not fit.
        """
        hint = self._hints.input if expected_type is None else expected_type
        return read_as(self._input, hint, f"the input of operation '{self._operation}' of entity '{self._entity_id}'")

    # ---- state -----------------------------------------------------------------------------------------------------

    def get_state(
        self,
        initializer: Any = None,
        expected_type: Any = None,
        *,
        intended_type: Any = None,
        default: Any = None,
    ) -> Any:
        """Return the entity's state; changes of the object are kept, as if it had been set.

        Also taken: what the Durable Task SDK takes, `get_state(intended_type, default)`.

        Args:
            initializer: function without arguments (or a type) that makes the state of an entity that has none; None
                leaves it without.
            expected_type: what to read the state as; by default `initializer` if that is a type.
            intended_type: another name of `expected_type`.
            default: the state of an entity that has none, if there is no `initializer`.

        Raises:
            DataError: it does not fit.
            TypeError: `initializer` can't be called.
        """
        if expected_type is not None and not _is_hint(expected_type) and isinstance(initializer, type):
            initializer, expected_type, default = None, initializer, expected_type
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer is a function without arguments, not {type(initializer).__name__}")
        if self._deleted or (self._value is _ABSENT and self._before is None):
            return initializer() if initializer is not None else default
        if self._value is _ABSENT:
            hint = next((each for each in (expected_type, intended_type) if each is not None), None)
            if hint is None and isinstance(initializer, type):
                hint = initializer
            self._value = read_as(self._before, hint, f"the state of entity '{self._entity_id}'")
        return self._value

    def set_state(self, state: Any) -> None:
        """Set the entity's state, anything that has a JSON form; None deletes the entity."""
        self._value, self._deleted = state, state is None

    def destruct_on_exit(self) -> None:
        """Delete the entity once the operation is done."""
        self._value, self._deleted = None, True

    # ---- what it gives out -----------------------------------------------------------------------------------------

    def set_result(self, result: Any) -> None:
        """Set the operation's result, anything that has a JSON form."""
        self._result = result

    @also_named(
        entity_id="entityId", entity_instance_id="entityId", operation_name="operation", operationName="operation"
    )
    def signal_entity(
        self,
        entityId: EntityId | str,  # noqa: N803 - as in Durable Functions
        operation: str,
        input: Any = None,  # noqa: A002 - as the Durable Task SDK calls it
        signal_time: datetime | None = None,
    ) -> None:
        """Have an entity perform an operation: another one or this one.

        Args:
            entityId: the entity, also as `entity_id`.
            operation: what it is to do, also as `operation_name`.
            input: the operation's input, anything that has a JSON form.
            signal_time: when it is to do it, at the earliest.
        """
        entity = instance_id_of(entityId)
        name = check_text(operation, "an operation's name")
        data = to_json(input, f"the input of operation '{name}' of entity '{entity}'")
        self.effects.append(
            SignalSent(entity, name, data, None if signal_time is None else instant(signal_time, "signal_time"))
        )

    @also_named(orchestration_name="name", orchestration_function_name="name", client_input="input", input_="input")
    def start_new_orchestration(
        self,
        name: str | Callable[..., Any],
        input: Any = None,  # noqa: A002 - as the Durable Task SDK calls it
        instance_id: str | None = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start an orchestration and return its instance id.

        Args:
            name: name of the orchestrator, or the decorated function.
            input: its input, anything that has a JSON form.
            instance_id: id of the instance; by default a new one. If an instance of this id is running, nothing is
                started.
            version: version that it starts with.
            start_at: when it is to begin, at the earliest.
            tags: texts to find it by.
        """
        orchestrator = name_of(name, "orchestration")
        data = to_json(input, f"the input of orchestration '{orchestrator}'")
        its_id = self._new_id() if instance_id is None else check_orchestration_id(instance_id)
        begins = None if start_at is None else start_time(start_at)
        begun = OrchestrationBegun(its_id, orchestrator, data, checked_version(version), begins, checked_tags(tags))
        self.effects.append(begun)
        return its_id

    schedule_new_orchestration = start_new_orchestration

    # ---- for whoever performs it -----------------------------------------------------------------------------------

    def written_result(self, returned: Any) -> str:
        """Return the result as JSON text: what the operation has set, or else returned. Raises DataError."""
        result = returned if self._result is None else self._result
        return to_json(result, f"the result of operation '{self._operation}' of entity '{self._entity_id}'")

    def written_state(self) -> str | None:
        """Return the state as JSON text, None if the entity has none. Raises DataError."""
        if self._deleted:
            return None
        if self._value is _ABSENT:
            return self._before
        return to_json(self._value, f"the state of entity '{self._entity_id}'")


def _is_hint(value: Any) -> bool:
    """Whether this is a type, or what else can stand in an annotation, and no value."""
    return isinstance(value, type) or hasattr(value, "__origin__") or type(value).__module__ in ("typing", "types")
