"""Replies: outcomes on their way to the instances that wait for them.

Those of one generation that come while another is being sent share the next message: many activities that end close
together cost few messages, and a single one waits for nothing.

Should the process die, the work items whose outcomes have not been sent are still unacknowledged: `Replies.send`
returns, to each of its callers, once the message that brings its outcome is in the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from perdure.core.messages import Completion, Completions
from perdure.core.outbox import outcome_message_id
from perdure.engine.mail import Mail

_ENVELOPE = 4_096
"""Bytes of a message that its outcomes leave to what stands around them."""
_MOST = 100
"""Outcomes that share a message."""


class Replies:
    """Sends the outcomes of one worker.

    Args:
        mail: sends messages.
        most_bytes: the largest message that the queue takes.
    """

    def __init__(self, mail: Mail, most_bytes: int) -> None:
        self._mail = mail
        self._most_bytes = most_bytes - _ENVELOPE
        self._lines: dict[tuple[str, str], deque[_Reply]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def send(self, instance_id: str, execution: str, completions: list[Completion]) -> None:
        """Queue outcomes to the generation that waits for them. Raises what kept one of them from being queued."""
        mine = [_Reply(completion) for completion in completions]
        key = (instance_id, execution)
        if key in self._lines:
            self._lines[key].extend(mine)
        else:
            self._lines[key] = deque(mine)
            task = asyncio.create_task(self._send_all(key))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        for error in await asyncio.gather(*(reply.queued for reply in mine)):
            if error is not None:
                raise error

    async def _send_all(self, key: tuple[str, str]) -> None:
        line = self._lines[key]
        try:
            while together := self._take(line):
                await self._send_together(key, together)
        finally:
            del self._lines[key]
            for reply in line:
                reply.queued.cancel()

    def _take(self, line: deque[_Reply]) -> list[_Reply]:
        """Take as many from the line as one message brings."""
        taken: list[_Reply] = []
        size = 0
        while line and len(taken) < _MOST and (not taken or size + line[0].size <= self._most_bytes):
            reply = line.popleft()
            if not reply.queued.done():  # else nobody waits for that any more: its work item comes again
                taken.append(reply)
                size += reply.size
        return sorted(taken, key=lambda reply: reply.completion.no)

    async def _send_together(self, key: tuple[str, str], together: list[_Reply]) -> None:
        instance_id, execution = key
        items = [reply.completion for reply in together]
        message_id = outcome_message_id(execution, *(item.no for item in items))
        error: Exception | None = None
        try:
            await self._mail.send(Completions(to=instance_id, id=message_id, execution=execution, items=items))
        except Exception as raised:  # noqa: BLE001 - told to those whose outcomes these are
            error = raised
        for reply in together:
            if not reply.queued.done():
                reply.queued.set_result(error)


class _Reply:
    """One outcome, and what is told to who sends it once it is queued: None, or the error that kept it from that."""

    __slots__ = ("completion", "queued", "size")

    def __init__(self, completion: Completion) -> None:
        self.completion = completion
        self.queued: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.size = len(msgspec.json.encode(completion))
