"""Safety nets: copies of messages whose work takes long, for hosts that hide a message longer than one likes to wait.

The Functions host hides what it has received for ten minutes at a time. If its machine is lost nobody shows the message
before that. A copy, hidden for less and kept hidden while the work goes on, shows up earlier. It counts one more try
than the message: whoever receives it takes it for no mere copy, but takes over what the message has anchored
(DESIGN.md, section 6), or looks at the row before it runs an activity. The message itself comes later, and is known.

What if the process dies between any two lines? Before the copy is sent, the message alone answers for the work; after
it, both do. The copy goes only when the work has ended, and then the message is deleted or given back by its host.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from perdure.core.codec import encode_message
from perdure.core.messages import ControlMessage, WorkItem
from perdure.engine.mail import Mail
from perdure.engine.settings import EngineSettings
from perdure.engine.tending import Hold
from perdure.storage.protocol import Storage, StorageError

LONG = 2.0
"""Seconds after which work is held to take long: most never costs a copy."""

_log = logging.getLogger("perdure.queues")


class SafetyNets:
    """Spreads them for one worker, if `recovery_delay` says so.

    Args:
        storage: where the copies go.
        mail: sends them.
        settings: see `EngineSettings.recovery_delay`.
    """

    def __init__(self, storage: Storage, mail: Mail, settings: EngineSettings) -> None:
        self._storage = storage
        self._mail = mail
        self._delay = settings.recovery_delay
        self._most = settings.max_deliveries

    async def under(self, message: ControlMessage | WorkItem, work: Coroutine[Any, Any, None]) -> None:
        """Do the work that a message asks for; have a copy of the message under it while it takes long.

        A message that is too large for a queue has none, and neither has one that has come of too many copies: what
        ends the machine that it runs on must not do so for ever. Raises what `work` raises.
        """
        delay = self._delay
        copy = None if delay is None else _copy_of(message)
        if delay is None or copy is None or copy.tries > self._most or not self._fits(copy):
            await work
            return
        task = asyncio.ensure_future(work)
        try:
            hold = await self._spread(copy, task, delay)
            if hold is not None:
                await self._hold(hold, task)
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _spread(self, copy: ControlMessage | WorkItem, task: asyncio.Task[None], delay: float) -> Hold | None:
        """Send the copy once the work takes long; None if it has ended before."""
        pause = LONG
        while not (await asyncio.wait({task}, timeout=pause))[0]:
            try:
                sent = await self._mail.send(copy, delay=delay)
            except StorageError as error:
                _log.warning("No safety net could be sent, trying again: %s", error)
                pause = delay / 4
                continue
            queue = self._mail.queue_of(copy)
            return Hold(self._storage, queue, sent.message_id, sent.receipt, invisibility=delay)
        return None

    async def _hold(self, hold: Hold, task: asyncio.Task[None]) -> None:
        try:
            await hold.during(task)
        finally:
            try:
                await hold.delete()
            except StorageError as error:
                _log.warning("A safety net can't be taken in, and will be found to be known: %s", error)

    def _fits(self, copy: ControlMessage | WorkItem) -> bool:
        return len(encode_message(copy).encode()) <= self._storage.max_message_bytes


def _copy_of(message: ControlMessage | WorkItem) -> ControlMessage | WorkItem:
    tries = message.tries + 1
    if isinstance(message, WorkItem):
        return msgspec.structs.replace(message, tries=tries, again=True)
    return msgspec.structs.replace(message, tries=tries)
