"""The row of one entity, as its session knows it. One conditional write of it is a commit.

What can happen if the process dies between any two lines of `commit`: before the write nothing has changed but, when
the record is too large for a row, a segment that no row names; after it everything has, and a segment that the row
named before is garbage. Both go with the entity.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from perdure.core.codec import decode_record, encode_record, head_in_segment, segment_of_head
from perdure.core.entities.record import Record
from perdure.core.parked_reason import parked_line
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.deleting import finish_deletion
from perdure.engine.delivery import ticket
from perdure.engine.settings import EngineSettings
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance, Row

_NOTHING = encode_record(Record())


class EntityChange(msgspec.Struct, frozen=True):
    """One commit."""

    commit: str
    record: Record
    state: str | None
    """JSON text of the state, or a reference to the payload that holds it; None if the entity has none."""
    status: str | None
    """JSON text of what the row shows of locks and of what waits."""
    at: datetime
    name: str
    """The entity's name, as it is written where the entity is defined."""
    new_id: str
    """Names the entity's life if it begins with this commit."""


class EntityJournal:
    """Reads and writes the row. `load` before anything else; after a `Conflict`, `load` again."""

    def __init__(self, storage: Storage, instance_id: str, settings: EngineSettings) -> None:
        self._storage = storage
        self._instance_id = instance_id
        self._settings = settings
        self._encoded = _NOTHING
        self.committed = Record()
        """The record as it is stored: to be read, not to be changed."""
        self.row: Row | None = None
        self.fresh_at = 0
        """Ticket drawn before the row was last known to be current."""
        self.stored: str | None = None
        """The segment that the last commit, whatever came of it, has stored."""

    async def load(self) -> None:
        """Read the row.

        Raises:
            PayloadMissing: a segment that the row names does not exist.
            StoredDataError: the row can't be read.
        """
        while True:
            drawn = ticket()
            row = await self._storage.read(self._instance_id)
            if row is not None and row.instance.deleting:
                await finish_deletion(self._storage, row)
                continue
            try:
                encoded = _NOTHING if row is None else await self._read_head(row)
                committed = decode_record(encoded)
            except PayloadMissing:
                if not await self._has_changed(row):
                    raise
                continue
            except StoredDataError as error:
                raise StoredDataError(f"entity '{self._instance_id}': {error}") from error
            self.row, self._encoded, self.committed, self.fresh_at = row, encoded, committed, drawn
            return

    def record(self) -> Record:
        """Return a copy of the record, to be changed."""
        return decode_record(self._encoded)

    @property
    def state(self) -> str | None:
        """JSON text of the state, or a reference; None if the entity has none."""
        return None if self.row is None else self.row.instance.output

    @property
    def execution_id(self) -> str | None:
        """Names the entity's life; None if it has not begun."""
        return None if self.row is None else self.row.instance.execution_id

    @property
    def segment(self) -> str | None:
        """The segment that holds the record; None if the row does."""
        return None if self.row is None else segment_of_head(self.row.head)

    async def commit(self, change: EntityChange) -> None:
        """Write a change; the journal shows it when this returns. Raises Conflict."""
        drawn = ticket()
        encoded = encode_record(change.record)
        head, self.stored = encoded, None
        if len(encoded) > self._settings.turn_bytes:
            self.stored = f"record-{change.commit}"
            await self._storage.put_segment(self._instance_id, self.stored, encoded)
            head = head_in_segment(self.stored)
        row = self._changed(change, head)
        row.etag = await (self._storage.insert(row) if self.row is None else self._storage.replace(row))
        self.row, self._encoded, self.committed, self.fresh_at = row, encoded, change.record, drawn

    def _changed(self, change: EntityChange, head: bytes) -> Row:
        row = self.row
        instance = self._born(change) if row is None else row.instance
        instance = msgspec.structs.replace(
            instance,
            name=change.name,
            updated_at=change.record.touched or change.at,
            commit=change.commit,
            output=change.state,
            custom_status=change.status,
            reason=parked_line(instance.reason),
        )
        return Row(instance=instance, head=head, etag="" if row is None else row.etag)

    def _born(self, change: EntityChange) -> Instance:
        return Instance(
            instance_id=self._instance_id,
            kind="entity",
            name=change.name,
            execution_id=change.new_id,
            status=OrchestrationRuntimeStatus.Running,
            created_at=change.at,
            updated_at=change.at,
        )

    async def _read_head(self, row: Row) -> bytes:
        name = segment_of_head(row.head)
        return row.head if name is None else (await self._storage.get_segments(self._instance_id, [name]))[0]

    async def _has_changed(self, row: Row | None) -> bool:
        there = await self._storage.read(self._instance_id)
        return there is None or row is None or there.etag != row.etag
