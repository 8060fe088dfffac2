"""Purging: deleting instances that have ended, with everything that is stored of them."""

from __future__ import annotations

from perdure.core.status import ENDED
from perdure.engine.deleting import finish_deletion
from perdure.engine.dispatch import Dispatch
from perdure.engine.succession import purge
from perdure.errors import InstanceNotEndedError
from perdure.storage.protocol import Storage
from perdure.storage.rows import InstanceQuery

_PAGE = 500


class Purging:
    """Purges instances of one hub."""

    def __init__(self, storage: Storage, dispatch: Dispatch) -> None:
        self._storage = storage
        self._dispatch = dispatch

    async def one(self, instance_id: str) -> int:
        """Delete an instance; return 1, or 0 if there is none. Raises InstanceNotEndedError."""
        while True:
            row = await self._storage.read(instance_id)
            if row is None:
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

    async def all(self, query: InstanceQuery) -> int:
        """Delete all instances that a query for ended ones selects; return their number."""
        deleted = 0
        continuation: str | None = None
        while True:
            page = await self._storage.query(query, top=_PAGE, continuation=continuation)
            for instance in page.instances:
                deleted += await self._still_ended(instance.instance_id)
            continuation = page.continuation
            if continuation is None:
                return deleted

    async def _still_ended(self, instance_id: str) -> int:
        try:
            return await self.one(instance_id)
        except InstanceNotEndedError:  # its id has been taken for a new instance meanwhile
            return 0


def check_purgeable(statuses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the statuses to purge, all ended ones for none. Raises ValueError for those of running instances."""
    running = [status for status in statuses if status not in ENDED]
    if running:
        raise ValueError(f"only ended instances can be purged; {', '.join(running)} ones have not ended")
    return statuses or tuple(sorted(ENDED))
