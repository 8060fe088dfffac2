"""Telling the second Ctrl-C from the first one delivered twice."""

from __future__ import annotations

import time
from collections.abc import Callable

_SAME_PRESS = 0.3
"""Seconds. Process runners such as `timeout` and `make` pass on a signal that the terminal has sent already."""


class Interrupts:
    """Counts interrupts.

    Args:
        clock: Seconds on a clock that runs evenly.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: float | None = None

    def insists(self) -> bool:
        """Note an interrupt; return whether it is a second one rather than the echo of the first."""
        now = self._clock()
        if self._first is None:
            self._first = now
        return now - self._first > _SAME_PRESS
