"""Tasks, where their corners are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.failure import TaskFailedError
from perdure.core.history import ExecutionTerminated
from perdure.core.naming import checked_tags
from perdure.core.tasks import Task, WhenAll, WhenAny
from perdure.errors import NonDeterminismError
from tests.core.driving import Driver, done, event, failed, fired


def test_a_task_that_runs_has_no_result():
    with pytest.raises(ValueError, match="yield or await it first"):
        Task().get_result()


def test_generators_may_delegate_to_a_task():
    def flow(context):
        return (yield from context.call_activity("a"))

    driver = Driver(flow)
    driver.start()
    driver.turn(done(0, "A"))
    assert driver.output == "A"


def test_what_comes_after_the_first_failure_changes_nothing():
    def flow(context):
        both = context.task_all([context.call_activity("a"), context.call_activity("b")])
        try:
            yield both
        except TaskFailedError as error:
            yield context.create_timer(timedelta(seconds=1))
            return [error.what, both.get_exception() is error]

    driver = Driver(flow)
    driver.start()
    driver.turn(failed(0))
    driver.turn(failed(1))
    driver.turn(fired(2))
    assert driver.output == ["activity 'a'", True]


def test_an_event_and_its_time_limit_in_one_turn():
    def flow(context):
        return (yield context.wait_for_external_event("go", timeout=timedelta(seconds=1)))

    first, second = Driver(flow), Driver(flow)
    first.start()
    first.turn(event("go", 1), fired(0))
    assert first.output == 1
    second.start()
    second.turn(fired(0), event("go", 1))
    assert "did not arrive in time" in second.output


def test_a_timer_that_fires_in_the_turn_in_which_it_is_cancelled():
    def flow(context):
        timer = context.create_timer(timedelta(seconds=1))
        yield context.wait_for_external_event("go")
        timer.cancel()
        return (yield context.call_activity("a"))

    driver = Driver(flow)
    driver.start()
    driver.turn(event("go"), fired(0))
    driver.turn(done(1, "A"))
    assert driver.output == "A"
    driver.replayed()


@pytest.mark.parametrize("waits", [False, True])
def test_an_interrupt_is_not_the_orchestrators(waits):
    def flow(context):
        if waits:
            yield context.call_activity("a")
        raise KeyboardInterrupt

    def plain(context):
        raise KeyboardInterrupt

    driver = Driver(flow if waits else plain)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - whichever of the two it is
        driver.start()
        driver.turn(done(0))


def test_a_terminated_history_replays():
    def flow(context):
        yield context.call_sub_orchestrator("child")

    driver = Driver(flow)
    driver.start()
    driver.turn(ExecutionTerminated("enough"))
    driver.turns[-1].actions.append(driver.turns[0].actions[0])
    driver.replayed()


def test_activities_are_pinned_to_the_queue_or_not():
    driver = Driver(lambda context: context.call_activity("a", placement="here"))
    driver.start()
    assert "placement is 'queue' or None, not 'here'" in driver.output


def test_tags_are_bounded():
    assert checked_tags({"a": "b"}) == {"a": "b"}
    with pytest.raises(ValueError, match="the tags have 8001 characters in all"):
        checked_tags({f"k{n}": "v" * 998 for n in range(8)} | {"": "v"})


def test_a_history_that_continued_as_new_is_told():
    driver = Driver(lambda context: context.continue_as_new(1))
    driver.start()

    def other(context):
        return context.send_event("two", "go")

    with pytest.raises(NonDeterminismError, match="records continue-as-new, but the code now asks for event 'go' to"):
        driver.replayed(other)


def test_a_task_that_was_waited_for_many_times_remembers_only_who_still_waits():
    last, all_of_them = Task(0), []
    for number in range(1, 200):
        task = Task(number)
        all_of_them.append(WhenAny([last, task]))
        task._succeed(number)
    still_waits = WhenAll([last])
    assert len(last._parents) <= 2
    last._succeed("end")
    assert still_waits.get_result() == ["end"]
    assert all(each.get_result() is not last for each in all_of_them)
