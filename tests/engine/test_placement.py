"""Where activities go: in place, several to a work item, or one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perdure.core.actions import ContinuedAsNew, TaskScheduled, TimerCanceled, TimerCreated
from perdure.core.messages import ActivityCall
from perdure.engine.durations import Durations
from perdure.engine.placement import Situation, batches, place

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = {"brisk": 0.001, "medium": 0.03, "long": 5.0}


def situation(**other):
    usual = {
        "now": NOON,
        "anchor_age": 1.0,
        "anchor_budget": 60.0,
        "activities_free": True,
        "crowded": False,
        "short_timer": 3.0,
        "knows": lambda name: name != "elsewhere",
        "estimate": SECONDS.get,
    }
    return Situation(**{**usual, **other})


def tasks(*names, **options):
    return [TaskScheduled(no, name, None, **options) for no, name in enumerate(names)]


def here(actions, **other):
    """Return the numbers of the actions that are carried out in place."""
    return [action.no for action in place(actions, situation(**other)) if action.placement == "here"]


@pytest.mark.parametrize("name", ["new", "brisk", "long"])
def test_a_lone_activity_runs_in_place_however_long_it_takes(name):
    assert here(tasks(name)) == [0]


@pytest.mark.parametrize("other", [{"anchor_age": 60.0}, {"activities_free": False}, {"knows": lambda _: False}])
def test_unless_its_worker_can_not_or_must_not(other):
    assert here(tasks("new"), **other) == []
    assert here(tasks("brisk", "brisk"), **other) == []


def test_in_a_crowd_only_what_ends_soon_stays():
    assert here(tasks("brisk"), crowded=True, anchor_age=0.5) == [0]
    assert here(tasks("new"), crowded=True, anchor_age=0.5) == []
    assert here(tasks("long"), crowded=True, anchor_age=0.5) == []
    assert here(tasks("brisk", "brisk"), crowded=True, anchor_age=0.5) == [0, 1]
    assert here(tasks("brisk"), crowded=True, anchor_age=1.0) == []
    assert here(tasks("brisk"), crowded=True, anchor_age=0.5, anchor_budget=0.0) == []
    assert here([TimerCreated(0, NOON + timedelta(seconds=0.4))], crowded=True, anchor_age=0.5) == [0]
    assert here([TimerCreated(0, NOON + timedelta(seconds=0.6))], crowded=True, anchor_age=0.5) == []


def test_one_that_is_pinned_goes_through_the_queue():
    assert here(tasks("brisk", pinned=True)) == []
    assert here([*tasks("brisk"), TaskScheduled(1, "brisk", None, pinned=True)]) == [0]


def test_of_several_those_run_in_place_that_are_short_together():
    assert here(tasks("brisk", "medium", "brisk")) == [0, 1, 2]
    assert here(tasks("brisk", "long", "brisk", "new", "elsewhere")) == [0, 2]
    assert here(tasks(*["brisk"] * 90)) == list(range(90))
    assert here(tasks(*["brisk"] * 91)) == [], "together they take more than a tenth of a second"
    assert here(tasks(*["medium"] * 4)) == []


def test_nothing_runs_in_place_beside_the_end_of_its_generation():
    assert here([*tasks("brisk"), ContinuedAsNew(None)][:1]) == [0]
    assert place([*tasks("brisk"), ContinuedAsNew(None)], situation())[0].placement == "queue"


def test_timers_that_are_short_are_waited_for_in_place():
    timers = [TimerCreated(no, NOON + timedelta(seconds=seconds)) for no, seconds in enumerate([1, 3, 4])]
    assert here(timers) == [0, 1]
    placed = place([*timers, TimerCanceled(0)], situation())
    assert [timer.placement for timer in placed[:3]] == ["queue", "here", "queue"]


# ---- batches ---------------------------------------------------------------------------------------------------------


def sizes(*names, data="1", **options):
    calls = [ActivityCall(no, name, data) for no, name in enumerate(names)]
    made = batches(calls, SECONDS.get, **options)
    assert [call for batch in made for call in batch] == calls, "all of them, in their order"
    return [len(batch) for batch in made]


def test_there_may_be_nothing_to_batch():
    assert sizes() == []


def test_a_batch_holds_a_tenth_of_a_second_of_work():
    assert sizes(*["medium"] * 8) == [3, 3, 2]
    assert sizes("medium", "long", "medium", "medium") == [1, 1, 2]
    assert sizes(*["brisk"] * 200) == [90, 90, 20]


def test_few_of_which_nothing_is_known_go_one_by_one_and_many_spread_over_sixteen_batches():
    assert sizes(*["new"] * 16) == [1] * 16
    assert sizes(*["new"] * 20) == [2] * 10
    assert sizes(*["new"] * 1_000) == [32] * 31 + [8]


def test_whoever_has_seen_one_of_them_take_long_does_not_batch_the_others():
    assert sizes(*["new"] * 40, trusting=False) == [1] * 40
    assert sizes(*["medium"] * 6, trusting=False) == [3, 3]


def test_no_batch_outgrows_a_queue_message():
    assert sizes(*["brisk"] * 5, data="x" * 7_000) == [2, 2, 1]
    assert sizes(*["brisk"] * 2, data="x" * 30_000) == [1, 1]
    assert sizes(*["brisk"] * 150, data=None) == [90, 60]


def test_durations_are_learnt_and_follow_what_changes():
    durations = Durations()
    assert durations.of("a") is None
    durations.note("a", 10.0)
    assert durations.of("a") == 10.0
    for _ in range(20):
        durations.note("a", 1.0)
    assert durations.of("a") == pytest.approx(1.1, abs=0.05)
    durations.note("a", 10.0)
    assert durations.of("a") > 5, "what takes long is seen at once"
    assert durations.of("b") is None
