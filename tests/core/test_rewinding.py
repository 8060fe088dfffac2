"""Rewinding: what of a history stays, and how the orchestration goes on."""

import json
from datetime import timedelta

import pytest

from perdure.core.actions import SubOrchestrationScheduled, TaskScheduled, TimerCreated
from perdure.core.failure import TaskFailedError
from perdure.core.history import ExecutionResumed, ExecutionRewound, ExecutionStarted, ExecutionSuspended, Turn
from perdure.core.replay import Orchestration
from perdure.core.retry import RetryPolicy
from perdure.core.rewinding import rewound
from tests.core.driving import NOON, Driver, child_done, child_failed, done, event, failed, fired

TWICE = RetryPolicy(timedelta(seconds=1), 2)


class Rewinding(Driver):
    """A driver whose orchestration can be rewound."""

    def rewind(self, function=None, after=60.0):
        self._function = function or self._function
        past = rewound(self.turns, "r", "again")
        self.turns = past.kept
        self._live = self.replayed()
        return self.turn(*past.events, after=after)

    def checked(self):
        """Return the output, once a replay has found nothing that differs."""
        self.replayed()
        return self.output


def names(actions):
    return [(action.no, action.name) for action in actions if isinstance(action, TaskScheduled)]


def chain(context):
    a = yield context.call_activity("a")
    b = yield context.call_activity("b")
    c = yield context.call_activity("c")
    return [a, b, c]


def test_only_the_failed_step_of_a_chain_is_done_again():
    run = Rewinding(chain)
    run.start()
    run.turn(done(0, "A"))
    run.turn(failed(1))
    assert run.end.causes == [1]
    assert names(run.rewind()) == [(2, "b")]
    assert names(run.turn(done(2, "B"))) == [(3, "c")]
    run.turn(done(3, "C"))
    assert run.checked() == ["A", "B", "C"]


def test_it_may_fail_and_be_rewound_again():
    run = Rewinding(chain)
    run.start()
    run.turn(failed(0))
    for no in (1, 2, 3):
        assert names(run.rewind()) == [(no, "a")]
        run.turn(failed(no))
    assert names(run.rewind()) == [(4, "a")]
    run.turn(done(4, "A"))
    run.turn(done(5, "B"))
    run.turn(done(6, "C"))
    assert run.checked() == ["A", "B", "C"]


def fan(context):
    return (yield context.task_all([context.call_activity(step) for step in ("a", "b", "c", "d")]))


def test_failed_siblings_are_done_again_and_finished_ones_are_not():
    """One fails first and ends it, one had finished, one fails in the same turn, one never answered."""
    run = Rewinding(fan)
    run.start()
    run.turn(done(0, "A"))
    run.turn(failed(1), failed(2))
    assert names(run.rewind()) == [(4, "b"), (5, "c"), (6, "d")]
    run.turn(done(6, "D"), done(4, "B"))
    run.turn(done(5, "C"))
    assert run.checked() == ["A", "B", "C", "D"]


def test_what_came_with_the_failure_stays():
    run = Rewinding(fan)
    run.start()
    run.turn(failed(1), done(0, "A"), done(2, "C"), done(3, "D"))
    assert names(run.rewind()) == [(4, "b")]
    run.turn(done(4, "B"))
    assert run.checked() == ["A", "B", "C", "D"]


def gathering(context):
    tasks = [context.call_activity(step) for step in ("a", "b", "c")]
    errors, results = 0, []
    for task in tasks:
        try:
            results.append((yield task))
        except TaskFailedError:
            errors += 1
    if errors:
        raise RuntimeError(f"{errors} failed")
    return results


def test_failures_that_were_gathered_are_done_again():
    run = Rewinding(gathering)
    run.start()
    run.turn(failed(0))
    run.turn(done(1, "B"))
    run.turn(failed(2))
    assert run.end.causes == []
    assert names(run.rewind()) == [(3, "a"), (4, "c")]
    run.turn(done(3, "A"), done(4, "C"))
    assert run.checked() == ["A", "B", "C"]


def with_fallback(context):
    try:
        first = yield context.call_activity("primary")
    except TaskFailedError:
        first = None
    if first is None:
        first = yield context.call_activity("secondary")
    return [first, (yield context.call_activity("last"))]


def test_failures_that_were_dealt_with_stay():
    run = Rewinding(with_fallback)
    run.start()
    run.turn(failed(0))
    run.turn(done(1, "second"))
    run.turn(failed(2))
    assert names(run.rewind()) == [(3, "last")]
    run.turn(done(3, "L"))
    assert run.checked() == ["second", "L"]


def compensating(context):
    yield context.call_activity("book")
    try:
        yield context.call_activity("pay")
    except TaskFailedError:
        yield context.call_activity("cancel")
        raise
    return "paid"


def test_a_failure_that_was_raised_again_after_cleaning_up():
    run = Rewinding(compensating)
    run.start()
    run.turn(done(0))
    run.turn(failed(1))
    run.turn(done(2))
    assert run.end.causes == [1]
    assert names(run.rewind()) == [(3, "pay")]
    run.turn(failed(3))
    assert names(run.turns[-1].actions) == [(4, "cancel")]
    run.turn(done(4))
    run.rewind()
    run.turn(done(5))
    assert run.checked() == "paid"


def retrying(context):
    return (yield context.call_activity("pay", retry_policy=TWICE))


def test_a_retried_step_has_all_its_attempts_again():
    run = Rewinding(retrying)
    run.start()
    run.turn(failed(0))
    run.turn(fired(1))
    run.turn(failed(2))
    assert run.end.causes == [2]
    assert names(run.rewind()) == [(3, "pay")]
    [timer] = run.turn(failed(3))
    assert isinstance(timer, TimerCreated)
    run.turn(fired(timer.no))
    run.turn(done(5, "paid"))
    assert run.checked() == "paid"


