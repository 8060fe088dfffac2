"""Deliveries: a queue message in somebody's hands, and the promise to say what became of it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import datetime

from perdure.core.messages import ControlMessage, Start
from perdure.errors import PerdureError

_tickets = itertools.count(1)


def ticket() -> int:
    """Return the next number of a sequence that orders arrivals and reads within this process."""
    return next(_tickets)


class Delivery:
    """One delivery of a queue message: open until acknowledged or given back.

    Whoever delivered it (the Functions host's invocation, a pump) waits in `settled` and keeps the message invisible
    meanwhile; when that returns the message is deleted, when it raises the message is delivered again.
    """

    def __init__(self, message_id: str, dequeue_count: int = 1) -> None:
        self.message_id = message_id
        """Id that the queue gave the message: the same in each of its deliveries."""
        self.dequeue_count = dequeue_count
        self._outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_settled(self) -> bool:
        """Whether it has been acknowledged or given back."""
        return self._outcome.done()

    def acknowledge(self) -> None:
        """The message has done what it came for: let it be deleted."""
        if not self._outcome.done():
            self._outcome.set_result(None)

    def give_back(self, error: BaseException) -> None:
        """Let the message be delivered again."""
        if not self._outcome.done():
            self._outcome.set_exception(error)
            self._outcome.exception()  # whoever delivered it may be gone: no complaint about that

    async def settled(self) -> None:
        """Wait until it is acknowledged; raise if it is given back."""
        await asyncio.shield(self._outcome)


class WorkerStopped(PerdureError):
    """The worker is shutting down; the message will be delivered to another one."""


class AnchorLost(PerdureError):
    """Another session has taken this message over. Leave it alone: it must neither be deleted, because the receipt
    in our hands may be the newest, nor be shown before its invisibility expires, because the other one is at work.
    """


@dataclass(slots=True, eq=False)
class Inbound:
    """A control message in a session's hands."""

    message: ControlMessage
    delivery: Delivery
    arrived_at: datetime
    poisoned: bool = False
    """It has used up its deliveries: nothing that may end the process is to be tried for it again."""
    arrived: int = field(default_factory=ticket)

    @property
    def is_mere_copy(self) -> bool:
        """Whether, if a turn has consumed this message, another queue message was what brought it.

        One that is delivered for the first time has been nobody's anchor. But a safety net is the anchor of the start
        that it was sent for; a message put back, or moved to the poison queue, takes the place of one that was.
        """
        message = self.message
        anchors = self.poisoned or message.tries > 0 or (isinstance(message, Start) and message.safety_net)
        return self.delivery.dequeue_count == 1 and not anchors

    def renew(self, newer: Inbound) -> None:
        """Take over the newest delivery of the same queue message; the old one may end, its receipt is stale."""
        self.delivery.acknowledge()
        self.delivery = newer.delivery
