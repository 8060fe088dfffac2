"""Starting an instance: insert its row as Pending, then queue its start message.


If the process dies between the two, the instance is Pending without a message. Whoever asked for it asks again: a
client by its own retry, a parent because its turn's message comes again; the row is then found and the message sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from perdure.core.codec import Head, encode_head
from perdure.core.state import Parent
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.clock import Clock, NewId
from perdure.engine.deleting import finish_deletion
from perdure.errors import InstanceExistsError
from perdure.storage.protocol import Conflict, Storage
from perdure.storage.rows import Instance, Row


class InstanceIdTaken(InstanceExistsError):
    """The instance id belongs to another execution."""

    def __init__(self, row: Row) -> None:
        instance = row.instance
        super().__init__(
            f"instance id '{instance.instance_id}' is in use by an orchestration '{instance.name}' that is "
            f"{instance.status}: wait for its end, terminate it, or choose another id"
        )
        self.row = row


class Starting:
    """Inserts rows of new instances."""

    def __init__(self, storage: Storage, clock: Clock, new_id: NewId) -> None:
        self._storage = storage
        self.clock = clock
        self._new_id = new_id

    def row(
        self,
        instance_id: str,
        name: str,
        *,
        execution_id: str,
        input_: str | None,
        version: str | None = None,
        parent: Parent | None = None,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Row:
        """Return the row of a new, pending instance."""
        now = self.clock.now()
        return Row(
            instance=Instance(
                instance_id=instance_id,
                name=name,
                execution_id=execution_id,
                status=OrchestrationRuntimeStatus.Pending,
                created_at=now,
                updated_at=now,
                commit=self._new_id(),
                version=version,
                start_at=start_at,
                input=input_,
                tags=dict(tags or {}),
                parent_id=parent.instance_id if parent else None,
            ),
            head=encode_head(Head(parent)),
        )

    async def insert(self, row: Row) -> Row | None:
        """Insert the row; None if it was inserted now (`row.etag` is set then), the row that is there if this very
        execution had been inserted before.

        Raises:
            InstanceIdTaken: another execution has the id, ended or not.
        """
        while True:
            try:
                row.etag = await self._storage.insert(row)
            except Conflict:
                there = await self._storage.read(row.instance.instance_id)
            else:
                return None
            if there is None:
                continue
            if there.instance.deleting:
                await finish_deletion(self._storage, there)
            elif there.instance.execution_id == row.instance.execution_id:
                return there
            else:
                raise InstanceIdTaken(there)
