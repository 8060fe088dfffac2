"""Versions: their order, which of them a worker runs, and patches within one."""

from datetime import timedelta

import pytest

from perdure.core.actions import PatchMarked
from perdure.core.history import ExecutionResumed, ExecutionSuspended
from perdure.core.versions import VersionMatch, compare, may_run
from perdure.errors import NonDeterminismError
from tests.core.driving import Driver, done, fired

ORDERED = [None, "0.9", "1", "1.0.1", "1.2", "1.9", "1.10", "2.0", "10.0"]


@pytest.mark.parametrize("index", range(len(ORDERED)))
def test_the_order_of_versions(index):
    for other, version in enumerate(ORDERED):
        got = compare(ORDERED[index], version)
        assert (got > 0) - (got < 0) == (index > other) - (index < other)


@pytest.mark.parametrize(("one", "other"), [("", None), ("1", "1.0"), ("1.0", "1.0.0"), ("V1", "v1"), ("beta", "BETA")])
def test_versions_that_are_the_same(one, other):
    assert compare(one, other) == 0


@pytest.mark.parametrize(("one", "other"), [("1.0", "beta"), ("alpha", "beta"), ("2.0-rc", "2.1"), ("1" * 12, "2")])
def test_versions_that_are_no_numbers_are_texts(one, other):
    assert compare(one, other) < 0
    assert compare(other, one) > 0


@pytest.mark.parametrize(
    ("match", "runs"),
    [
        (VersionMatch.NONE, [None, "1.0", "2.0", "3.0"]),
        (VersionMatch.STRICT, ["2.0"]),
        (VersionMatch.CURRENT_OR_OLDER, [None, "1.0", "2.0"]),
    ],
)
def test_what_a_worker_runs(match, runs):
    assert [version for version in (None, "1.0", "2.0", "3.0") if may_run(version, "2.0", match)] == runs


# ---- patches ---------------------------------------------------------------------------------------------------------


def old(context):
    yield context.call_activity("a")
    yield context.call_activity("b")
    return "old"


def patched(context):
    yield context.call_activity("a")
    if context.patched("check first"):
        yield context.call_activity("check")
    yield context.call_activity("b")
    return "new" if context.patched("check first") else "old"


@pytest.fixture(params=["live", "cold"])
def cold(request):
    return request.param == "cold"


def names(actions):
    return [getattr(action, "name", type(action).__name__) for action in actions]


def test_new_runs_go_the_new_way(cold):
    driver = Driver(patched, cold=cold)
    driver.start()
    assert driver.turn(done(0))[0] == PatchMarked("check first")
    assert names(driver.turns[-1].actions) == ["PatchMarked", "check"]
    driver.turn(done(1))
    driver.turn(done(2))
    assert driver.output == "new"
    driver.replayed()


def test_histories_from_before_the_change_go_the_old_way(cold):
    driver = Driver(old, cold=True)
    driver.start()
    driver.turn(done(0))
    deployed = Driver(patched, cold=cold)
    deployed.turns = driver.turns
    deployed._live = deployed.replayed()
    deployed.turn(done(1))
    assert deployed.output == "old"
    deployed.replayed()


def test_an_instance_that_has_not_come_there_yet_goes_the_new_way(cold):
    driver = Driver(old, cold=True)
    driver.start()
    deployed = Driver(patched, cold=cold)
    deployed.turns = driver.turns
    deployed._live = deployed.replayed()
    assert names(deployed.turn(done(0))) == ["PatchMarked", "check"]
    deployed.turn(done(1))
    deployed.turn(done(2))
    assert deployed.output == "new"


def test_the_call_may_be_removed_once_no_old_instance_is_left(cold):
    driver = Driver(patched, cold=True)
    driver.start()
    driver.turn(done(0))

    def cleaned(context):
        yield context.call_activity("a")
        yield context.call_activity("check")
        yield context.call_activity("b")
        return "clean"

    deployed = Driver(cleaned, cold=cold)
    deployed.turns = driver.turns
    deployed._live = deployed.replayed()
    deployed.turn(done(1))
    deployed.turn(done(2))
    assert deployed.output == "clean"


def test_removing_the_old_way_too_early_is_told():
    driver = Driver(old)
    driver.start()
    driver.turn(done(0))

    def cleaned(context):
        yield context.call_activity("a")
        yield context.call_activity("check")

    with pytest.raises(
        NonDeterminismError, match=r"history records activity 'b' \(#1\).*asks for activity 'check' \(#1\)"
    ):
        driver.replayed(cleaned)


def test_what_is_decided_first_holds():
    def looping(context):
        ways = []
        for _ in range(3):
            ways.append(context.patched("p"))
            yield context.create_timer(timedelta(seconds=1))
        return ways

    before = Driver(lambda context: (yield context.create_timer(timedelta(seconds=1))))
    before.start()
    driver = Driver(looping)
    driver.turns = before.turns
    driver._live = driver.replayed()
    driver.turn(fired(0), after=2)
    driver.turn(fired(1), after=2)
    driver.turn(fired(2), after=2)
    assert driver.output == [False, False, False]


def test_patches_during_a_pause_are_decided_when_it_is_over(cold):
    driver = Driver(patched, cold=cold)
    driver.start()
    driver.turn(ExecutionSuspended("s", "wait"))
    assert driver.turn(done(0)) == []
    assert names(driver.turn(ExecutionResumed("r", "go on"))) == ["PatchMarked", "check"]
    driver.replayed()


def test_ids_of_patches_are_short_texts():
    driver = Driver(lambda context: context.patched("x" * 201))
    driver.start()
    assert "the id of a patch has at most 200 characters" in driver.output


def test_a_patch_that_the_code_does_not_have_is_no_difference():
    driver = Driver(patched)
    driver.start()
    driver.turn(done(0))

    def other(context):
        yield context.call_activity("a")
        yield context.create_timer(timedelta(seconds=1))

    with pytest.raises(NonDeterminismError, match=r"activity 'check' \(#1\), but the code now asks for a timer \(#1\)"):
        driver.replayed(other)
