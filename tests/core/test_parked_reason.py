"""The line about parked messages in an instance's reason."""

from __future__ import annotations

import pytest

from perdure.core.parked_reason import beside_parked, parked_in, parked_line, with_parked, without_parked

ONE, TWO = "00112233445566aa", "ffeeddccbbaa9988"
BLOCKED = "blocked: no orchestrator function is named 'x'"


@pytest.mark.parametrize("before", [None, "", BLOCKED, "blocked: two\nlines"])
def test_messages_come_and_go_and_the_rest_stays(before):
    one = with_parked(before, ONE)
    both = with_parked(one, TWO)
    assert parked_in(both) == [ONE, TWO]
    assert "2 messages could not be processed" in both
    assert with_parked(both, ONE) == both
    assert (before or "") in both
    assert without_parked(both, TWO) == one
    assert without_parked(one, ONE) == (before or None)
    assert without_parked(before, ONE) == (before or None)


def test_turns_keep_the_line_only():
    reason = with_parked(BLOCKED, ONE)
    assert parked_in(parked_line(reason)) == [ONE]
    assert BLOCKED not in parked_line(reason)
    assert parked_line(BLOCKED) is None
    assert parked_line(None) is None


def test_what_is_blocked_stands_beside_it():
    assert beside_parked(BLOCKED, None) == BLOCKED
    both = beside_parked(BLOCKED, with_parked(None, ONE))
    assert both.startswith(f"{BLOCKED}\n")
    assert parked_in(both) == [ONE]


def test_a_hundred_are_named_at_most():
    reason = None
    for number in range(150):
        reason = with_parked(reason, f"{number:016x}")
    assert len(parked_in(reason)) == 100
    assert len(reason) < 2_500
