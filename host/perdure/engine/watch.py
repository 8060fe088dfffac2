"""A watch over the app's own code: functions that do not come back are told of in the log.

A function that waits for ever keeps its thread, and a place among those that run at once, without a word; an
orchestrator that does holds up the whole event loop. The watch is a thread for that reason: no task would get a turn.
What is watched costs an entry in a dictionary, no task and no timer of its own.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from types import TracebackType
from typing import Protocol

from perdure.engine.clock import Clock, SystemClock

_LOOKS = 6
"""Times to look until something is warned of."""

_log = logging.getLogger("perdure.worker")


class Performs(Protocol):
    """Code of the app that takes several steps, each of which may last as long as one function."""

    @property
    def steps(self) -> int:
        """Steps that have come to an end."""

    def __str__(self) -> str:
        """Name the step that is being taken, and whose it is."""


class Watch:
    """Looks after the functions that one worker runs.

    Args:
        clock: source of time.
        after: seconds after which a function is warned of; then after twice as many, four times as many ...
    """

    def __init__(self, clock: Clock, after: float) -> None:
        self._clock = clock
        self._after = after
        self._running: dict[int, Watched] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def over(self, kind: str, name: str, instance_id: str, consequence: str = "") -> Watched:
        """Return what to run a function in (`with`).

        Args:
            kind: activity, orchestrator ...
            name: the function's.
            instance_id: whose work it is.
            consequence: what a warning adds about what this function keeps from going on.
        """
        return Watched(self, _Call(kind, name, instance_id), consequence)

    def over_steps(self, performs: Performs, consequence: str = "") -> Watched:
        """Return what to take several steps in (`with`): each of them has its time."""
        return Watched(self, performs, consequence)

    def look(self) -> None:
        """Warn of what has been running for too long. The thread does this; under virtual time, tests do."""
        now = self._clock.now()
        for watched in list(self._running.values()):
            watched.look(now, self._after)

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _begin(self, watched: Watched) -> datetime:
        self._running[id(watched)] = watched
        # virtual time stands still while functions run: there is nothing to see from another thread
        if self._thread is None and isinstance(self._clock, SystemClock):
            self._thread = threading.Thread(target=self._look_on, name="perdure-watch", daemon=True)
            self._thread.start()
        return self._clock.now()

    def _end(self, watched: Watched) -> None:
        del self._running[id(watched)]
        if watched.warned:
            seconds = (self._clock.now() - watched.since).total_seconds()
            _log.warning("%s has come to an end after %.0f s", watched.what, seconds)

    def _look_on(self) -> None:
        while not self._closed.wait(self._after / _LOOKS):
            self.look()


class Watched:
    """One function, or several steps, while they run; made by `Watch`."""

    __slots__ = ("_consequence", "_due", "_performs", "_steps", "_watch", "since", "warned", "what")

    def __init__(self, watch: Watch, performs: Performs, consequence: str) -> None:
        self._watch = watch
        self._performs = performs
        self._consequence = consequence
        self._steps = 0
        self._due = 0.0
        self.warned = False
        self.what = ""

    def __enter__(self) -> None:
        self.since = self._watch._begin(self)  # noqa: SLF001 - the two are one

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch._end(self)  # noqa: SLF001 - as above

    def look(self, now: datetime, after: float) -> None:
        """Warn if the present step has been running for `after` seconds, or for twice as long as when last warned."""
        steps = self._performs.steps
        if steps != self._steps:
            self._steps, self.since, self.warned = steps, now, False
        seconds = (now - self.since).total_seconds()
        if not self.warned:
            self._due = after
        if seconds < self._due:
            return
        while self._due <= seconds:
            self._due *= 2
        self.warned = True
        self.what = str(self._performs)
        _log.warning(
            "%s has been running for %.0f s and has not come back%s. If that is not meant, look for a call in it that "
            "waits without a time-out, or a loop without an end.",
            self.what,
            seconds,
            self._consequence,
        )


class _Call:
    """One function: a single step."""

    __slots__ = ("_instance_id", "_kind", "_name")

    steps = 0

    def __init__(self, kind: str, name: str, instance_id: str) -> None:
        self._kind = kind
        self._name = name
        self._instance_id = instance_id

    def __str__(self) -> str:
        return f"{self._kind} '{self._name}' of instance '{self._instance_id}'"
