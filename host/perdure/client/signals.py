"""The order of a client's signals: each entity that it signals has a stream of its own."""

from __future__ import annotations

from collections import OrderedDict

from perdure.core.entities.admission import CLIENT_STREAM
from perdure.core.streams import Outflows, Place
from perdure.engine.clock import Clock, NewId

_REMEMBERED = 10_000
"""Entities, the latest ones; to others a new stream is begun."""


class Signals:
    """Gives the signals of one client their places."""

    def __init__(self, clock: Clock, new_id: NewId) -> None:
        self._clock = clock
        self._new_id = new_id
        self._outflows = Outflows()
        self._known: OrderedDict[str, None] = OrderedDict()

    def place(self, entity: str) -> Place:
        """Return the place of the next signal to an entity."""
        self._known[entity] = None
        self._known.move_to_end(entity)
        if len(self._known) > _REMEMBERED:
            oldest, _ = self._known.popitem(last=False)
            self._outflows.forget(oldest)
        return self._outflows.next(entity, self._clock.now(), f"{CLIENT_STREAM}{self._new_id()}")

    def interrupted(self, entity: str) -> None:
        """A signal may not have been sent: what comes after it must not wait for it."""
        self._outflows.forget(entity)
