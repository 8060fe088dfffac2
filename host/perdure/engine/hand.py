"""The messages in a session's hands: those that wait, those of the step that is being made, and those that are held.

Held messages have been consumed and not yet acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence

from perdure.core.messages import Rewind
from perdure.engine.delivery import Inbound


class Hand:
    """Keeps them for one session."""

    def __init__(self) -> None:
        self.waiting: list[Inbound] = []
        self.batch: list[Inbound] = []
        """Of the step that is being made."""
        self.held: list[Inbound] = []

    @property
    def _all(self) -> list[Inbound]:
        return [*self.waiting, *self.batch, *self.held]

    def receive(self, inbound: Inbound) -> bool:
        """Take a message; False if it is one that is here already, and brings its newest receipt (trap e)."""
        for mine in self._all:
            if mine.delivery.message_id == inbound.delivery.message_id and not mine.delivery.is_settled:
                mine.renew(inbound)
                return False
        self.waiting.append(inbound)
        return True

    def take_batch(self, limit: int | None = None) -> list[Inbound]:
        """Take the messages that wait, up to one that has come before: that one alone, since it may be why. A rewind is
        taken alone, too: what comes after it is to be judged by what it brings about.

        Args:
            limit: how many at most; None takes all.
        """
        batch: list[Inbound] = []
        for inbound in self.waiting[:limit]:
            if inbound.delivery.dequeue_count > 1 or isinstance(inbound.message, Rewind):
                batch = batch or [inbound]
                break
            batch.append(inbound)
        self.waiting = self.waiting[len(batch) :]
        self.batch = batch
        return batch

    def put_back(self, messages: Sequence[Inbound]) -> None:
        """Have messages of the batch wait for the next step; the batch is done with."""
        self.waiting = [*messages, *self.waiting]
        self.batch = []

    def give_back_batch(self, error: BaseException) -> None:
        """Let the messages of the batch, and no others, be delivered again."""
        for inbound in self.batch:
            inbound.delivery.give_back(error)
        self.batch = []

    def give_back_all(self, error: BaseException) -> None:
        """Let all messages be delivered again."""
        for inbound in self._all:
            inbound.delivery.give_back(error)
        self.waiting, self.batch, self.held = [], [], []

    def let_go(self, messages: Sequence[Inbound]) -> None:
        """Acknowledge these, held or not."""
        for inbound in messages:
            inbound.delivery.acknowledge()
        self.held = [inbound for inbound in self.held if inbound not in messages]

    def release(self, *, keep: int) -> None:
        """Rule 2: everything is committed and sent. Acknowledge what is held, but for the newest messages to keep."""
        while len(self.held) > keep:
            self.held.pop(0).delivery.acknowledge()
