"""Suspects: messages whose deliveries are used up, because they end their process or were there when others did.

One message that ends its process takes all that are in hand with it, each time it is delivered; after the last time
they all look alike. So each is tried a few times more, by itself: a mark in the store says which one was on trial when
the process died. Only what has not survived its trials is condemned.

What if the process dies between any two lines of `judge`? The message comes again. Before the mark is written nothing
has happened; after it the trial counts, and that is its purpose. A mark that stays after the message is done with is
met by no other message.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from perdure.engine.delivery import AnchorLost, WorkerStopped
from perdure.engine.hub import poison_queue
from perdure.engine.settings import EngineSettings
from perdure.storage.protocol import PayloadMissing, Storage, StorageUnavailable

OWNER = "@Suspect@messages"
"""Whose payloads the marks are: no instance has such an id."""
TRIALS = 3
CONDEMNATIONS = 3
"""How often a process may end as it condemns a message, before that is left with the deliveries that it has."""

_LONGEST_WAIT_IN_LINE = 60.0
_LONGEST_WAIT_FOR_OTHERS = 20.0

_log = logging.getLogger("perdure.poison")


class Trials:
    """One trial at a time in this process, and none beside messages that have been delivered before: if these end the
    process, they are to do it on their own account.
    """

    def __init__(self) -> None:
        self._running = False
        self._others = 0
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def beside(self, dequeue_count: int) -> AsyncIterator[None]:
        """Process a message that is not on trial; one that has been delivered before waits for the end of a trial."""
        if dequeue_count == 1:
            yield
            return
        await self._until(lambda: not self._running, _LONGEST_WAIT_FOR_OTHERS)
        self._others += 1
        try:
            yield
        finally:
            self._others -= 1
            self._tell()

    async def begin(self) -> bool:
        """Wait in line for the trial of a message. False if it did not come to it."""
        if not await self._until(lambda: not self._running, _LONGEST_WAIT_IN_LINE):
            return False
        self._running = True
        try:
            await self._until(lambda: not self._others, _LONGEST_WAIT_FOR_OTHERS)
        except BaseException:
            self.end()
            raise
        return True

    def end(self) -> None:
        """The trial is over."""
        self._running = False
        self._tell()

    async def _until(self, there: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not there():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Suspects:
    """Judges for one worker.

    Args:
        storage: the hub's storage.
        settings: limits.
    """

    def __init__(self, storage: Storage, settings: EngineSettings) -> None:
        self.trials = Trials()
        self._storage = storage
        self._settings = settings

    async def judge(
        self,
        body: str,
        queue: str,
        dequeue_count: int,
        attempt: Callable[[], Awaitable[None]],
        condemn: Callable[[], Awaitable[None]],
    ) -> None:
        """Try to process a message that has come to a queue for poison messages; condemn it if that is no use.

        Args:
            body: its text.
            queue: the queue where its deliveries were used up.
            dequeue_count: how often the queue for poison messages has delivered it, this time included.
            attempt: processes it; raises if it can't be processed.
            condemn: deals with it without doing anything that may end the process.
        """
        if not await self.trials.begin():
            await self._put_back(queue, body)
            return
        mark = hashlib.sha256(f"{queue}\0{body}".encode(errors="surrogatepass")).hexdigest()
        try:
            tried = await self._tried(mark)
            last = self._settings.max_deliveries - (1 if tried < TRIALS else 0)
            if tried < TRIALS + CONDEMNATIONS and 1 < dequeue_count >= last:
                await self._put_back(queue, body)  # it has mostly waited: the host would deliver it no more
                return
            if tried < TRIALS and await self._survives(mark, tried, attempt):
                return
            await self._note(mark, max(tried, TRIALS) + 1)
            await condemn()
            await self._storage.delete_payloads(OWNER, [mark])
        finally:
            self.trials.end()

    async def _survives(self, mark: str, tried: int, attempt: Callable[[], Awaitable[None]]) -> bool:
        await self._note(mark, tried + 1)
        try:
            await attempt()
        except (StorageUnavailable, WorkerStopped, AnchorLost):
            with suppress(StorageUnavailable):
                await self._note(mark, tried)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is why the message is poison
            _log.warning("a message can't be processed: %s", error, exc_info=error)
            return False
        await self._storage.delete_payloads(OWNER, [mark])
        return True

    async def _tried(self, mark: str) -> int:
        try:
            return int(await self._storage.get_payload(OWNER, mark))
        except PayloadMissing:
            return 0

    async def _note(self, mark: str, tried: int) -> None:
        await self._storage.put_payload(OWNER, mark, str(tried).encode())

    async def _put_back(self, queue: str, body: str) -> None:
        """Queue it anew among the poison messages, so that its deliveries there are counted anew."""
        await self._storage.send(poison_queue(queue), body)
