"""Waking those who wait for a message in this process, whatever event loop or thread they are in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Wakeups:
    """Signals per queue. A signal says "look again", no more: waiters read the queue's state themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[Waiter]] = {}

    @property
    def listening(self) -> bool:
        """Whether anybody does."""
        return bool(self._waiting)

    def signal_all(self) -> None:
        """Wake all who listen to any queue; safe from any thread."""
        with self._lock:
            queues = list(self._waiting)
        for queue in queues:
            self.signal(queue)

    def signal(self, queue: str) -> None:
        """Wake all who listen to `queue`; safe from any thread."""
        with self._lock:
            waiters = list(self._waiting.get(queue, ()))
        for waiter in waiters:
            waiter.wake()

    @contextmanager
    def listen(self, queue: str) -> Iterator[Waiter]:
        """Receive the signals of `queue` in the running event loop, from now until the block ends."""
        waiter = self.listener(queue)
        try:
            yield waiter
        finally:
            self.forget(queue, waiter)

    def listener(self, queue: str) -> Waiter:
        """Return what receives the signals of `queue` in the running event loop, from now until `forget`."""
        waiter = Waiter(asyncio.get_running_loop())
        with self._lock:
            self._waiting.setdefault(queue, set()).add(waiter)
        return waiter

    def forget(self, queue: str, waiter: Waiter) -> None:
        """Send it no signals any more."""
        with self._lock:
            self._waiting[queue].discard(waiter)
            if not self._waiting[queue]:
                del self._waiting[queue]


class Waiter:
    """One listener: remembers a signal that came while nobody waited."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._signalled = asyncio.Event()

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._signalled.set)
        except RuntimeError:
            # the listener's loop closed under it: nobody is left to wake
            return

    async def wait(self, seconds: float | None) -> None:
        """Return at the next signal, or after `seconds` if that is not None."""
        try:
            async with asyncio.timeout(seconds):
                await self._signalled.wait()
        except TimeoutError:
            return
        self._signalled.clear()
