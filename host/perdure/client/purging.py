"""Purging: deleting instances that have ended, with everything that is stored of them."""

from __future__ import annotations

import asyncio

from perdure.core.actions import SubOrchestrationScheduled
from perdure.core.entity_id import is_entity_id
from perdure.core.status import ENDED
from perdure.engine.clock import Clock
from perdure.engine.deleting import delete_remains, finish_deletion
from perdure.engine.dispatch import Dispatch
from perdure.engine.journal import Journal
from perdure.engine.settings import EngineSettings
from perdure.engine.succession import purge
from perdure.errors import InstanceNotEndedError
from perdure.storage.protocol import Storage
from perdure.storage.rows import InstanceQuery

_PAGE = 500
_AT_ONCE = 16
"""Instances purged at the same time: each takes half a dozen requests, one after the other."""


class Purging:
    """Purges instances of one hub."""

    def __init__(self, storage: Storage, dispatch: Dispatch, clock: Clock) -> None:
        self._storage = storage
        self._dispatch = dispatch
        self._clock = clock

    async def one(self, instance_id: str, *, recursive: bool = False) -> int:
        """Delete an instance; return how many were deleted: 0 if there is none, and what may be left of one that there
        was is deleted. Raises InstanceNotEndedError.

        Children go first: if the process dies in between, the parent still names those that are left.

        Args:
            instance_id: the instance.
            recursive: delete its children, and theirs, if they have ended.
        """
        if is_entity_id(instance_id):
            return 0
        deleted = 0
        if recursive:
            for child in await self._ended_children(instance_id):
                deleted += await self._still_ended(child, recursive=True)
        return deleted + await self._alone(instance_id)

    async def _ended_children(self, instance_id: str) -> list[str]:
        """Return the children of an ended instance that its history names; none if it has not ended."""
        journal = Journal(self._storage, instance_id, EngineSettings())
        await journal.load()
        if journal.row is None or journal.instance.status not in ENDED:
            return []
        actions = [action for turn in journal.state.turns for action in turn.actions]
        named = dict.fromkeys(each.instance_id for each in actions if isinstance(each, SubOrchestrationScheduled))
        children = [await self._storage.read_instance(child) for child in named]
        return [child.instance_id for child in children if child is not None and child.parent_id == instance_id]

    async def _alone(self, instance_id: str) -> int:
        while True:
            row = await self._storage.read(instance_id)
            if row is None:
                await delete_remains(self._storage, instance_id, self._clock.now())
                return 0
            if row.instance.deleting:  # somebody began it and did not come to the end
                await finish_deletion(self._storage, row)
                return 1
            if row.instance.status not in ENDED:
                raise InstanceNotEndedError(
                    f"instance '{instance_id}' ('{row.instance.name}') is {row.instance.status}: only ended instances "
                    f"can be purged. Terminate it first."
                )
            if await purge(self._storage, self._dispatch, row):
                return 1

    async def all(self, query: InstanceQuery, *, recursive: bool = False) -> int:
        """Delete all instances that a query for ended ones selects, their children too if `recursive`; return how many
        were deleted.
        """
        deleted = 0
        continuation: str | None = None
        while True:
            page = await self._storage.query(query, top=_PAGE, continuation=continuation)
            ids = [instance.instance_id for instance in page.instances]
            # one after the other where two may have a child in common, which is counted once
            step = 1 if recursive else _AT_ONCE
            for first in range(0, len(ids), step):
                some = ids[first : first + step]
                deleted += sum(await asyncio.gather(*(self._still_ended(each, recursive=recursive) for each in some)))
            continuation = page.continuation
            if continuation is None:
                return deleted

    async def _still_ended(self, instance_id: str, *, recursive: bool) -> int:
        try:
            return await self.one(instance_id, recursive=recursive)
        except InstanceNotEndedError:  # its id has been taken for a new instance meanwhile
            return 0


def check_purgeable(statuses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the statuses to purge, all ended ones for none. Raises ValueError for those of running instances."""
    running = [status for status in statuses if status not in ENDED]
    if running:
        raise ValueError(f"only ended instances can be purged; {', '.join(running)} ones have not ended")
    return statuses or tuple(sorted(ENDED))
