"""What one writer knows of its stream: it adds chunks, and learns from those of others whether it still may.

Whatever is stored under a number that this writer wants is read before it wants the next one. So it never adds a chunk
after one that shuts it out, and readers need no filter.
"""

from __future__ import annotations

from collections.abc import Sequence

from perdure.core.entity_id import is_entity_id
from perdure.streaming.chunk import Chunk, Mark, StoredEnd, StoredItem
from perdure.streaming.log import StreamLog


class Ledger:
    """Adds the chunks of one attempt at a step. `open` before anything else.

    Args:
        log: the stream.
        step: the step's key.
        writer: a name that no other writer has.
    """

    def __init__(self, log: StreamLog, step: str, writer: str) -> None:
        self.log = log
        self.step = step
        self.attempt = 0
        self.finished = False
        """Another attempt has finished the step."""
        self.result: str | None = None
        """What it was finished with, whoever has."""
        self._shut_out = False
        self._ended = False
        self._writer = writer
        self._next = 0
        self._no = 0
        self._void = 0
        self._added: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether items may be added, as far as is known."""
        return not (self.finished or self._shut_out or self._ended)

    async def open(self) -> None:
        """Find the stream's end, take the number of an attempt, and learn what became of the attempts before it, and
        whether the stream has ended. May be repeated when it has raised.
        """
        end, attempts = await self.log.survey(self.step)
        attempt = attempts[-1] + 1 if attempts else 1
        mark = Mark(self._writer, end)
        while not await self.log.add_mark(self.step, attempt, mark):
            attempts.append(attempt)
            attempt += 1
        first = await self.log.mark(self.step, attempts[0]) if attempts else mark
        self._added.append(self.log.names.mark(self.step, attempt))
        self.attempt = attempt
        begins = 0 if first is None else first.at
        self._next, self._void = min(begins, max(end - 1, 0)), 0
        if attempts or end:
            await self._catch_up()
        self._next = max(self._next, end)

    async def append(
        self,
        items: Sequence[StoredItem],
        *,
        done: bool = False,
        result: str | None = None,
        end: StoredEnd | None = None,
    ) -> bool:
        """Add a chunk; False if this writer is shut out. With the same arguments it may be repeated when it has raised.

        Args:
            items: its items.
            done: it finishes the step.
            result: with this result.
            end: it ends the stream; the end alone is added even where an earlier attempt has finished the step.
        """
        while self.is_open or (end is not None and not (self._ended or self._shut_out)):
            chunk = self._chunk(items, done=done, result=result, end=end)
            if await self.log.add(self._next, chunk) or await self._catch_up():
                self._added.append(self.log.names.chunk(self._next))
                self._next += 1
                self._no += 1
                self._void = 0
                self._ended = end is not None
                if not self.finished:
                    self.result = result
                return True
        return False

    async def is_left_to_a_newer_attempt(self) -> bool:
        """Whether a newer attempt is, as far as is known, still at the step."""
        if self._shut_out and not self.finished:
            await self._catch_up()
        return self._shut_out and not (self.finished or self._ended)

    async def clean_up(self) -> None:
        """Delete what this writer has added if the instance is gone: it may have been added after the deletion."""
        if is_entity_id(self.log.instance_id):
            return  # which may only be about to begin
        if await self.log.owner() is None:
            await self.log.delete(self._added)

    def _chunk(self, items: Sequence[StoredItem], *, done: bool, result: str | None, end: StoredEnd | None) -> Chunk:
        if self.finished:
            return Chunk(writer=self._writer, no=self._no, step=self.step, attempt=self.attempt, end=end)
        return Chunk(
            writer=self._writer,
            no=self._no,
            step=self.step,
            attempt=self.attempt,
            begins=self._no == 0,
            superseded=self._void,
            items=list(items),
            done=done,
            result=result,
            end=end,
        )

    async def _catch_up(self) -> bool:
        """Read what has been added. True if the next chunk of this writer, whose answer was lost, is among it."""
        async for number, chunk in self.log.chunks(self._next):
            self._next = number
            if chunk.writer == self._writer and chunk.no == self._no:
                return True
            self._next += 1
            self._take_note(chunk)
        return False

    def _take_note(self, chunk: Chunk) -> None:
        self._ended = self._ended or chunk.end is not None
        if chunk.step != self.step:
            return
        if chunk.done:
            self.finished, self.result = True, chunk.result
        if chunk.attempt > self.attempt:
            self._shut_out = True
        else:
            self._void = len(chunk.items) + (0 if chunk.begins else self._void)
