"""Mail: messages into queues and out of them, through a payload when one outgrows the queue's limit."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from perdure.core.codec import Message, decode_message, encode_message
from perdure.core.messages import Overflow, WorkItem
from perdure.engine.clock import Clock, NewId
from perdure.engine.hub import HubQueues
from perdure.engine.overdue import MESSAGE, dated
from perdure.engine.payloads import payload_text
from perdure.engine.settings import LONGEST_DELAY
from perdure.storage.protocol import Storage
from perdure.storage.rows import SentMessage


class Mail:
    """Sends messages to the queue that each belongs to."""

    def __init__(self, storage: Storage, queues: HubQueues, clock: Clock, new_id: NewId) -> None:
        self._storage = storage
        self._queues = queues
        self._clock = clock
        self._new_id = new_id

    def queue_of(self, message: Message) -> str:
        """Return the queue a message belongs to."""
        match message:
            case WorkItem():
                return self._queues.work
            case Overflow():
                return self._queues.control_of(message.owner)
            case _:
                return self._queues.control_of(message.to)

    async def send(self, message: Message, *, due: datetime | None = None, delay: float = 0) -> SentMessage:
        """Queue a message, to be delivered at `due` or after `delay` seconds; never later than in 7 days, when the
        receiver finds it early and puts it back.
        """
        if due is not None:
            delay = max(0.0, (due - self._clock.now()).total_seconds())
        body = encode_message(message)
        if len(body.encode()) > self._storage.max_message_bytes:
            shown_up = self._clock.now() + timedelta(seconds=delay)
            body = encode_message(await self._overflow(message, body, shown_up))
        return await self._storage.send(
            self.queue_of(message), body, delay=min(delay, math.floor(LONGEST_DELAY.total_seconds()))
        )

    async def open(self, body: str) -> Message:
        """Read a message. Raises DataError if it is none of ours, PayloadMissing if its payload is gone."""
        message = decode_message(body)
        if isinstance(message, Overflow):
            message = decode_message(await payload_text(self._storage, message.owner, message.payload_id))
        return message

    async def _overflow(self, message: Message, body: str, due: datetime) -> Overflow:
        owner = message.instance_id if isinstance(message, WorkItem) else self._receiver(message)
        payload_id = dated(f"{MESSAGE}{self._new_id()}", due)
        await self._storage.put_payload(owner, payload_id, body.encode())
        return Overflow(owner=owner, payload_id=payload_id)

    @staticmethod
    def _receiver(message: Message) -> str:
        assert not isinstance(message, WorkItem | Overflow)  # noqa: S101 - narrowed by the caller
        return message.to
