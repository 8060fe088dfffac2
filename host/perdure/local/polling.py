"""Waiting for the next message of an empty queue."""

from __future__ import annotations

import asyncio
import random

from perdure.storage.protocol import Notifies, NotifiesOfSends, Queues

FIRST_INTERVAL = 0.1
"""Seconds; the Functions host starts there, too."""

LOCAL_INTERVAL = 1.0
"""Longest wait, in seconds, on a store that wakes us itself: looking costs next to nothing there, and is what finds
another process's messages."""


class Polling:
    """Waits longer each time, up to `longest` seconds, until `reset`.

    Waits differ a little at random, as the Functions host's do: two hosts that look in step would leave every message
    to the one that looks first. A store that notifies is asked to, one that tells of this process's own sends, too; any
    other is left alone for the interval.
    """

    def __init__(self, queues: Queues, queue: str, longest: float) -> None:
        self._queues = queues
        self._queue = queue
        self._longest = min(longest, LOCAL_INTERVAL) if isinstance(queues, Notifies) else longest
        self._interval = FIRST_INTERVAL

    def reset(self) -> None:
        """Start from short waits again: there was work."""
        self._interval = FIRST_INTERVAL

    async def wait(self) -> None:
        """Wait for the present interval, or until the store says that a message is there."""
        interval = min(self._interval, self._longest) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        self._interval = min(self._interval * 2, self._longest)
        if isinstance(self._queues, Notifies):
            await self._queues.wait_for_message(self._queue, interval)
        elif isinstance(self._queues, NotifiesOfSends):
            await self._queues.wait_for_send(self._queue, interval)
        else:
            await asyncio.sleep(interval)
