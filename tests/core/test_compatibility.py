"""What orchestrators written for Durable Functions 1.x rely on, checked against its own replay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.actions import ContinuedAsNew, OrchestrationCompleted, SubOrchestrationScheduled, TaskScheduled
from perdure.core.failure import TaskFailedError
from perdure.core.histories import PastTurn, history_events
from perdure.core.history import (
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
)
from perdure.core.retry import RetryOptions
from tests.core.driving import NOON, Driver, child_done, child_failed, done, event, failed, fired


@pytest.fixture(params=[False, True], ids=["live", "cold"])
def drive(request):
    return lambda function, *args, **names: Driver(function, *args, cold=request.param, **names)


# ---- tasks ---------------------------------------------------------------------------------------------------------


def test_a_running_task_has_no_result_yet(drive):
    def look(context):
        task = context.call_activity("work")
        before = [task.result, task.is_completed, task.is_faulted, task.state.name, task.state.value]
        yield task
        return [before, [task.result, task.is_completed, task.is_faulted, task.state.name, task.state.value]]

    run = drive(look)
    run.start()
    run.turn(done(0, 7))
    assert run.output == [[None, False, False, "RUNNING", 0], [7, True, False, "SUCCEEDED", 1]]


def test_the_result_of_a_failed_task_is_its_error(drive):
    """`task_any` hands over a failed task like any other, and apps look at its result to see which it is."""

    def race(context):
        first = context.call_activity("work")
        winner = yield context.task_any([first, context.call_activity("other")])
        return [winner is first, isinstance(winner.result, Exception), str(winner.result), winner.state.value]

    run = drive(race)
    run.start()
    run.turn(failed(0))
    assert run.output == [True, True, "activity 'work' failed: ValueError: boom", 2]


def test_get_result_raises_what_the_task_failed_with():
    def race(context):
        winner = yield context.task_any([context.call_activity("work")])
        return winner.get_result()

    run = Driver(race)
    run.start()
    run.turn(failed(0))
    assert run.end.status == "Failed"


def test_any_of_nothing_is_nothing_at_once(drive):
    def race(context):
        return [(yield context.task_any([])), (yield context.task_all([]))]

    run = drive(race)
    run.start()
    assert run.output == [None, []]


def test_composites_by_both_names(drive):
    """Each name has its own parameter's name."""

    def both(context):
        first = yield context.when_any(tasks=[context.task_all(activities=[])])
        second = yield context.task_any(activities=[context.when_all(tasks=[])])
        return [first.result, second.result]

    run = drive(both)
    run.start()
    assert run.output == [[], []]


# ---- events --------------------------------------------------------------------------------------------------------


def test_an_event_goes_to_the_waiter_that_is_waited_for(drive):
    """A loop that waits with a time-out, and anew in each round, misses nothing: the waiters of earlier rounds don't
    take what comes.
    """

    def rounds(context):
        missed = 0
        while True:
            approval = context.wait_for_external_event("approval")
            timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
            if (yield context.task_any([approval, timer])) is approval:
                timer.cancel()
                return [missed, approval.result]
            missed += 1

    run = drive(rounds)
    run.start()
    run.turn(fired(0))
    run.turn(fired(1))
    run.turn(event("approval", "yes"))
    assert run.output == [2, "yes"]


def test_waiters_that_are_waited_for_together_are_served_in_order(drive):
    def several(context):
        yield context.task_any([context.wait_for_external_event("go"), context.call_activity("work")])
        waiters = [context.wait_for_external_event("go") for _ in range(3)]
        results = yield context.task_all([waiters[0], context.task_any([waiters[1]]), waiters[2]])
        return [results[0], waiters[1].result, results[2]]

    run = drive(several)
    run.start()
    run.turn(done(0))
    run.turn(event("go", 1))
    run.turn(event("go", 2), event("go", 3))
    assert run.output == [1, 2, 3]


def test_while_none_is_waited_for_the_oldest_waiter_takes_the_event(drive):
    def later(context):
        first, second = context.wait_for_external_event("go"), context.wait_for_external_event("go")
        yield context.call_activity("work")
        return [first.is_completed, second.is_completed, (yield first)]

    run = drive(later)
    run.start()
    run.turn(event("go", 1))
    run.turn(done(0))
    assert run.output == [True, False, 1]


# ---- continue-as-new -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["generator", "coroutine"])
def test_a_generation_ends_at_the_first_wait_after_continue_as_new(drive, style):
    def generator(context):
        context.continue_as_new(1)
        context.set_custom_status("late")
        yield context.call_activity("never")
        raise AssertionError

    async def coroutine(context):
        context.continue_as_new(1)
        context.set_custom_status("late")
        await context.call_activity("never")
        raise AssertionError

    run = drive(generator if style == "generator" else coroutine)
    assert run.start() == [ContinuedAsNew("1")]
    assert run.custom_status == "late"


def test_what_waits_after_continue_as_new_takes_no_event_from_the_next_generation(drive):
    def loop(context):
        yield context.call_activity("work")
        context.continue_as_new(1)
        yield context.wait_for_external_event("go")

    run = drive(loop)
    run.start()
    run.turn(event("go", 1))
    run.turn(done(0))
    assert [each.name for each in run.last.unconsumed] == ["go"]


def test_continue_as_new_may_be_yielded(drive):
    def loop(context):
        yield context.continue_as_new(context.get_input() + 1)

    run = drive(loop, 1)
    assert run.start() == [ContinuedAsNew("2")]


