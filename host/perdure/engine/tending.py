"""Tending: keeping one message invisible while somebody works on it, and settling it afterwards.

The Functions host does this for its triggers. The local host's pumps, eager starts and simulations do it with what is
here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from perdure.engine.delivery import AnchorLost
from perdure.storage.protocol import Queues, StorageError

_log = logging.getLogger("perdure.queues")


class Hold:
    """A queue message in our hands.

    Args:
        queues: where its queue is.
        queue: the queue's name.
        message_id: the queue's id of it.
        receipt: of its delivery, or of its sending.
        invisibility: seconds that each renewal hides it for.
    """

    def __init__(self, queues: Queues, queue: str, message_id: str, receipt: str, *, invisibility: float) -> None:
        self.queue = queue
        self.message_id = message_id
        self.lost = False
        """It has been delivered to somebody else meanwhile: whoever holds it now decides."""
        self._queues = queues
        self._receipt = receipt
        self._invisibility = invisibility

    async def during(self, work: Awaitable[None]) -> None:
        """Await `work`, and renew the message's invisibility at half of its time. Raises what `work` raises."""
        task = asyncio.ensure_future(work)
        interval = self._invisibility / 2
        try:
            while not (await asyncio.wait({task}, timeout=interval))[0]:
                interval = await self._renew()
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def delete(self) -> bool:
        """Delete the message; False if it is not ours any more."""
        return await self._queues.delete_message(self.queue, self.message_id, self._receipt)

    async def give_back(self, after: float = 0) -> None:
        """Show the message again after so many seconds."""
        await self._queues.extend(self.queue, self.message_id, self._receipt, invisibility=after)

    async def _renew(self) -> float:
        """Hide the message for longer; return the seconds until that is due again."""
        if self.lost:
            return self._invisibility
        try:
            receipt = await self._queues.extend(
                self.queue, self.message_id, self._receipt, invisibility=self._invisibility
            )
        except StorageError as error:
            _log.warning("Message %s of queue %s can't be kept hidden: %s", self.message_id, self.queue, error)
            return self._invisibility / 10
        if receipt is None:
            self.lost = True
            _log.warning(
                "Message %s of queue %s reappeared while it was being worked on: that may happen twice at once.",
                self.message_id,
                self.queue,
            )
        else:
            self._receipt = receipt
        return self._invisibility / 2


async def tend(hold: Hold, work: Callable[[], Awaitable[None]], *, retry_after: float = 0) -> None:
    """Do `work` while the message is held; delete it when `work` returns, show it again after `retry_after` seconds
    when it raises, and raise the same.

    A message that another session has taken over (`AnchorLost`) is left to its invisibility.
    """
    try:
        await hold.during(work())
    except AnchorLost:
        return
    except BaseException:
        await hold.give_back(retry_after)
        raise
    await hold.delete()
