"""What an orchestration's actions say to entities."""

from __future__ import annotations

from typing import assert_never

from perdure.core.actions import EntityCalled, EntitySignaled, LockRequested, LocksReleased
from perdure.core.critical_sections import lock_name
from perdure.core.messages import AcquireLock, EntityRequest, Operate, ReleaseLock
from perdure.core.state import Parent

EntityAction = EntityCalled | EntitySignaled | LockRequested | LocksReleased


def entity_requests(action: EntityAction, instance_id: str, execution: str) -> list[EntityRequest]:
    """Return the messages of an action, in the order in which they are to be sent.

    Args:
        action: a committed one.
        instance_id: the orchestration.
        execution: its generation.
    """
    match action:
        case EntitySignaled():
            return [
                Operate(
                    to=action.entity,
                    id=str(action.place),
                    place=action.place,
                    operation=action.operation,
                    input=action.input,
                    due=action.due,
                )
            ]
        case EntityCalled():
            return [
                Operate(
                    to=action.entity,
                    id=str(action.place),
                    place=action.place,
                    operation=action.operation,
                    input=action.input,
                    reply=Parent(instance_id, execution, action.no),
                    lock=action.lock,
                )
            ]
        case LockRequested():
            return [
                AcquireLock(
                    to=action.entities[0],
                    id=str(action.place),
                    place=action.place,
                    lock=lock_name(execution, action.no),
                    entities=action.entities,
                    position=0,
                    owner=Parent(instance_id, execution, action.no),
                )
            ]
        case LocksReleased():
            onward = action.entities[len(action.places) :]
            return [
                ReleaseLock(to=entity, id=str(place), place=place, lock=lock_name(execution, action.no), onward=onward)
                for entity, place in zip(action.entities, action.places, strict=False)
            ]
        case _:
            assert_never(action)
