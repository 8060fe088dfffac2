"""What an orchestration waits for, and how a difference is told."""

import pytest

from perdure.errors import NonDeterminismError
from tests.core.driving import Driver, done, event


def waiting(function, *turns):
    driver = Driver(function)
    driver.start()
    for events in turns:
        driver.turn(*events)
    return driver.replayed().awaited_events


def test_the_events_that_the_function_waits_for_at_present():
    def both(context):
        early = context.wait_for_external_event("Early")
        first = yield context.task_any([early, context.call_activity("a")])
        yield context.wait_for_external_event("approval")
        return first is early

    assert waiting(both) == ["Early"]
    assert waiting(both, [done(0)]) == ["approval"]
    assert waiting(both, [done(0)], [event("APPROVAL")]) == []


def test_nothing_where_it_waits_for_something_else():
    def calling(context):
        context.wait_for_external_event("unasked")
        yield context.call_activity("a")

    assert waiting(calling) == []


def test_a_replay_returns_what_the_code_asks_for():
    def calling(context):
        yield context.call_activity("a", 1)

    driver = Driver(calling)
    driver.start()
    again = driver.fresh()
    assert again.replay(driver.turns[0], {}) == driver.turns[0].actions


def test_a_difference_tells_why_the_code_ends_now():
    def calling(context):
        yield context.call_activity("a")

    def broken(context):
        raise KeyError("total")
        yield

    driver = Driver(calling)
    driver.start()
    with pytest.raises(NonDeterminismError) as caught:
        driver.replayed(broken)
    told = "history records activity 'a' (#0), but the code now asks for its end (Failed: KeyError: 'total')"
    assert caught.value.difference == told
    assert told in str(caught.value)
