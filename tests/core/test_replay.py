"""What an orchestrator decides, turn by turn; live, and replayed before every turn as after a restart."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from perdure.core.actions import (
    ContinuedAsNew,
    EventSent,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.failure import TaskFailedError
from perdure.core.history import ExecutionResumed, ExecutionStarted, ExecutionSuspended
from perdure.core.retry import RetryOptions, RetryPolicy
from perdure.errors import NonDeterminismError
from tests.core.driving import (
    NOON,
    Driver,
    child_done,
    child_failed,
    done,
    event,
    failed,
    fired,
)


@pytest.fixture(params=[False, True], ids=["live", "cold"])
def drive(request):
    return lambda function, input_=None, **names: Driver(function, input_, cold=request.param, **names)


def names(actions):
    return [getattr(action, "name", type(action).__name__) for action in actions]


# ---- kinds of functions --------------------------------------------------------------------------------------


def generator(context):
    first = yield context.call_activity("a", 1)
    second = yield context.call_activity("b", first)
    return [first, second]


async def coroutine(context):
    first = await context.call_activity("a", 1)
    second = await context.call_activity("b", first)
    return [first, second]


@pytest.mark.parametrize("function", [generator, coroutine])
def test_a_chain_schedules_one_activity_a_turn(drive, function):
    run = drive(function)
    assert run.start() == [TaskScheduled(0, "a", "1")]
    assert run.turn(done(0, 10)) == [TaskScheduled(1, "b", "10")]
    run.turn(done(1, 20))
    assert run.output == [10, 20]


@pytest.mark.parametrize("value", [0, "", False, [], None, {}, "text", 1.5])
def test_falsy_and_other_values_are_kept(drive, value):
    def echo(context):
        result = yield context.call_activity("same", context.get_input())
        return result

    run = drive(echo, value)
    (action,) = run.start()
    assert json.loads(action.input) == value
    run.turn(done(0, value))
    assert run.output == value
    assert type(run.output) is type(value)


def test_a_plain_function_completes_at_once(drive):
    run = drive(lambda context: context.get_input() * 2, 21)
    run.start()
    assert run.output == 42


def test_the_input_may_be_a_second_parameter(drive):
    async def double(context, number):
        return number * 2

    run = drive(double, 21)
    run.start()
    assert run.output == 42


def test_an_optional_second_parameter_is_the_users_own(drive):
    run = drive(lambda context, factor=3: context.get_input() * factor, 2)
    run.start()
    assert run.output == 6


# ---- fan-out, any, and their order ---------------------------------------------------------------------------


def test_fan_out_keeps_the_order_of_the_tasks(drive):
    def fan(context):
        results = yield context.task_all([context.call_activity("work", n) for n in range(3)])
        return results

    run = drive(fan)
    assert names(run.start()) == ["work"] * 3
    assert run.turn(done(2, "c")) == []
    assert run.turn(done(0, "a")) == []
    run.turn(done(1, "b"))
    assert run.output == ["a", "b", "c"]


def test_fan_out_of_nothing_completes(drive):
    def fan(context):
        return (yield context.task_all([]))

    run = drive(fan)
    run.start()
    assert run.output == []


def test_fan_out_fails_with_the_first_failure(drive):
    def fan(context):
        yield context.task_all([context.call_activity("work", n) for n in range(3)])

    run = drive(fan)
    run.start()
    run.turn(failed(1))
    assert run.end.status == "Failed"
    assert run.end.failure.inner.message == "boom"


def test_any_gives_the_first_task_and_the_order_of_history_decides(drive):
    def race(context):
        tasks = [context.call_activity("slow"), context.call_activity("fast")]
        winner = yield context.task_any(tasks)
        return [winner is tasks[1], winner.result]

    run = drive(race)
    run.start()
    run.turn(done(1, "fast"), done(0, "slow"))
    assert run.output == [True, "fast"]


def test_any_gives_a_failed_task_without_raising(drive):
    def race(context):
        winner = yield context.task_any([context.call_activity("a"), context.call_activity("b")])
        return [winner.is_faulted, str(winner.get_exception())]

    run = drive(race)
    run.start()
    run.turn(failed(0))
    assert run.output == [True, "activity 'a' failed: ValueError: boom"]


def test_composites_of_composites(drive):
    async def nested(context):
        pairs = [context.task_all([context.call_activity(n), context.call_activity(n)]) for n in ("a", "b")]
        winner = await context.task_any(pairs)
        return winner.result

    run = drive(nested)
    run.start()
    assert run.turn(done(0, 1), done(2, 3)) == []
    run.turn(done(3, 4))
    assert run.output == [3, 4]


def test_a_task_may_be_awaited_twice_and_long_after_it_completed(drive):
    async def twice(context):
        early = context.call_activity("early")
        await context.call_activity("late")
        return [await early, await early]

    run = drive(twice)
    run.start()
    run.turn(done(0, "e"))
    run.turn(done(1, "l"))
    assert run.output == ["e", "e"]


@pytest.mark.parametrize("caller", ["task_all", "task_any"])
def test_only_tasks_can_be_combined(drive, caller):
    def wrong(context):
        yield getattr(context, caller)([context.call_activity("a"), "b"])

    run = drive(wrong)
    run.start()
    assert f"{caller} takes a list of tasks" in run.end.failure.message


def test_waiting_for_something_else_fails_clearly(drive):
    async def wrong(context):
        await asyncio.sleep(0)

    run = drive(wrong)
    run.start()
    assert "an orchestrator can only wait for durable tasks" in run.end.failure.message


# ---- timers --------------------------------------------------------------------------------------------------


def test_a_timer_fires_no_earlier_than_due(drive):
    def sleep(context):
        yield context.create_timer(timedelta(minutes=5))
        return context.current_utc_datetime.isoformat()

    run = drive(sleep)
    due = NOON + timedelta(seconds=1, minutes=5)
    assert run.start() == [TimerCreated(0, due)]
    run.turn(fired(0), after=1)  # this worker's clock is behind
    assert run.output == due.isoformat()


def test_a_naive_time_means_utc(drive):
    def sleep(context):
        yield context.create_timer(datetime(2026, 3, 2, 12))  # noqa: DTZ001 - the case

    assert drive(sleep).start() == [TimerCreated(0, datetime(2026, 3, 2, 12, tzinfo=UTC))]


def test_a_timer_takes_times_only(drive):
    def sleep(context):
        yield context.create_timer(5)

    run = drive(sleep)
    run.start()
    assert "datetime or a timedelta, not int" in run.end.failure.message


def test_a_cancelled_timer_is_forgotten(drive):
    def deadline(context):
        timer = context.create_timer(timedelta(hours=1))
        work = context.call_activity("work")
        winner = yield context.task_any([timer, work])
        if winner is work:
            timer.cancel()
            timer.cancel()
        assert timer.is_cancelled
        yield context.call_activity("after")
        return "done"

    run = drive(deadline)
    run.start()
    assert run.turn(done(1)) == [TimerCanceled(0), TaskScheduled(2, "after", "null")]
    run.turn(done(2))
    assert run.output == "done"


def test_a_fired_timer_cannot_be_cancelled(drive):
    def late(context):
        timer = context.create_timer(timedelta(hours=1))
        yield timer
        timer.cancel()

    run = drive(late)
    run.start()
    run.turn(fired(0))
    assert "fired already" in run.end.failure.message


# ---- external events -----------------------------------------------------------------------------------------


def test_events_are_buffered_in_order_and_their_names_ignore_case(drive):
    async def two(context):
        await context.call_activity("a")
        return [await context.wait_for_external_event("Go"), await context.wait_for_external_event("go")]

    run = drive(two)
    run.start()
    run.turn(event("go", 1, "m1"))
    run.turn(event("GO", 2, "m2"))
    run.turn(done(0))
    assert run.output == [1, 2]


def test_several_waiters_are_served_first_come_first_served(drive):
    async def two(context):
        first, second = context.wait_for_external_event("go"), context.wait_for_external_event("go")
        return await context.task_all([second, first])

    run = drive(two)
    run.start()
    run.turn(event("go", "one", "m1"), event("go", "two", "m2"))
    assert run.output == ["two", "one"]


def test_an_event_in_time_cancels_its_timer(drive):
    async def approval(context):
        return await context.wait_for_external_event("approve", timeout=timedelta(days=1))

    run = drive(approval)
    assert names(run.start()) == ["TimerCreated"]
    assert run.turn(event("approve", "yes"))[0] == TimerCanceled(0)
    assert run.output == "yes"


def test_a_late_event_is_a_timeout_and_stays_for_the_next_waiter(drive):
    async def approval(context):
        try:
            await context.wait_for_external_event("approve", timeout=timedelta(days=1))
        except TimeoutError as error:
            await context.call_activity("escalate")
            return [str(error), await context.wait_for_external_event("approve", timeout=timedelta(days=1))]

    run = drive(approval)
    run.start()
    run.turn(fired(0))
    run.turn(event("approve", "late"))
    run.turn(done(1))
    assert run.output == ["external event 'approve' did not arrive in time", "late"]


def test_sending_an_event_needs_no_waiting(drive):
    def send(context):
        context.send_event("other", "go", {"a": 1})
        return None
        yield

    assert drive(send).start()[0] == EventSent(0, "other", "go", '{"a":1}')


# ---- failures and retries ------------------------------------------------------------------------------------


def test_a_failure_can_be_caught(drive):
    def careful(context):
        try:
            yield context.call_activity("a")
        except TaskFailedError as error:
            caught = [error.error_type, error.message, error.is_caused_by(ValueError), error.is_caused_by("KeyError")]
        yield context.call_activity("compensate")
        return caught

    run = drive(careful)
    run.start()
    assert names(run.turn(failed(0))) == ["compensate"]
    run.turn(done(1))
    assert run.output == ["ValueError", "boom", True, False]


def test_an_uncaught_failure_fails_the_orchestration_and_tells_its_origin(drive):
    def careless(context):
        yield context.call_activity("pay")

    run = drive(careless)
    run.start()
    run.turn(failed(0))
    assert run.end.status == "Failed"
    assert run.output == "activity 'pay' failed: ValueError: boom"
    assert run.end.failure.inner.type == "ValueError"


def test_an_output_without_a_json_form_fails_clearly(drive):
    run = drive(lambda context: object())
    run.start()
    assert "the output of orchestration '<lambda>' can't be written as JSON" in run.output


def test_an_input_without_a_json_form_is_told_to_the_code(drive):
    def wrong(context):
        yield context.call_activity("a", float("nan"))

    run = drive(wrong)
    run.start()
    assert "the input of activity 'a' can't be written as JSON" in run.output


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), StopIteration(4)])
def test_no_exception_of_user_code_escapes(drive, error):
    def rude(context):
        raise error

    run = drive(rude)
    run.start()
    assert run.end.status == "Failed"


def test_retries_wait_longer_and_longer(drive):
    policy = RetryPolicy(timedelta(seconds=10), 4, backoff_coefficient=2, max_retry_interval=timedelta(seconds=25))

    async def retrying(context):
        return await context.call_activity("flaky", "x", retry_policy=policy)

    run = drive(retrying)
    run.start()
    waits = []
    for attempt in range(3):
        (timer,) = run.turn(failed(2 * attempt))
        waits.append((timer.fire_at - run.now).total_seconds())
        (again,) = run.turn(fired(2 * attempt + 1), after=60)
        assert again == TaskScheduled(2 * attempt + 2, "flaky", '"x"', first=0)
    run.turn(done(6, "at last"))
    assert waits == [10, 20, 25]
    assert run.output == "at last"


def test_no_timer_after_the_last_attempt(drive):
    def retrying(context):
        yield context.call_activity_with_retry("flaky", RetryOptions(1000, 2))

    run = drive(retrying)
    run.start()
    run.turn(failed(0))
    run.turn(fired(1))
    (end,) = run.turn(failed(2))
    assert end.status == "Failed"


def test_a_non_retryable_failure_ends_retrying(drive):
    def retrying(context):
        yield context.call_activity_with_retry("flaky", RetryOptions(1000, 5))

    run = drive(retrying)
    run.start()
    (end,) = run.turn(failed(0, non_retryable=True))
    assert end.status == "Failed"


def test_a_retried_child_is_a_new_instance_each_time(drive):
    def retrying(context):
        return (yield context.call_sub_orchestrator_with_retry("child", RetryOptions(1000, 2)))

    run = drive(retrying)
    (first,) = run.start()
    run.turn(child_failed(0))
    (second,) = run.turn(fired(1))
    assert isinstance(first, SubOrchestrationScheduled)
    assert first.instance_id != second.instance_id
    run.turn(child_done(2, "ok"))
    assert run.output == "ok"


# ---- sub-orchestrations, continue-as-new, termination --------------------------------------------------------


def test_a_child_has_the_given_id_or_a_derived_one(drive):
    def parent(context):
        return (
            yield context.task_all(
                [context.call_sub_orchestrator("child", 1, "mine"), context.call_sub_orchestrator("child", 2)]
            )
        )

    run = drive(parent)
    given, derived = run.start()
    assert given.instance_id == "mine"
    assert given.execution_id != derived.execution_id
    assert derived.instance_id == Driver(parent).start()[1].instance_id
    run.turn(child_done(0, "a"), child_done(1, "b"))
    assert run.output == ["a", "b"]


def test_a_failed_child_is_named(drive):
    def parent(context):
        yield context.call_sub_orchestrator("child")

    run = drive(parent)
    run.start()
    run.turn(child_failed(0))
    assert "sub-orchestration 'child' failed: ValueError: boom" in run.output


def test_continue_as_new_takes_unconsumed_events_along(drive):
    def loop(context):
        first = yield context.wait_for_external_event("a")
        context.continue_as_new(first, new_version="2")
        assert context.will_continue_as_new

    run = drive(loop)
    run.start()
    run.turn(event("b", 1, "m1"), event("a", 2, "m2"), event("a", 3, "m3"), event("b", 4, "m4"))
    assert run.end == ContinuedAsNew("2", True, "2")
    assert [each.id for each in run.last.unconsumed] == ["m1", "m3", "m4"]


def test_what_clean_up_code_asks_for_comes_before_the_next_generation(drive):
    def flow(context):
        reminder = context.create_timer(timedelta(hours=1))
        try:
            yield context.call_activity("a")
            context.continue_as_new("next")
            yield reminder
        finally:
            reminder.cancel()
            context.send_event("other", "bye")
            context.patched("late")

    driver = drive(flow)
    driver.start()
    assert [type(action).__name__ for action in driver.turn(done(1))] == [
        "TimerCanceled",
        "EventSent",
        "PatchMarked",
        "ContinuedAsNew",
    ]
    driver.replayed()


def test_a_version_is_a_text(drive):
    def flow(context):
        for ask in (
            lambda: context.call_sub_orchestrator("child", version=2),
            lambda: context.continue_as_new(None, new_version=2),
            lambda: context.call_sub_orchestrator("child", version="v" * 101),
        ):
            with pytest.raises((TypeError, ValueError), match=r"a version (is a text, not int|has at most 100)"):
                ask()

    driver = drive(flow)
    driver.start()
    assert driver.output is None
    assert len(driver.turns[-1].actions) == 1


def test_whether_events_are_kept_is_stored_as_a_truth_value(drive):
    driver = drive(lambda context: context.continue_as_new(None, save_events=[]))
    driver.start()
    assert driver.end.save_events is False


def test_an_event_that_comes_with_the_end_is_for_the_next_generation(drive):
    def loop(context):
        event, timer = context.wait_for_external_event("a"), context.create_timer(timedelta(minutes=1))
        if (yield context.task_any([event, timer])) is timer:
            context.continue_as_new("next")

    run = drive(loop)
    run.start()
    run.turn(fired(0), event("a", 1, "m1"))
    assert [each.id for each in run.last.unconsumed] == ["m1"]


def test_what_comes_during_a_pause_waits_for_its_end(drive):
    def flow(context):
        first = yield context.wait_for_external_event("a")
        second = yield context.call_activity("b", first)
        return second

    run = drive(flow)
    run.start()
    assert run.turn(ExecutionSuspended("m1", "wait")) == []
    assert run.turn(event("a", 1)) == []
    assert run.turn(ExecutionSuspended("m2", "still")) == []
    assert run.turn(ExecutionResumed("m3", "go")) == [TaskScheduled(0, "b", "1")]
    assert run.turn(ExecutionResumed("m4", "again"), done(0, 2))
    assert run.output == 2


def test_what_comes_after_the_end_changes_nothing(drive):
    run = Driver(lambda context: 1)
    run.start()
    assert run.turn(done(7)) == []


# ---- determinism ---------------------------------------------------------------------------------------------


def test_time_ids_and_random_numbers_repeat_in_replay():
    seen = []

    def curious(context):
        assert (context.instance_id, context.execution_id[:2]) == ("one", "e.")
        seen.append(
            (
                context.current_utc_datetime,
                context.new_uuid(),
                context.new_guid(),
                context.random().random(),
                context.random().random(),
            )
        )
        yield context.call_activity("a")

    run = Driver(curious)
    run.start()
    run.replayed()
    first, second = seen
    assert first == second
    assert first[0] == NOON + timedelta(seconds=1)
    assert uuid.UUID(first[1]) != first[2]
    other = Driver(curious, execution="e.1")
    other.start()
    assert seen[2][1] != first[1]


def test_time_never_runs_backwards(drive):
    def clock(context):
        one = context.current_utc_datetime
        yield context.call_activity("a")
        return context.current_utc_datetime >= one

    run = drive(clock)
    run.start()
    run.turn(done(0), after=-3600)
    assert run.output is True


def test_is_replaying_and_the_replay_safe_logger(caplog):
    flags = []
    caplog.set_level(logging.INFO)

    def talkative(context):
        log = context.create_replay_safe_logger(logging.getLogger("mine"))
        log.info("one")
        flags.append((context.is_replaying, log.isEnabledFor(logging.INFO), log.name))
        yield context.call_activity("a")
        log.warning("two")

    run = Driver(talkative, cold=True)
    run.start()
    run.turn(done(0))
    assert [record.message for record in caplog.records] == ["one", "two"]
    assert caplog.records[0].funcName == "talkative"
    assert flags == [(False, True, "mine"), (True, False, "mine")]


def test_the_custom_status_is_told_in_the_turn_that_sets_it(drive):
    def telling(context):
        context.set_custom_status({"step": 1})
        yield context.call_activity("a")
        yield context.call_activity("b")
        context.set_custom_status(None)
        return context.custom_status

    run = drive(telling)
    run.start()
    assert run.custom_status == {"step": 1}
    run.turn(done(0))
    assert run.last.custom_status is msgspec.UNSET
    run.turn(done(1))
    assert run.last.custom_status == "null"


def old(context):
    yield context.call_activity("a")
    yield context.call_activity("b")


def renamed(context):
    yield context.call_activity("A2")


def swapped(context):
    yield context.create_timer(timedelta(1))


def shorter(context):
    return None
    yield


def longer(context):
    context.call_activity("a")
    yield context.call_activity("extra")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (renamed, "history records activity 'a' (#0), but the code now asks for activity 'A2' (#0)"),
        (swapped, "history records activity 'a' (#0), but the code now asks for a timer (#0)"),
        (shorter, "history records activity 'a' (#0), but the code now asks for its end (Completed)"),
        (longer, "history records nothing, but the code now asks for activity 'extra' (#1)"),
    ],
)
def test_code_that_does_not_fit_its_history_is_refused(function, told):
    run = Driver(old, version="3")
    run.start()
    with pytest.raises(NonDeterminismError, match="instance 'one'") as caught:
        run.replayed(function)
    assert told in str(caught.value)
    assert "(version 3)" in str(caught.value)


def all_kinds(context):
    timer = context.create_timer(timedelta(days=1))
    timer.cancel()
    context.send_event("x", "e")
    yield context.call_sub_orchestrator("c", None, "id")


def test_every_kind_of_action_is_compared():
    def changed(what):
        def function(context):
            if what != "timer":
                timer = context.create_timer(timedelta(days=1))
                if what != "cancel":
                    timer.cancel()
            if what != "event":
                context.send_event("x", "e")
            yield context.call_sub_orchestrator("c", None, "other" if what == "child" else "id")

        return function

    run = Driver(all_kinds)
    run.start()
    run.replayed(changed("nothing"))
    for what in ("timer", "cancel", "event", "child"):
        with pytest.raises(NonDeterminismError):
            run.replayed(changed(what))


def test_payloads_stand_for_their_data():
    def echo(context):
        return [context.get_input(), (yield context.wait_for_external_event("e"))]

    run = Driver(echo)
    run._options["input_"] = "@in"
    live = run.fresh()
    live.advance(NOON, [ExecutionStarted()], {"in": '"large input"'})
    decision = live.advance(NOON, [msgspec.structs.replace(event("e"), data="@ev")], {"ev": '"large event"'})
    assert json.loads(decision.actions[0].output) == ["large input", "large event"]
