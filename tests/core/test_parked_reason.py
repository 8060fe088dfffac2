"""What an instance says of its parked messages, beside what else it says."""

from perdure.core.parked_reason import beside_parked, parked_in, parked_line, with_parked, without_parked


def test_parked_messages_are_named_until_they_are_gone():
    reason = with_parked(None, "a1")
    assert reason.startswith("parked: 1 message could not be processed (a1)")
    assert with_parked(reason, "a1") == reason
    both = with_parked(reason, "b2")
    assert parked_in(both) == ["a1", "b2"]
    assert "2 messages" in both
    assert without_parked(both, "a1") == with_parked(None, "b2")
    assert without_parked(reason, "a1") is None


def test_what_else_is_said_stays():
    reason = with_parked("blocked: for a reason", "a1")
    assert reason.splitlines()[0] == "blocked: for a reason"
    assert parked_in(reason) == ["a1"]
    assert without_parked(reason, "a1") == "blocked: for a reason"
    assert parked_line(reason) == reason.splitlines()[1]


def test_another_reason_takes_the_place_of_the_first_only():
    reason = with_parked("blocked: for a reason", "a1")
    assert beside_parked("blocked: for another", reason) == with_parked("blocked: for another", "a1")
    assert beside_parked(None, reason) == parked_line(reason)
    assert beside_parked(None, "blocked: for a reason") is None
    assert beside_parked("blocked", None) == "blocked"


def test_nothing_is_parked():
    assert parked_in(None) == []
    assert parked_in("blocked: for a reason") == []
    assert parked_line(None) is None


def test_at_most_a_hundred_are_named():
    reason = None
    for number in range(120):
        reason = with_parked(reason, f"{number:x}")
    assert len(parked_in(reason)) == 100
