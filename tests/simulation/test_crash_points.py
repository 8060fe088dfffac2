"""Thirteen orchestrations, each with a worker that dies at the n-th storage call, for every n: before the call or after
it took effect; or the call's answer is lost.
"""

from __future__ import annotations

import sys

import pytest

from perdure.testing.faults import Fate
from tests.simulation.crash_points import CASES, Point

CRASHES = (Fate.CRASH_BEFORE, Fate.CRASH_AFTER)


@pytest.mark.parametrize("case", CASES)
def test_every_call(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    undisturbed = Point(case, {})
    assert undisturbed.run() == []
    calls, begun = undisturbed.simulation.tries, undisturbed.ledger.begun.total()
    wrong, most = {}, 0
    for number in range(calls):
        for fate in (*CRASHES, Fate.ANSWER_LOST):
            point = Point(case, {number: fate})
            found = point.run()
            if point.simulation.crashes != (fate in CRASHES):
                found.append("nothing happened")
            if found:
                wrong[number, fate.name] = found
            most = max(most, point.ledger.begun.total() - begun)
    with capsys.disabled():
        sys.stdout.write(f"\n{case}: {3 * calls} points, at most {most} activities begun again\n")
    assert wrong == {}
