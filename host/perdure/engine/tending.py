"""Tending: keeping one message invisible while somebody works on it, and settling it afterwards.

The Functions host does this for its triggers. Pumps and eager starts do it with what is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from perdure.engine.clock import Clock
from perdure.engine.delivery import AnchorLost
from perdure.storage.protocol import Queues, StorageUnavailable


@dataclass(slots=True)
class Held:
    """A queue message that somebody has taken: its place, its id, and the receipt of the last delivery or renewal."""

    queue: str
    message_id: str
    receipt: str


async def tend(
    queues: Queues, clock: Clock, held: Held, work: Awaitable[None], *, invisibility: float, retry_after: float = 0
) -> None:
    """Await `work` while renewing the message's invisibility at half of its time; delete the message when it returns,
    show it again after `retry_after` seconds when it raises, and raise the same.

    A message that another session has taken over (`AnchorLost`) is left to its invisibility.
    """
    renewing = asyncio.create_task(_renew(queues, clock, held, invisibility))
    try:
        await work
    except AnchorLost:
        await _stopped(renewing)
    except BaseException:
        await _stopped(renewing)
        await queues.extend(held.queue, held.message_id, held.receipt, invisibility=retry_after)
        raise
    else:
        await _stopped(renewing)
        await queues.delete_message(held.queue, held.message_id, held.receipt)


async def _renew(queues: Queues, clock: Clock, held: Held, invisibility: float) -> None:
    while True:
        await clock.sleep(invisibility / 2)
        try:
            newer = await queues.extend(held.queue, held.message_id, held.receipt, invisibility=invisibility)
        except StorageUnavailable:
            continue  # another try comes before the invisibility ends, or the message is delivered again
        if newer is None:
            return  # it has been delivered again: that delivery's receipt counts now
        held.receipt = newer


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
