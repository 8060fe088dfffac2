"""The agenda: which of the requests that an entity has taken in are carried out next.

While it is locked those of the critical section are, in their order; the others wait.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from perdure.core.entities.record import Answer, Lock, Record
from perdure.core.messages import AcquireLock, Completion, EntityRequest, Operate, ReleaseLock
from perdure.core.streams import Outflows, Place


class Agenda:
    """Carries out what concerns locks, and hands out the operations.

    Args:
        record: the entity's; it is changed.
        instance_id: the entity.
        execution_id: names this life of the entity: a part of the names of the streams that it begins.
        now: the time.
    """

    def __init__(self, record: Record, instance_id: str, execution_id: str, now: datetime) -> None:
        self._record = record
        self._instance_id = instance_id
        self._execution_id = execution_id
        self._now = now
        self._outflows = Outflows(record.outflows)
        self.sends: list[Answer | Operate | AcquireLock | ReleaseLock] = []
        """What locks and their releases pass on."""

    def take_operations(self, limit: int) -> list[Operate]:
        """Return the operations to perform now, in order, at most so many; they are gone from the queue."""
        operations: list[Operate] = []
        while len(operations) < limit and (request := self._take()) is not None:
            match request:
                case Operate():
                    operations.append(request)
                case AcquireLock():
                    self._lock(request)
                case ReleaseLock():
                    self._release(request)
                case _:
                    assert_never(request)
        return operations

    def place(self, to: str) -> Place:
        """Return the place of the next message to another entity."""
        fresh = f"{self._execution_id}/{self._record.streams}"
        place = self._outflows.next(to, self._now, fresh)
        if place.seq == 0:
            self._record.streams += 1
        return place

    def finish(self) -> None:
        """Write what has been sent into the record."""
        self._record.outflows = self._outflows.recent(self._now)

    def _take(self) -> EntityRequest | None:
        index = _next_of(self._record)
        return None if index is None else self._record.queue.pop(index)

    def _lock(self, request: AcquireLock) -> None:
        self._record.lock = Lock(request.lock, request.owner, self._now)
        position = request.position + 1
        if position == len(request.entities):
            self.sends.append(Answer(request.owner, Completion(request.owner.no)))
            return
        to = request.entities[position]
        place = self.place(to)
        self.sends.append(
            AcquireLock(
                to=to,
                id=str(place),
                place=place,
                lock=request.lock,
                entities=request.entities,
                position=position,
                owner=request.owner,
            )
        )

    def _release(self, request: ReleaseLock) -> None:
        lock = self._record.lock
        if lock is not None and lock.id == request.lock:
            self._record.lock = None
        if request.onward:
            to, *onward = request.onward
            place = self.place(to)
            self.sends.append(ReleaseLock(to=to, id=str(place), place=place, lock=request.lock, onward=onward))


def can_go_on(record: Record) -> bool:
    """Whether something in the queue can be carried out."""
    return _next_of(record) is not None


def _next_of(record: Record) -> int | None:
    """Return the index of the request in the queue that is to be carried out next; None if all have to wait.

    During a critical section its own requests are, and its end. So is the end of a section that is over here, or never
    began: others may wait for what it passes on. One whose beginning waits here comes after that.
    """
    lock = record.lock
    waiting: set[str] = set()
    for index, request in enumerate(record.queue):
        if lock is None:
            return index
        if isinstance(request, AcquireLock):
            waiting.add(request.lock)
        elif request.lock == lock.id or (isinstance(request, ReleaseLock) and request.lock not in waiting):
            return index
    return None
