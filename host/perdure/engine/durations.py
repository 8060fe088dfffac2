"""Durations: how long the app's activities take, learnt from those that have run in this worker."""

from __future__ import annotations

_SHORTER, _LONGER = 0.2, 0.5
"""Weight of the newest duration in the moving average: to take a long activity for a short one costs more than to take
a short one for a long one.
"""


class Durations:
    """A moving average for each activity, which rises faster than it falls."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """An activity of this name has taken so long, whatever came of it."""
        before = self._seconds.get(name)
        if before is not None:
            seconds = before + (_LONGER if seconds > before else _SHORTER) * (seconds - before)
        self._seconds[name] = seconds

    def of(self, name: str) -> float | None:
        """Return how many seconds an activity of this name is expected to take; None if none has run here yet."""
        return self._seconds.get(name)
