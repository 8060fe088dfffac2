"""What goes wrong in a simulation, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Fate(Enum):
    """What becomes of a storage call."""

    FINE = auto()
    CRASH_BEFORE = auto()
    """The worker dies before it takes effect."""
    CRASH_AFTER = auto()
    """The worker dies after it took effect."""
    REQUEST_LOST = auto()
    """It takes no effect, and the transport tries again."""
    ANSWER_LOST = auto()
    """It takes effect, and the transport tries again."""
    REFUSED = auto()
    """It takes no effect: the store is throttling, for longer than the transport tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How much goes wrong, as probabilities a storage call."""

    crash: float = 0.01
    """The worker dies: half of the times before the call, half after it took effect."""
    lost_answer: float = 0.03
    """The answer is lost, before or after the call took effect; the transport tries again, a few times."""
    refused: float = 0.0
    """The store refuses the call, for longer than the transport tries: it throttles."""
    clocks_differ: float = 0.0
    """Seconds by which the clocks of two workers differ at most."""
    slow: float = 0.5
    """The call takes up to 50 ms rather than no time."""
    stalled: float = 0.0
    """The call takes up to 10 s: its process is short of processor time, its connection bad."""
    unrenewed: float = 0.2
    """A message is not renewed while its handler lives, and so comes again under it (a message, not a call)."""
    quiet_after: float = 1_500.0
    """Virtual seconds after which nothing goes wrong any more, so that every run comes to an end."""

    def fate(self, drawn: float) -> Fate:
        """Return what becomes of a storage call, by a number drawn from 0 to 1."""
        crash, lost = self.crash / 2, self.lost_answer / 2
        likely = (
            (Fate.CRASH_BEFORE, crash),
            (Fate.CRASH_AFTER, crash),
            (Fate.REQUEST_LOST, lost),
            (Fate.ANSWER_LOST, lost),
            (Fate.REFUSED, self.refused),
        )
        for fate, probability in likely:
            if drawn < probability:
                return fate
            drawn -= probability
        return Fate.FINE


NO_FAULTS = Faults(crash=0, lost_answer=0, slow=0, unrenewed=0)
