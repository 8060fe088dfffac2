"""Writing to a stream: one attempt at one step."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from functools import partial
from typing import Any

from perdure.core.data import from_json
from perdure.errors import PerdureError
from perdure.streaming.chunk import MAX_RESULT_BYTES, MESSAGE, StoredEnd, StoredItem, item_of, text_of
from perdure.streaming.ledger import Ledger
from perdure.streaming.patience import StreamUnavailable, patiently

GATHER_SECONDS = 0.1
"""How long items are gathered, before those that have come are stored together."""
GATHER_BYTES = 8 * 1024
_MOST_WAITING_BYTES = 64 * 1024
"""Who writes faster than the store takes it has to wait."""
_ITEM_OVERHEAD = 8
_WAIT_FOR_NEWER, _LOOK_FOR_NEWER = 30.0, 0.5
"""Seconds."""


SAME: Any = object()
"""Readers are told the result."""


class StreamClosedError(PerdureError):
    """Something was written after the writer had finished its step, or was closed."""


class StreamWriter:
    """Writes the items of one step, for as long as no newer attempt at the same step has begun to write.

    A writer that is shut out learns of it when it stores something, and from then on drops what it is given without a
    word: the work that it belongs to may well be what counts in the end.

    Made by `async with ... stream(...)`, which also closes it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[StoredItem] = []
        self._bytes = 0
        self._hurry = asyncio.Event()
        self._storing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._stored_at = -math.inf
        self._closed = False

    @property
    def name(self) -> str:
        """The stream's."""
        return self._ledger.log.name

    @property
    def instance_id(self) -> str:
        """Of the orchestration or entity that the stream belongs to."""
        return self._ledger.log.instance_id

    @property
    def step(self) -> str:
        """The key of the step."""
        return self._ledger.step

    @property
    def attempt(self) -> int:
        """Number of this attempt at the step, from 1."""
        return self._ledger.attempt

    @property
    def finished(self) -> bool:
        """Whether an earlier attempt has finished the step: its items stand, and what is written now is dropped. Take
        `result` for the outcome instead of doing the work again.
        """
        return self._ledger.finished

    @property
    def result(self) -> Any:
        """What the attempt that has finished the step, this one or another, gave to `complete` or `finish`; None until
        one has.
        """
        return from_json(self._ledger.result)

    @property
    def is_open(self) -> bool:
        """Whether what is written reaches readers, as far as is known: false once the step is finished, a newer attempt
        at it has begun to write, the stream has ended, or its instance is gone.
        """
        return self._ledger.is_open and not self._closed

    async def write(self, data: Any, event: str = MESSAGE) -> None:
        """Add an item. It is stored within 100 ms, at once if it is the first; this returns before, unless the store
        takes things up more slowly than they are written.

        Args:
            data: anything that has a JSON form, of 1 MiB at most.
            event: what readers are to call it: 1 to 64 letters, digits and `._:-`, but not `restart` or `end`.

        Raises:
            DataError: the data has no JSON form.
            StreamUnavailable: the store has been away for more than a minute.
            StreamClosedError: this writer is closed.
            ValueError: the data is too large, or the event can't be called so.
        """
        self._check()
        item = item_of(event, data, self.name)
        if not self._ledger.is_open:
            return
        self._waiting.append(item)
        self._bytes += len(item.data) + len(event) + _ITEM_OVERHEAD
        self._begin_storing()
        if self._bytes >= GATHER_BYTES:
            self._hurry.set()
        if self._bytes >= _MOST_WAITING_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Return once everything written is stored. Raises StreamUnavailable."""
        if self._waiting:
            self._begin_storing()
        if self._task is not None and not self._task.cancelled():
            self._hurry.set()
            await asyncio.shield(self._task)

    async def complete(self, result: Any = None) -> Any:
        """Store what is left, and mark the step as finished: it is not written again, whatever becomes of this run.

        Called by itself at the end of the `async with` block, if that ends well. Should a newer attempt be at the step,
        this waits for it, for half a minute at most.

        Args:
            result: what a repeat of the step finds as `result`; anything that has a JSON form, of 16 MiB at most.

        Returns:
            The result of the step, as JSON gives it back: that of the attempt whose items readers get. An activity that
            returns it agrees with its stream.

        Raises:
            DataError: the result has no JSON form.
            StreamUnavailable: the store has been away for more than a minute.
            StreamClosedError: this writer is closed.
            ValueError: the result is too large.
        """
        text = self._text(result)
        await self._end_with(text, None)
        return self.result if self._ledger.finished else from_json(text)

    async def finish(self, result: Any = None, *, told: Any = SAME) -> bool:
        """End the stream: readers get `result`, and nothing that anybody writes afterwards. Finishes the step, too, and
        waits like `complete`; `result` says afterwards what the step's result is.

        Args:
            result: the step's result, as for `complete`.
            told: what readers get instead of it; anything that has a JSON form.

        Returns:
            Whether this has ended it; False if it had ended before, or this writer is shut out.

        Raises: as `complete`.
        """
        stored = self._text(result)
        return await self._end_with(stored, StoredEnd(result=stored if told is SAME else self._text(told)))

    async def fail(self, error: BaseException | str) -> bool:
        """End the stream with an error that readers are told; as `finish`."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        return await self._end_with(None, StoredEnd(error=text[:MAX_RESULT_BYTES]))

    # ---- its own ---------------------------------------------------------------------------------------------------

    async def leave(self, error: BaseException | None) -> None:
        """Close it: the step is finished if all went well; if not, another attempt may write it anew."""
        if error is None:
            if not self._closed:
                await self.complete()
        elif isinstance(error, Exception):
            with suppress(StreamUnavailable):  # the error that there is counts
                await self.flush()
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if error is None or isinstance(error, Exception):
            with suppress(StreamUnavailable):  # nothing is known to be left
                await patiently(self._ledger.clean_up)

    def _check(self) -> None:
        if self._closed:
            raise StreamClosedError(
                f"the writer of step '{self.step}' of {self._ledger.log} is closed: open another one, for another step"
            )

    def _text(self, result: Any) -> str | None:
        self._check()
        return None if result is None else text_of(result, f"the result for stream '{self.name}'", MAX_RESULT_BYTES)

    async def _end_with(self, result: str | None, end: StoredEnd | None) -> bool:
        self._check()
        self._closed = True
        async with self._storing:
            self._raise_what_went_wrong()
            items = self._take()
            stored = await patiently(lambda: self._ledger.append(items, done=True, result=result, end=end))
        self._hurry.set()
        await self._wait_for_newer()
        return stored

    async def _wait_for_newer(self) -> None:
        enough = asyncio.get_running_loop().time() + _WAIT_FOR_NEWER
        while await patiently(self._ledger.is_left_to_a_newer_attempt):
            if asyncio.get_running_loop().time() >= enough:
                return  # it has died, too, and what comes next will find that this one has been faster
            await asyncio.sleep(_LOOK_FOR_NEWER)

    def _begin_storing(self) -> None:
        self._raise_what_went_wrong()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store_as_they_come())

    async def _store_as_they_come(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._stored_at + GATHER_SECONDS):
                    await self._hurry.wait()
            async with self._storing:
                self._hurry.clear()
                if items := self._take():
                    await patiently(partial(self._ledger.append, items))
                    self._stored_at = loop.time()

    def _take(self) -> list[StoredItem]:
        items, self._waiting, self._bytes = self._waiting, [], 0
        return items

    def _raise_what_went_wrong(self) -> None:
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()