def broken(context):
    result = yield context.call_activity("a")
    raise KeyError(result)


def test_code_that_was_mended_goes_on_from_its_last_step():
    run = Rewinding(broken)
    run.start()
    run.turn(done(0, "A"))

    def mended(context):
        return (yield context.call_activity("a"))

    run.rewind(mended)
    assert run.checked() == "A"


def test_code_that_failed_at_once():
    def at_once(context):
        raise ValueError(context.get_input())

    run = Rewinding(at_once, 5)
    run.start()

    def mended(context):
        return context.get_input()

    run.rewind(mended)
    assert [type(each) for each in run.turns[0].events] == [ExecutionRewound, ExecutionStarted]
    assert run.checked() == 5


def with_child(context):
    return (yield context.call_sub_orchestrator("child"))


def test_a_failed_child_is_asked_for_again_and_may_go_on_as_it_was():
    run = Rewinding(with_child)
    [first] = run.start()
    run.turn(child_failed(0))
    [second] = run.rewind()
    assert isinstance(second, SubOrchestrationScheduled)
    assert second.instance_id == first.instance_id
    assert second.earlier == [first.execution_id]
    assert second.no == 1
    run.turn(child_done(1, "C"))
    assert run.checked() == "C"


def waiting(context):
    deadline = context.create_timer(timedelta(hours=1))
    go = context.wait_for_external_event("go")
    winner = yield context.task_any([go, deadline])
    deadline.cancel()
    yield context.call_activity("pay", winner.result)
    return (yield context.wait_for_external_event("bye"))


def test_events_are_neither_lost_nor_taken_twice():
    run = Rewinding(waiting)
    run.start()
    run.turn(event("go", 1, "m1"))
    run.turn(failed(1), event("bye", 2, "m2"))
    assert names(run.rewind()) == [(2, "pay")]
    run.turn(done(2))
    assert run.checked() == 2


def test_timers_that_were_cancelled_in_the_time_cut_off_are_set_again():
    def race(context):
        deadline = context.create_timer(timedelta(hours=1))
        pay = context.call_activity("pay")
        try:
            yield context.task_any([pay, deadline])
            if pay.is_completed:
                deadline.cancel()
            return pay.get_result()
        finally:
            context.set_custom_status("over")

    run = Rewinding(race)
    run.start()
    run.turn(failed(1))
    again = run.rewind()
    assert [(type(action), action.no) for action in again] == [(TimerCreated, 2), (TaskScheduled, 3)]
    assert again[0].fire_at == NOON + timedelta(hours=1, seconds=1)
    [cancelled] = run.turn(done(3, "paid"))[:1]
    assert cancelled.no == 2
    assert run.checked() == "paid"


def test_a_timer_that_had_fired_does_not_fire_again():
    def both(context):
        timer = context.create_timer(timedelta(seconds=1))
        pay = context.call_activity("pay")
        yield timer
        return (yield pay)

    run = Rewinding(both)
    run.start()
    run.turn(failed(1))
    run.turn(fired(0))
    assert names(run.rewind()) == [(2, "pay")]
    run.turn(done(2, "paid"))
    assert run.checked() == "paid"


def test_errors_in_groups_are_traced_to_their_tasks():
    def grouped(context):
        tasks = [context.call_activity(step) for step in ("a", "b")]
        errors = []
        for task in tasks:
            try:
                yield task
            except TaskFailedError as error:
                errors.append(error)
        yield context.call_activity("report")
        raise ExceptionGroup("some failed", errors)

    run = Rewinding(grouped)
    run.start()
    run.turn(failed(0))
    run.turn(failed(1))
    run.turn(done(2))
    assert run.end.causes == [0, 1]
    assert names(run.rewind()) == [(3, "a"), (4, "b")]


def test_pauses_go_on():
    run = Rewinding(chain)
    run.start()
    run.turn(ExecutionSuspended("s", "wait"))
    run.turn(done(0, "A"))
    run.turn(ExecutionResumed("u", "go on"))
    run.turn(failed(1), ExecutionSuspended("s2", "wait"))
    assert names(run.rewind()) == [(2, "b")]
    assert run.turn(done(2, "B")) == []
    assert names(run.turn(ExecutionResumed("u2", "go on"))) == [(3, "c")]


def test_messages_of_the_time_cut_off_stay_known():
    turns = [
        Turn("c0", "s", 0, NOON, ["start"], [], [ExecutionStarted()], [TaskScheduled(0, "a", None)]),
        Turn("c1", "s", 0, NOON, ["e"], [], [event("go", None, "e")], []),
        Turn("c2", "s", 0, NOON, ["done"], [], [failed(0)], []),
    ]
    run = Rewinding(chain)
    run.start()
    run.turn(failed(0))
    turns[2] = Turn("c2", "s", 0, NOON, ["done"], [], [failed(0)], run.turns[-1].actions)
    past = rewound(turns, "r", "again")
    assert past.kept == turns[:2]
    assert past.consumed == ["done"]
    assert past.events == [ExecutionRewound("r", "again", 1, [0])]


@pytest.mark.parametrize("input_", [None, {"a": 1}])
def test_a_rewound_history_replays(input_):
    run = Rewinding(chain, input_, cold=True)
    run.start()
    run.turn(done(0, "A"))
    run.turn(failed(1))
    run.rewind()
    run.turn(done(2, "B"))
    run.turn(failed(3))
    run.rewind()
    run.turn(done(4, "C"))
    again = Orchestration(chain, instance_id="one", name="chain", execution="e.0", input_=json.dumps(input_))
    for turn in run.turns:
        again.replay(turn, {})
    assert run.output == ["A", "B", "C"]
