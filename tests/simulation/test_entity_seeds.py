"""Entities under crashes, lost answers and repeated messages: every seed must come to the one right end.

A failing seed is in the test's name; `PERDURE_SEEDS=17:18` runs that one alone.
"""

from __future__ import annotations

import os

import pytest

from perdure.testing import Faults
from tests.simulation.entity_life import Hours
from tests.simulation.entity_playing import EntityPlay, Sections, Sums

_FIRST, _, _END = os.environ.get("PERDURE_SEEDS", "0:22").partition(":")
SEEDS = range(int(_FIRST), int(_END or int(_FIRST) + 1))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("play", [Sums, Sections])
def test_seed(play: type[EntityPlay], seed: int) -> None:
    assert play(seed).run() == []


@pytest.mark.parametrize("seed", SEEDS if "PERDURE_SEEDS" in os.environ else range(5))
def test_a_seed_of_hours(seed: int) -> None:
    assert Hours(seed).run() == []


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_left_where_nobody_dies(seed: int) -> None:
    """Answers get lost and messages come again, races are lost: what was stored in vain is deleted all the same."""
    assert Sums(seed, Faults(crash=0, lost_answer=0.1, unrenewed=0.7)).run() == []
