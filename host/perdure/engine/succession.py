"""Succession: an ended instance makes way, for a new execution of its id or for nothing.

First it says once more what it may have left unsaid, since the message that would make it do so finds it gone. Then one
conditional write of the row decides: whoever is slow, or repeats an old start, loses that race and can't bring back an
execution that has been and gone. If the process dies after that write, what the old execution has left is deleted with
the new one.
"""

from __future__ import annotations

from perdure.core.status import ENDED
from perdure.engine.deleting import belongings, delete_belongings, delete_instance
from perdure.engine.dispatch import Dispatch
from perdure.engine.starting import InstanceIdTaken, Starting
from perdure.errors import InstanceNotEndedError
from perdure.storage.protocol import Conflict, Storage
from perdure.storage.rows import Row


async def insert_or_replace(storage: Storage, starting: Starting, dispatch: Dispatch, row: Row) -> bool:
    """Insert the row of a new execution, or put it in the place of an instance that has ended.

    Returns True if it was inserted now, False if this very execution had been inserted before.

    Raises:
        InstanceIdTaken: another execution has the id and has not ended, or a parent still waits for its outcome.
    """
    while True:
        try:
            return await starting.insert(row) is None
        except InstanceIdTaken as taken:
            if taken.row.instance.status not in ENDED:
                raise
            if not await dispatch.farewell(taken.row):
                raise
            if await replace_ended(storage, taken.row, row):
                return True


async def replace_ended(storage: Storage, ended: Row, row: Row) -> bool:
    """Replace an ended execution that has said its farewell; False if somebody else was faster."""
    left = await belongings(storage, ended)
    row.etag = ended.etag
    try:
        row.etag = await storage.replace(row)
    except Conflict:
        row.etag = ""
        return False
    await delete_belongings(storage, row.instance.instance_id, left)
    return True


async def purge(storage: Storage, dispatch: Dispatch, ended: Row) -> bool:
    """Delete an ended instance as read; False if it changed meanwhile and nothing was deleted.

    Raises:
        InstanceNotEndedError: its parent has not taken in its outcome yet.
    """
    if not await dispatch.farewell(ended):
        instance = ended.instance
        raise InstanceNotEndedError(
            f"instance '{instance.instance_id}' ('{instance.name}') has ended, but its parent '{instance.parent_id}' "
            f"has not taken in its outcome yet: purge it later, or terminate the parent first"
        )
    return await delete_instance(storage, ended)
