"""Admission: which messages an entity takes in, and in which order. Everything from one sender keeps its order, and
nothing is taken in twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from perdure.core.entities.record import Early, Inflow, Record, stream_key
from perdure.core.intake import Verdict
from perdure.core.messages import AcquireLock, ControlMessage, EntityRequest, Operate, ReleaseLock, Wake
from perdure.core.streams import RENEWED_AFTER

REMEMBERED = 2 * RENEWED_AFTER
"""How long an entity remembers a stream after its last message, at least while there are not too many of them."""
STREAMS = 10_000
"""How many streams it remembers at most, the latest ones; that many take about 120 KB of its record."""
_MISSING = 1_000
"""How many places of a stream may stay open, the latest ones."""
CLIENT_STREAM = "client/"
"""How the names of streams from clients begin. They may have gaps: a client that dies sends nothing again."""
SHORT_PATIENCE = timedelta(seconds=30)
"""How long what a client has sent waits for what it has sent before that. So does what comes in a stream that is not
known, in the middle of it, at an entity that knows as many as it can: it is likely to have been forgotten.
"""


class Admission:
    """Takes messages into a record.

    Args:
        record: the entity's; it is changed.
        now: the time.
        patience: how long what others than clients have sent waits for what they have sent before that.
    """

    def __init__(self, record: Record, now: datetime, patience: timedelta) -> None:
        self._record = record
        self._now = now
        self._seconds = int(now.timestamp())
        self._patience = patience
        self._inflows = {inflow.key: inflow for inflow in record.inflows}
        self._forgets = len(record.inflows) >= STREAMS
        self._queue: deque[EntityRequest] = deque(record.queue)
        self._early: dict[bytes, dict[int, Early]] = {}
        for early in record.early:
            self._keep(early)
        self._new: set[str] = set()
        self.due: dict[str, datetime] = {}
        """When the messages judged EARLY are due, by message id."""

    def judge(self, message: ControlMessage) -> Verdict:
        """Take a message in if it is news; return what has become of it."""
        match message:
            case Operate() | AcquireLock() | ReleaseLock():
                return self._judge_request(message)
            case Wake():
                return self._judge_wake(message)
            case _:
                return Verdict.IRRELEVANT

    def finish(self) -> None:
        """Give up on what has been waited for long enough, forget what is old, and write it all into the record."""
        self._give_up()
        record = self._record
        record.queue = list(self._queue)
        record.early = [each for waiting in self._early.values() for each in waiting.values()]
        record.inflows = self._remembered()

    def _judge_request(self, request: EntityRequest) -> Verdict:
        if request.id in self._new:
            return Verdict.REPEAT
        if self._knows(request):
            return Verdict.KNOWN
        if isinstance(request, Operate) and request.due is not None and request.due > self._now:
            self.due[request.id] = request.due
            return Verdict.EARLY
        self._new.add(request.id)
        inflow = self._inflow(request)
        seq = request.place.seq
        if seq in inflow.missing:
            inflow.missing.remove(seq)
            self._queue.append(request)
        else:
            self._keep(Early(request, self._now, hasty=self._forgets and inflow.next == 0 and seq > 0))
            self._drain(inflow)
        return Verdict.CONSUME

    def _judge_wake(self, wake: Wake) -> Verdict:
        record = self._record
        if record.wake is None or record.wake.id != wake.id:
            return Verdict.KNOWN if wake.no < record.wakes else Verdict.IRRELEVANT
        if wake.due > self._now:
            self.due[wake.id] = wake.due
            return Verdict.EARLY
        record.wake = None
        return Verdict.CONSUME

    def _knows(self, request: EntityRequest) -> bool:
        key, seq = stream_key(request.place.stream), request.place.seq
        if seq in self._early.get(key, ()):
            return True
        inflow = self._inflows.get(key)
        return inflow is not None and seq < inflow.next and seq not in inflow.missing

    def _inflow(self, request: EntityRequest) -> Inflow:
        key = stream_key(request.place.stream)
        inflow = self._inflows.get(key)
        if inflow is None:
            inflow = self._inflows[key] = Inflow(key, 0, self._seconds)
        inflow.at = self._seconds
        return inflow

    def _drain(self, inflow: Inflow) -> None:
        """Take in what has been waiting for what has come now."""
        waiting = self._early.get(inflow.key, {})
        while (early := waiting.pop(inflow.next, None)) is not None:
            self._queue.append(early.request)
            inflow.next += 1
        if not waiting:
            self._early.pop(inflow.key, None)

    def _keep(self, early: Early) -> None:
        place = early.request.place
        self._early.setdefault(stream_key(place.stream), {})[place.seq] = early

    def _give_up(self) -> None:
        for key in list(self._early):
            while waiting := self._early.get(key):
                first = min(waiting)
                if patience_ends(waiting[first], self._patience) > self._now:
                    break
                inflow = self._inflow(waiting[first].request)
                gap = range(max(inflow.next, first - _MISSING), first)
                inflow.missing = [*inflow.missing, *gap][-_MISSING:]
                inflow.next = first
                self._drain(inflow)

    def _remembered(self) -> list[Inflow]:
        waited_for = set(self._early)
        oldest = self._seconds - int(REMEMBERED.total_seconds())
        kept = [inflow for inflow in self._inflows.values() if inflow.at > oldest or inflow.key in waited_for]
        if len(kept) > STREAMS:
            kept.sort(key=lambda inflow: (inflow.key in waited_for, inflow.at))
            kept = kept[-STREAMS:]
        return kept


def patience_ends(early: Early, patience: timedelta) -> datetime:
    """Return when a request no longer waits for what stands before it."""
    short = early.hasty or early.request.place.stream.startswith(CLIENT_STREAM)
    return early.since + (min(SHORT_PATIENCE, patience) if short else patience)


def due_for_patience(early: Sequence[Early], patience: timedelta) -> datetime | None:
    """Return when the first of them no longer waits."""
    return min((patience_ends(each, patience) for each in early), default=None)
