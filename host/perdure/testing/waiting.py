"""What the instances of a hub wait for, in words."""

from __future__ import annotations

from perdure.core.actions import Awaited, EntityCalled, LockRequested, SubOrchestrationScheduled, TaskScheduled
from perdure.core.state import State
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.engine.registry import Registry
from perdure.storage.protocol import Storage
from perdure.storage.rows import InstanceQuery
from perdure.testing.recorded_history import RecordedHistory, record_history
from perdure.testing.replaying import replayed

_UNFINISHED = tuple(status.value for status in OrchestrationRuntimeStatus if status not in ENDED)
_PAGE = 1_000


async def unfinished_instances(storage: Storage) -> list[str]:
    """Return the ids of all orchestrations that have not ended."""
    ids: list[str] = []
    continuation: str | None = None
    while True:
        page = await storage.query(InstanceQuery(statuses=_UNFINISHED), top=_PAGE, continuation=continuation)
        ids += [instance.instance_id for instance in page.instances]
        continuation = page.continuation
        if continuation is None:
            return ids


async def what_is_waited_for(storage: Storage, registry: Registry) -> list[str]:
    """Return a sentence for each instance that has not ended. Raises HistoryDiffers."""
    return [
        _described(await record_history(storage, instance_id), registry)
        for instance_id in await unfinished_instances(storage)
    ]


def _described(history: RecordedHistory, registry: Registry) -> str:
    instance = history.instance
    state = State(generation=instance.generation, suspended=history.began_suspended, turns=history.turns)
    about = f"instance '{instance.instance_id}' ('{instance.name}')"
    if instance.reason is not None:
        return f"{about} can't go on: {instance.reason}"
    if state.suspended:
        return f"{about} is suspended"
    events = replayed(history, registry).awaited_events
    waits_for = [f"external event '{name}'" for name in events]
    waits_for += [_told(action) for action in state.awaited.values()]
    return f"{about} waits for {' and '.join(waits_for) or 'a task that nothing will complete'}"


def _told(action: Awaited) -> str:
    match action:
        case TaskScheduled():
            return f"activity '{action.name}', which does not end"
        case SubOrchestrationScheduled():
            return f"its sub-orchestration '{action.name}' ('{action.instance_id}')"
        case EntityCalled():
            return f"operation '{action.operation}' of entity '{action.entity}'"
        case LockRequested():
            return f"a lock of {', '.join(action.entities)}"
        case _:
            return f"a timer that is due at {action.fire_at.isoformat()}"