def test_an_error_after_continue_as_new_is_still_one(drive):
    def loop(context):
        context.continue_as_new(1)
        raise ValueError("no")
        yield

    run = drive(loop)
    run.start()
    assert isinstance(run.end, OrchestrationCompleted)


# ---- calls -----------------------------------------------------------------------------------------------------------


def test_a_retried_child_may_have_an_id_of_its_own(drive):
    def parent(context):
        options = RetryOptions(1000, 2)
        return (yield context.call_sub_orchestrator_with_retry("child", options, None, "mine"))

    run = drive(parent)
    (first,) = run.start()
    run.turn(child_failed(0))
    (second,) = run.turn(fired(1))
    assert isinstance(first, SubOrchestrationScheduled)
    assert isinstance(second, SubOrchestrationScheduled)
    assert (first.instance_id, second.instance_id) == ("mine", "mine")
    assert first.execution_id != second.execution_id


@pytest.mark.parametrize("call", ["call_activity", "call_sub_orchestrator"])
def test_functions_have_names(drive, call):
    def nameless(context):
        yield getattr(context, call)("")

    run = drive(nameless)
    run.start()
    assert "can't be empty" in run.end.failure.message


def test_inputs_by_position_and_by_name_are_the_same(drive):
    def both(context):
        context.call_activity("work", {"a": 0})
        context.call_activity(name="work", input_={"a": 0})
        yield context.call_activity("work")

    first, second, third = drive(both).start()
    assert isinstance(first, TaskScheduled)
    assert (first.input, second.input, third.input) == ('{"a":0}', '{"a":0}', "null")


# ---- what the context tells ------------------------------------------------------------------------------------------


def test_histories_are_those_of_the_turns_so_far(drive):
    seen = []

    def told(context):
        return [(each.event_type.name, each.event_id, each.TaskScheduledId) for each in context.histories]

    def look(context):
        seen.append(("first", told(context)))
        context.send_event("two", "go")
        timer = context.create_timer(timedelta(hours=1))
        yield context.call_activity("work")
        timer.cancel()
        with pytest.raises(TaskFailedError):
            yield context.call_sub_orchestrator("child", None, "mine", "2")
        with pytest.raises(TaskFailedError):
            yield context.call_activity("work")
        yield context.call_sub_orchestrator("child")
        yield context.create_timer(timedelta(seconds=1))
        yield context.wait_for_external_event("go")
        seen.append(("last", told(context)))
        return [context.histories[1].Name, context.histories[1].Version, context.histories[-2].Reason]

    run = drive(look, name="look", version="1.1")
    for events in (
        [ExecutionStarted()],
        [done(2, "large")],
        [child_failed(3)],
        [failed(4)],
        [child_done(5)],
        [fired(6)],
        [ExecutionSuspended("m1", "wait"), ExecutionResumed("m2", "go on"), event("go", 1)],
    ):
        run.turn(*events)
    started = [("ORCHESTRATOR_STARTED", -1, None)]
    first = [*started, ("EXECUTION_STARTED", -1, None)]
    assert dict(seen)["first"] == first
    assert dict(seen)["last"] == [
        *first,
        ("EVENT_SENT", 0, None),
        ("TIMER_CREATED", 1, None),
        ("TASK_SCHEDULED", 2, None),
        *started,
        ("TASK_COMPLETED", -1, 2),
        ("SUB_ORCHESTRATION_INSTANCE_CREATED", 3, None),
        *started,
        ("SUB_ORCHESTRATION_INSTANCE_FAILED", -1, 3),
        ("TASK_SCHEDULED", 4, None),
        *started,
        ("TASK_FAILED", -1, 4),
        ("SUB_ORCHESTRATION_INSTANCE_CREATED", 5, None),
        *started,
        ("SUB_ORCHESTRATION_INSTANCE_COMPLETED", -1, 5),
        ("TIMER_CREATED", 6, None),
        *started,
        ("TIMER_FIRED", -1, None),
        *started,
        ("EXECUTION_SUSPENDED", -1, None),
        ("EXECUTION_RESUMED", -1, None),
        ("EVENT_RAISED", -1, None),
    ]
    assert run.output == ["look", "1.1", "go on"]


def test_histories_know_what_has_been_played():
    played = []

    def look(context):
        yield context.call_activity("work")
        played.append([each.is_played for each in context.histories])
        yield context.call_activity("work")
        played.append([each.is_played for each in context.histories])

    run = Driver(look, cold=True)
    run.start()
    run.turn(done(0))
    assert played == [[True, True, True, False, False]]
    run.turn(done(1))
    assert played[1:] == [[True] * 5, [*[True] * 6, False, False]]


def test_the_function_context_is_there_for_what_an_app_puts_into_it(drive):
    def look(context):
        context.function_context.attempt = 1
        yield context.call_activity("work")
        return vars(context.function_context)

    run = drive(look)
    run.start()
    run.turn(done(0))
    assert run.output == {"attempt": 1}


@pytest.mark.parametrize(
    ("happened", "kind"),
    [
        (ExecutionTerminated("why"), "EXECUTION_TERMINATED"),
        (ExecutionRewound("m", "why", 1, []), "GENERIC_EVENT"),
    ],
)
def test_histories_name_commands_and_their_reasons(happened, kind):
    (_, found) = history_events([PastTurn(NOON, False, [happened])], "look", None)
    assert (found.event_type.name, found.Reason, found.timestamp) == (kind, "why", NOON)
