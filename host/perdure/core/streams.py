"""Streams: what one sender sends to one entity, numbered, so that the entity takes it in order and each but once.

A sender that has been silent towards an entity for a while begins a new stream: it need not remember the old one for
ever, and an entity that has forgotten it does not wait for what came before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

RENEWED_AFTER = timedelta(minutes=30)
"""Silence after which a sender begins a new stream; an entity remembers a stream for longer than that."""
CARRIED = 1_000
"""Streams that the next generation of an orchestration goes on with, the latest ones."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A message's place in its stream; no two messages to one entity have the same."""

    stream: str
    seq: int

    def __str__(self) -> str:
        return f"{self.stream}#{self.seq}"


class Flow(msgspec.Struct, array_like=True):
    """A stream as its sender knows it."""

    stream: str
    next: int
    at: datetime
    """When it was last used."""


class Outflows:
    """The streams of one sender.

    Args:
        flows: those that it goes on with, by entity.
    """

    def __init__(self, flows: Mapping[str, Flow] | None = None) -> None:
        self._flows = {to: Flow(flow.stream, flow.next, flow.at) for to, flow in (flows or {}).items()}

    def next(self, to: str, now: datetime, fresh: str) -> Place:
        """Return the place of the next message.

        Args:
            to: the entity.
            now: the sender's time.
            fresh: name of the stream if one is begun; never used before for this entity.
        """
        flow = self._flows.get(to)
        if flow is None or now - flow.at > RENEWED_AFTER:
            flow = Flow(fresh, 0, now)
        place = Place(flow.stream, flow.next)
        self.note(to, place, now)
        return place

    def note(self, to: str, place: Place, at: datetime) -> None:
        """Take in that a message has been given this place."""
        self._flows.pop(to, None)  # the latest stand last
        self._flows[to] = Flow(place.stream, place.seq + 1, at)

    def forget(self, to: str) -> None:
        """Begin a new stream the next time."""
        self._flows.pop(to, None)

    def clear(self) -> None:
        """Begin new streams from now on."""
        self._flows.clear()

    def copy(self) -> Outflows:
        """Return others that go on from the same places."""
        return Outflows(self._flows)

    def recent(self, now: datetime, limit: int = CARRIED) -> dict[str, Flow]:
        """Return the latest streams that are worth remembering."""
        flows = [(to, flow) for to, flow in self._flows.items() if now - flow.at <= RENEWED_AFTER]
        return {to: Flow(flow.stream, flow.next, flow.at) for to, flow in flows[-limit:]}
