"""Waiting for the next message of an empty queue."""

from __future__ import annotations

import asyncio

from perdure.jitter import jittered
from perdure.storage.protocol import Notifies, NotifiesOfSends, Queues

FIRST_INTERVAL = 0.01
"""Seconds; a tenth of the Functions host's: what comes next often comes soon."""

UNTOLD_INTERVAL = 60.0
"""Seconds after which a store that tells us of messages is looked at all the same."""


class Polling:
    """Waits longer each time, up to `longest` seconds, until `reset`.

    Waits differ a little at random, as the Functions host's do: two hosts that look in step would leave every message
    to the one that looks first. A store that notifies is not looked at until it says that a message is there; one that
    tells of this process's own sends is asked to; any other is left alone for the interval.
    """

    def __init__(self, queues: Queues, queue: str, longest: float, first: float = FIRST_INTERVAL) -> None:
        self._queues = queues
        self._queue = queue
        self._longest = longest
        self._first = self._interval = first

    def reset(self) -> None:
        """Start from short waits again: there was work."""
        self._interval = self._first

    async def wait(self) -> None:
        """Wait for the present interval, or until the store says that a message is there."""
        if isinstance(self._queues, Notifies):
            await self._queues.wait_for_message(self._queue, UNTOLD_INTERVAL)
            return
        interval = jittered(min(self._interval, self._longest))
        self._interval = min(self._interval * 2, self._longest)
        if isinstance(self._queues, NotifiesOfSends):
            await self._queues.wait_for_send(self._queue, interval)
        else:
            await asyncio.sleep(interval)
