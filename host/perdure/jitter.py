"""Pauses that differ a little at random, so that those who wait for the same thing don't all come at the same moment.

The numbers come from a generator of our own: the one that `random`'s functions share belongs to the app, which may have
seeded it and count on what comes next.
"""

import random

_chance = random.Random()  # noqa: S311 - no secret


def seed(number: int) -> None:
    """Have all that follows drawn by a seed: a simulation is to be the same each time."""
    _chance.seed(number)


def jittered(seconds: float, least: float = 0.8, most: float = 1.2) -> float:
    """Return between `least` and `most` times as many seconds."""
    return seconds * _chance.uniform(least, most)
