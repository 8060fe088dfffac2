"""The clean-up of entities: rows of those that are empty, locks that nobody will release, large data that nobody will
take in.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from perdure.core.entities.admission import REMEMBERED
from perdure.core.entities.record import Lock
from perdure.core.entity_id import is_entity_id
from perdure.core.outbox import execution_of
from perdure.core.status import ENDED
from perdure.engine.clock import Clock
from perdure.engine.deleting import delete_instance
from perdure.engine.entities.journal import EntityJournal
from perdure.engine.settings import EngineSettings
from perdure.engine.sweeping import Sweeps
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance, InstanceQuery

_PAGE = 500

_log = logging.getLogger("perdure.client")


class EntityCleaning:
    """Cleans one hub.

    Args:
        storage: the hub's.
        clock: source of time.
        release: sends an entity the release of a lock.
        sweeps: sends sweeps.
    """

    def __init__(
        self, storage: Storage, clock: Clock, release: Callable[[str, str], Awaitable[None]], sweeps: Sweeps
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._release = release
        self._sweeps = sweeps

    async def remove_empty(self) -> int:
        """Delete the rows of entities that are empty and have been for so long that no message can come twice any more.
        Return how many were deleted.
        """
        removed = 0
        async for instance in self._entities():
            if instance.output is not None or instance.custom_status is not None:
                continue
            journal = await self._journal(instance)
            if journal is not None and journal.row is not None and self._is_empty(journal):
                removed += await delete_instance(self._storage, journal.row)
        return removed

    async def sweep(self) -> None:
        """Send sweeps to the entities for which something was stored that should have been taken in a week ago, and to
        ids of orchestrations that have no row. What others hold belongs to their history, and goes with it.
        """
        continuation: str | None = None
        last = ""
        while True:
            page = await self._storage.list_all_payloads(continuation=continuation)
            for owner in dict.fromkeys(owner for owner, name in page.payloads if self._sweeps.are_due([name])):
                if owner != last and (is_entity_id(owner) or await self._storage.read_instance(owner) is None):
                    await self._sweeps.begin(owner)
                last = owner
            continuation = page.continuation
            if continuation is None:
                return

    async def release_orphaned_locks(self) -> int:
        """Release locks whose orchestration has ended or is gone; return how many."""
        released = 0
        async for instance in self._entities():
            if instance.custom_status is None:
                continue
            journal = await self._journal(instance)
            lock = None if journal is None else journal.record().lock
            if lock is not None and await self._is_orphaned(lock):
                await self._release(instance.instance_id, lock.id)
                released += 1
        return released

    async def _entities(self) -> AsyncIterator[Instance]:
        continuation: str | None = None
        while True:
            page = await self._storage.query(InstanceQuery(kind="entity"), top=_PAGE, continuation=continuation)
            for instance in page.instances:
                yield instance
            continuation = page.continuation
            if continuation is None:
                return

    async def _journal(self, instance: Instance) -> EntityJournal | None:
        """Return an entity's journal; None, and a line in the log, if it can't be read."""
        journal = EntityJournal(self._storage, instance.instance_id, EngineSettings())
        try:
            await journal.load()
        except (StoredDataError, PayloadMissing) as error:
            _log.error("passed over in a clean-up: %s", error)
            return None
        return journal

    def _is_empty(self, journal: EntityJournal) -> bool:
        record = journal.record()
        idle = not (record.queue or record.early or record.lock)
        oldest = self._clock.now() - REMEMBERED
        forgotten = all(inflow.at < oldest.timestamp() for inflow in record.inflows)
        said = all(sent.at < oldest for sent in record.sent)
        return journal.state is None and idle and forgotten and said

    async def _is_orphaned(self, lock: Lock) -> bool:
        owner = await self._storage.read_instance(lock.owner.instance_id)
        if owner is None or owner.deleting or owner.status in ENDED:
            return True
        return execution_of(owner.execution_id, owner.generation) != lock.owner.execution
