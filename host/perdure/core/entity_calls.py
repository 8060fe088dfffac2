"""The context's calls to entities: operations, signals, critical sections, proxies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

from perdure.core.actions import EntityCalled, EntitySignaled, LockRequested
from perdure.core.aliases import also_named
from perdure.core.calling import Calls
from perdure.core.critical_sections import EntityLock, LockTask
from perdure.core.data import to_json
from perdure.core.entity_id import EntityId, instance_id_of
from perdure.core.entity_proxy import EntityProxy
from perdure.core.naming import check_text, name_of
from perdure.core.streams import Place
from perdure.core.tasks import Task
from perdure.core.times import instant
from perdure.core.typed import read_as

E = TypeVar("E")


_also_named = also_named(
    entity_id="entityId",
    entity="entityId",
    operation_name="operationName",
    operation="operationName",
    operation_input="operationInput",
    input="operationInput",
)


class EntityCalls(Calls):
    """The part of the context that deals with entities."""

    @_also_named
    def call_entity(
        self,
        entityId: EntityId | str,  # noqa: N803 - as in Durable Functions
        operationName: str,  # noqa: N803
        operationInput: Any = None,  # noqa: N803
        expected_type: Any = None,
        *,
        return_type: Any = None,
    ) -> Task[Any]:
        """Have an entity perform an operation, and wait for its result.

        Args:
            entityId: the entity, also as `entity_id` or `entity`; one that does not exist is made by the operation.
            operationName: what it is to do, also as `operation_name` or `operation`.
            operationInput: the operation's input, anything that has a JSON form; also as `operation_input` or `input`.
            expected_type: what to read the result as; by default what the operation's own return hint says.
            return_type: another name of `expected_type`.

        Raises:
            LockingRulesViolationError: this is a critical section, and the entity is not one of its own; or one is
                being waited for.
            TaskFailedError: (from the task) the operation failed, and has changed nothing.
        """
        entity, operation, data = _checked(entityId, operationName, operationInput)
        frame = self._frame
        lock = frame.section.lock_for_call(entity, frame.execution)
        hint = expected_type if expected_type is not None else return_type
        if hint is None:
            hint = self._types.entity_operation(EntityId.parse(entity).name, operation).output
        what = f"the result of operation '{operation}' of entity '{entity}'"
        task: Task[Any] = Task(None, partial(read_as, hint=hint, what=what))
        if frame.continuation is None:
            no = task.id = frame.number()
            frame.wait_for(EntityCalled(no, entity, operation, data, frame.place(entity, no), lock), task)
        return task

    @_also_named
    def signal_entity(
        self,
        entityId: EntityId | str,  # noqa: N803 - as in Durable Functions
        operationName: str,  # noqa: N803
        operationInput: Any = None,  # noqa: N803
        signal_time: datetime | None = None,
    ) -> None:
        """Have an entity perform an operation; nothing to wait for. Its signals and calls arrive in order.

        Args:
            entityId: the entity; these three go by the same names as in `call_entity`.
            operationName: what it is to do.
            operationInput: the operation's input.
            signal_time: when it is to do it, at the earliest; such a signal is outside of the order.

        Raises:
            LockingRulesViolationError: the entity is locked by this critical section: call it.
        """
        entity, operation, data = _checked(entityId, operationName, operationInput)
        frame = self._frame
        frame.section.check_signal(entity)
        no = frame.number()
        due = None if signal_time is None else instant(signal_time, "signal_time")
        place = frame.place(entity, no) if due is None else Place(f"{frame.execution}/{no}/at", 0)
        frame.ask(EntitySignaled(no, entity, operation, data, place, due))

    def lock_entities(self, entities: Sequence[EntityId | str], *, sub_orchestrations: bool = False) -> LockTask:
        """Lock entities for a critical section: `with (yield context.lock_entities([a, b])):`, or
        `async with context.lock_entities([a, b]):`.

        Within it nobody else performs operations of these entities. It can call them and no others, can't signal them,
        and can't call sub-orchestrations unless they are allowed. It ends with the `with` block, and in any case with
        the orchestration.

        Args:
            entities: the entities.
            sub_orchestrations: allow them. One that calls or locks a locked entity, or waits for one that does, waits
                for ever, and so does its parent.

        Raises:
            LockingRulesViolationError: there is a critical section already.
            TypeError: this is one entity, and no list.
            ValueError: no entity is given.
        """
        if isinstance(entities, EntityId | str):
            raise TypeError("lock_entities takes a list of entities: lock_entities([first, second])")
        locked = sorted({instance_id_of(each) for each in entities})
        if not locked:
            raise ValueError("lock_entities needs at least one entity")
        frame = self._frame
        frame.section.check_lock()
        no = frame.number()
        task = LockTask(no, frame.leave_section)
        if frame.continuation is None:
            request = LockRequested(no, locked, frame.place(locked[0], no))
            frame.section.ask(request, takes_children=sub_orchestrations)
            frame.wait_for(request, cast("Task[Any]", task))
        return task

    @property
    def is_in_critical_section(self) -> bool:
        """Whether the orchestration has locked entities."""
        return bool(self._frame.section.locked)

    @property
    def locked_entities(self) -> list[EntityId]:
        """The entities that the orchestration has locked."""
        return [EntityId.parse(entity) for entity in self._frame.section.locked]

    def entity(self, kind: type[E] | str, key: str) -> E:
        """Return a proxy whose methods call the operations of an entity: `await context.entity(Counter, "k").add(5)`.

        To an editor it is an object of the class. Declare operations `async def` and what their calls return is typed,
        too.

        Args:
            kind: the entity's class, or the name of an entity.
            key: which of the entities of that name.
        """
        entity_id = EntityId(name_of(kind, "entity"), key)
        return cast("E", EntityProxy(entity_id, self.call_entity))


def _checked(entity: EntityId | str, operation: object, data: Any) -> tuple[str, str, str]:
    instance_id = instance_id_of(entity)
    name = check_text(operation, "an operation's name")
    if not name:
        raise ValueError("an operation's name can't be empty")
    return instance_id, name, to_json(data, f"the input of operation '{name}' of entity '{instance_id}'")


__all__ = ["EntityCalls", "EntityLock"]
