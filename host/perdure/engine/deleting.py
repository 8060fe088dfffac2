"""Deleting an instance: mark its row as going, delete what belongs to it, delete the row.

If the process dies after the mark, readers see nothing, and a start that meets the marked row finishes the deletion.
"""

from __future__ import annotations

from perdure.core.data import payload_of
from perdure.storage.protocol import Conflict, Storage
from perdure.storage.rows import Row, RowUpdate


async def delete_instance(storage: Storage, row: Row, *, keep: str | None = None) -> bool:
    """Delete the instance as read in `row`; False if it changed meanwhile and nothing was deleted.

    Args:
        storage: the hub's storage.
        row: the row as read.
        keep: a datum whose payload must survive: the input of the execution that takes the id over.
    """
    update = RowUpdate(
        updated_at=row.instance.updated_at, commit=row.instance.commit, tail_index=len(row.tail), deleting=True
    )
    try:
        row.etag = await storage.merge(row.instance.instance_id, row.etag, update)
    except Conflict:
        return False
    await finish_deletion(storage, row, keep=keep)
    return True


async def finish_deletion(storage: Storage, row: Row, *, keep: str | None = None) -> None:
    """Delete the payloads and segments of an instance whose row is marked, then the row. May be repeated."""
    instance_id = row.instance.instance_id
    kept = payload_of(keep)
    payloads = [payload_id for payload_id in await storage.list_payloads(instance_id) if payload_id != kept]
    if payloads:
        await storage.delete_payloads(instance_id, payloads)
    segments = await storage.list_segments(instance_id)
    if segments:
        await storage.delete_segments(instance_id, segments)
    try:
        await storage.delete(instance_id, row.etag)
    except Conflict:
        return  # somebody else finished it, and perhaps began the id anew
