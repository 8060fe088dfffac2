"""Durations: how long the app's activities take, learnt from those that have run in this worker."""

from __future__ import annotations

_WEIGHT = 0.2
"""Of the newest duration in the moving average."""


class Durations:
    """A moving average for each activity."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """An activity of this name has taken so long, whatever came of it."""
        before = self._seconds.get(name)
        self._seconds[name] = seconds if before is None else before + _WEIGHT * (seconds - before)

    def of(self, name: str) -> float | None:
        """Return how many seconds an activity of this name is expected to take; None if none has run here yet."""
        return self._seconds.get(name)
