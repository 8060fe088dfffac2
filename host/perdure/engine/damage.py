"""What can still be done for an orchestration whose history can't be read: end it, so that it can be purged.

If the process dies between two lines of it the termination comes again: an instance that it has ended stays ended, and
its parent is told again.
"""

from __future__ import annotations

import logging

from perdure.core.codec import decode_head
from perdure.core.data import to_json
from perdure.core.failure import Failure
from perdure.core.messages import Completion, Terminate
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.engine.clock import Clock
from perdure.engine.dispatch import Dispatch
from perdure.errors import StoredDataError
from perdure.storage.protocol import Conflict, Storage
from perdure.storage.rows import Row, RowUpdate

_log = logging.getLogger("perdure.poison")


async def terminate_unread(storage: Storage, dispatch: Dispatch, clock: Clock, message: Terminate) -> bool:
    """Terminate an instance by its columns alone. Its parent is told if it can be made out; its children are not.

    Returns False if the message does not mean it, or not even its columns can be read.
    """
    while True:
        try:
            row = await storage.read(message.to)
        except StoredDataError:
            return False
        if row is None or row.instance.deleting or message.execution_id not in (None, row.instance.execution_id):
            return False
        instance = row.instance
        if instance.status not in ENDED:
            now = clock.now()
            update = RowUpdate(
                updated_at=now,
                commit=instance.commit,
                status=OrchestrationRuntimeStatus.Terminated,
                completed_at=now,
                output=to_json(message.reason),
                reason=None,
            )
            try:
                await storage.merge(message.to, row.etag, update)
            except Conflict:
                continue
            _log.warning("instance '%s' has been terminated unread", message.to)
        if instance.status in (OrchestrationRuntimeStatus.Terminated, *_NOT_ENDED):
            await _tell_parent(dispatch, row)
        return True


_NOT_ENDED = tuple(status for status in OrchestrationRuntimeStatus if status not in ENDED)


async def _tell_parent(dispatch: Dispatch, row: Row) -> None:
    try:
        parent = decode_head(row.head).parent
    except StoredDataError:
        parent = None
    if parent is None:
        return
    why = f"instance '{row.instance.instance_id}' was terminated: what is stored of it can't be read"
    failure = Failure("StoredDataError", why)
    await dispatch.outcome(parent.instance_id, parent.execution, Completion(parent.no, failure=failure))
