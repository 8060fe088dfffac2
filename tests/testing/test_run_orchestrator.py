"""Running an orchestrator alone, with stubs."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock, Mock

import pytest
from pydantic import BaseModel

import perdure_functions as df
from perdure.errors import DataError, NonDeterminismError, PerdureError, UnknownFunctionError
from perdure.testing import StuckError, Timer, outcomes, run_orchestrator

app = df.DFApp()


class Order(BaseModel):
    item: str
    amount: int


@app.activity_trigger(input_name="order")
def pay(order: Order) -> str:
    return f"paid {order.amount} by {df.activity_context().instance_id}"


@app.activity_trigger(input_name="name", activity="greet")
async def say_hello(name: str) -> str:
    await asyncio.sleep(0)
    return f"Hello {name}!"


@app.orchestration_trigger(context_name="context")
def place_order(context: df.OrchestrationContext):
    receipt = yield context.call_activity(pay, context.get_input())
    context.set_custom_status("paid")
    return receipt


def chain(context):
    total = context.get_input()
    for _ in range(3):
        total = yield context.call_activity("add", total)
    return total


async def awaited_chain(context, total: int):
    for _ in range(3):
        total = await context.call_activity("add", total)
    return total


def plain(context):
    return context.get_input() + 3


def add(value: int) -> int:
    return value + 1


@pytest.mark.parametrize("orchestrator", [chain, awaited_chain, plain, df.Orchestrator.create(chain)])
def test_every_kind_of_orchestrator(orchestrator):
    run = run_orchestrator(orchestrator, 4, activities=[add])
    assert (run.status, run.output, run.error) == ("Completed", 7, None)


def test_a_run_tells_what_was_asked_for():
    run = run_orchestrator(chain, 4, activities={"add": add})
    assert run.calls == [("add", 4), ("add", 5), ("add", 6)]
    assert run.calls[0].input == 4
    assert [type(action).__name__ for action in run.actions] == ["TaskScheduled"] * 3 + ["OrchestrationCompleted"]
    assert (run.generations, run.duration, run.timers) == (1, timedelta(0), [])


@pytest.mark.parametrize(
    ("stub", "output"),
    [
        (add, 7),
        (lambda value: value + 1, 7),
        (AsyncMock(side_effect=lambda value: value + 1), 7),
        (Mock(return_value=9), 9),
        (9, 9),
        (None, None),
        (outcomes(1, 2, 3), 3),
    ],
)
def test_stubs(stub, output):
    assert run_orchestrator(chain, 4, activities={"add": stub}).output == output


@pytest.mark.parametrize("stub", [ValueError("boom"), ValueError, Mock(side_effect=ValueError("boom"))])
def test_a_stub_that_raises_fails_the_activity(stub):
    run = run_orchestrator(chain, 4, activities={"add": stub})
    assert run.status == "Failed"
    assert run.error.is_caused_by(ValueError)
    assert "activity 'add' failed: ValueError" in run.output


def test_an_exhausted_stub_fails_the_test_and_not_the_activity():
    def forgiving(context):
        for _ in range(2):
            try:
                yield context.call_activity("add")
            except df.TaskFailedError:
                return "swallowed"

    with pytest.raises(AssertionError, match="has 1 outcomes and is called once more"):
        run_orchestrator(forgiving, activities={"add": outcomes(1)})


async def test_in_a_running_loop():
    run = run_orchestrator(chain, 4, activities={"add": AsyncMock(return_value=2)})
    assert run.output == 2


# ---- what the app has ----------------------------------------------------------------------------------------------


def test_decorated_functions_stand_for_their_names():
    run = run_orchestrator(place_order, {"item": "tea", "amount": 3}, activities={pay: "stubbed"})
    assert (run.output, run.custom_status) == ("stubbed", "paid")
    assert run.calls == [("pay", {"item": "tea", "amount": 3})]


def test_activities_of_the_app_are_run_with_their_types():
    run = run_orchestrator(place_order, Order(item="tea", amount=3), app=app, instance_id="one")
    assert run.output == "paid 3 by one"


def test_a_stub_gets_the_type_of_what_it_stands_for():
    seen = []
    run_orchestrator(place_order, Order(item="tea", amount=3), activities={pay: seen.append})
    assert seen == [Order(item="tea", amount=3)]


def test_async_activities_and_names_given_to_the_trigger():
    def greeting(context):
        return (yield context.call_activity(say_hello, "Ada"))

    assert run_orchestrator(greeting, activities=[say_hello]).output == "Hello Ada!"


def test_an_activity_without_a_stub():
    with pytest.raises(UnknownFunctionError, match="'chain' calls activity 'add', which has no stub: give act"):
        run_orchestrator(chain, 1)


def test_an_app_is_left_as_it_is():
    run_orchestrator(place_order, {"item": "tea", "amount": 3}, app=app, activities={"pay": "stubbed"})
    assert run_orchestrator(place_order, {"item": "tea", "amount": 3}, app=app).output.startswith("paid 3")


def test_what_is_no_app():
    with pytest.raises(TypeError, match="an app is a DFApp, a Blueprint or a Registry, not str"):
        run_orchestrator(chain, 1, app="app")


def test_an_input_without_a_json_form():
    with pytest.raises(DataError, match="the input of orchestration 'chain'"):
        run_orchestrator(chain, object())


# ---- time ----------------------------------------------------------------------------------------------------------


def test_timers_fire_at_once_in_the_orchestrations_time():
    def sleeping(context):
        before = context.current_utc_datetime
        yield context.create_timer(timedelta(days=30))
        return (context.current_utc_datetime - before).days

    began = time.perf_counter()
    run = run_orchestrator(sleeping, now=datetime(2030, 1, 1))  # noqa: DTZ001 - a naive time means UTC
    assert time.perf_counter() - began < 1
    due = datetime(2030, 1, 31, tzinfo=UTC)
    assert (run.output, run.ended_at, run.duration) == (30, due, timedelta(days=30))
    assert run.timers == [Timer(timedelta(days=30), due, fired=True)]


def test_retries_obey_their_policy():
    def stubborn(context):
        policy = df.RetryPolicy(timedelta(seconds=5), 4, backoff_coefficient=2)
        return (yield context.call_activity("flaky", retry_policy=policy))

    run = run_orchestrator(stubborn, activities={"flaky": outcomes(TimeoutError(), TimeoutError, "done")})
    assert run.output == "done"
    assert len(run.calls) == 3
    assert [timer.delay.seconds for timer in run.timers] == [5, 10]
    failed = run_orchestrator(stubborn, activities={"flaky": TimeoutError})
    assert (failed.status, len(failed.calls), failed.duration) == ("Failed", 4, timedelta(seconds=35))


def test_a_timer_that_is_cancelled_takes_no_time():
    def first_of_two(context):
        timer = context.create_timer(timedelta(days=1))
        winner = yield context.task_any([timer, context.call_activity("add", 1)])
        if winner is not timer:
            timer.cancel()
        return winner is timer

    run = run_orchestrator(first_of_two, activities=[add])
    assert (run.output, run.duration) == (False, timedelta(0))
    assert [(timer.fired, timer.cancelled) for timer in run.timers] == [(False, True)]


# ---- events --------------------------------------------------------------------------------------------------------


def approval(context):
    context.set_custom_status("waits")
    try:
        answer = yield context.wait_for_external_event("Approval", timeout=timedelta(days=3))
    except TimeoutError:
        return "too late"
    yield context.create_timer(timedelta(hours=1))
    return answer


@pytest.mark.parametrize(
    ("events", "output", "hours"),
    [
        ([], "too late", 72),
        (["approval"], None, 1),
        ([("Approval", "yes")], "yes", 1),
        ([("approval", "yes", timedelta(days=2))], "yes", 49),
        ([("approval", "yes", datetime(2026, 1, 3, tzinfo=UTC))], "yes", 49),
        ([("approval", "yes", timedelta(days=4))], "too late", 72),
        ([("other", 1), ("approval", "yes"), ("approval", "no")], "yes", 1),
    ],
)
def test_events(events, output, hours):
    run = run_orchestrator(approval, events=events)
    assert (run.output, run.duration) == (output, timedelta(hours=hours))


def test_events_keep_their_order_and_come_when_nothing_else_is_left_to_do():
    def collecting(context):
        got = yield context.task_any([context.wait_for_external_event("n"), context.call_activity("add", 0)])
        numbers = [got.result]
        for _ in range(2):
            numbers.append((yield context.wait_for_external_event("n")))  # noqa: PERF401 - it yields
        return numbers

    run = run_orchestrator(collecting, activities=[add], events=[("n", 10), ("n", 20), ("n", 30)])
    assert run.output == [1, 10, 20]


def test_waiting_for_what_never_comes():
    def forever(context):
        context.set_custom_status("waits")
        yield context.task_any([context.wait_for_external_event("Yes"), context.wait_for_external_event("No")])

    with pytest.raises(StuckError) as caught:
        run_orchestrator(forever, events=["yess"])
    assert str(caught.value) == (
        "orchestrator 'forever' waits for external event 'Yes' or external event 'No', and nothing else is left that "
        "could happen: give it in events (the events that came: 'yess')"
    )
    assert caught.value.run.custom_status == "waits"
    run = run_orchestrator(forever, may_wait=True)
    assert (run.status, run.waits_for) == ("Running", ["external event 'Yes'", "external event 'No'"])


def test_waiting_for_a_timer_that_was_cancelled():
    def stuck(context):
        timer = context.create_timer(timedelta(days=1))
        timer.cancel()
        yield timer

    with pytest.raises(StuckError, match="a task that nothing will complete"):
        run_orchestrator(stuck)


@pytest.mark.parametrize("event", [("a", 1, timedelta(0), 4), (1,), ("x", 1, timedelta(0), None)])
def test_what_is_no_event(event):
    with pytest.raises(TypeError, match="an event is"):
        run_orchestrator(approval, events=[event])


def test_events_that_are_sent():
    def sending(context):
        context.send_event("other", "done", {"total": 3})
        yield context.call_activity("add", 1)

    assert run_orchestrator(sending, activities=[add]).events_sent == [("other", "done", {"total": 3})]


# ---- sub-orchestrations --------------------------------------------------------------------------------------------


def parent(context):
    children = [context.call_sub_orchestrator("child", number) for number in (1, 2)]
    return (yield context.task_all(children))


def child(context):
    yield context.create_timer(timedelta(hours=context.get_input()))
    return (yield context.call_activity("add", context.get_input() * 10))


def test_sub_orchestrations_are_stubbed():
    run = run_orchestrator(parent, sub_orchestrations={"child": lambda number: number * 10})
    assert (run.output, run.sub_orchestrations, run.children) == ([10, 20], [("child", 1), ("child", 2)], [])
    failed = run_orchestrator(parent, sub_orchestrations={"child": ValueError("boom")})
    assert "sub-orchestration 'child' failed: ValueError: boom" in failed.output


def test_sub_orchestrations_are_run():
    run = run_orchestrator(parent, sub_orchestrations=[child], activities=[add])
    assert (run.output, run.duration) == ([11, 21], timedelta(hours=2))
    assert [one.calls for one in run.children] == [[("add", 10)], [("add", 20)]]


def test_a_child_takes_its_time_while_its_parent_goes_on():
    def racing(context):
        timer = context.create_timer(timedelta(minutes=90))
        slow = context.call_sub_orchestrator("child", 2)
        winner = yield context.task_any([timer, slow])
        return winner is timer

    run = run_orchestrator(racing, sub_orchestrations=[child], activities=[add])
    assert (run.output, run.duration) == (True, timedelta(minutes=90))


def test_a_child_that_fails_and_one_that_waits_for_ever():
    run = run_orchestrator(parent, sub_orchestrations=[child], activities={"add": KeyError("x")})
    assert run.error.is_caused_by(KeyError)

    def child_of_events(context):
        yield context.wait_for_external_event("go")

    with pytest.raises(StuckError, match="orchestrator 'child' waits for external event 'go'"):
        run_orchestrator(parent, sub_orchestrations={"child": child_of_events})


def test_a_child_sends_events_to_its_parent():
    def talking(context):
        heard = context.wait_for_external_event("news")
        task = context.call_sub_orchestrator("teller")
        return [(yield heard), (yield task)]

    def teller(context):
        context.send_event(context.parent_instance_id, "news", "soon")
        yield context.create_timer(timedelta(hours=1))
        return "told"

    assert run_orchestrator(talking, sub_orchestrations=[teller]).output == ["soon", "told"]


def test_a_sub_orchestration_without_a_stub():
    with pytest.raises(UnknownFunctionError, match="calls sub-orchestration 'child', which has no stub"):
        run_orchestrator(parent)


# ---- generations ---------------------------------------------------------------------------------------------------


def counting(context):
    count = context.get_input()
    yield context.create_timer(timedelta(hours=1))
    if count == 3:
        more = yield context.wait_for_external_event("more")
        return [count, more]
    context.continue_as_new(count + 1)
    return None


def test_continue_as_new_ends_the_run():
    run = run_orchestrator(counting, 0)
    assert (run.status, run.next_input, run.output) == ("ContinuedAsNew", 1, None)


def test_or_all_generations_are_run_and_events_are_kept():
    run = run_orchestrator(counting, 0, generations=None, events=[("more", "tea")])
    assert (run.output, run.generations, run.duration) == ([3, "tea"], 4, timedelta(hours=4))
    late = run_orchestrator(counting, 0, generations=None, events=[("more", "tea", timedelta(days=1))])
    assert (late.output, late.duration) == ([3, "tea"], timedelta(days=1))
    assert run_orchestrator(counting, 0, generations=2).next_input == 2


def test_a_loop_without_end():
    def endless(context):
        while True:
            yield context.create_timer(timedelta(hours=1))

    with pytest.raises(PerdureError, match="'endless' has had 50 turns and has not ended"):
        run_orchestrator(endless, max_turns=50)


# ---- determinism ---------------------------------------------------------------------------------------------------


def test_other_actions_when_run_again():
    def choosing(context):
        yield context.call_activity(f"a{next(numbers)}")

    numbers = iter(range(9))
    with pytest.raises(NonDeterminismError) as caught:
        run_orchestrator(choosing, activities=dict.fromkeys(f"a{number}" for number in range(9)))
    message = str(caught.value)
    assert "'choosing' is not deterministic: turn 1" in message
    assert "history records activity 'a0' (#0), but the code now asks for activity 'a1' (#0)" in message
    assert "perdure check" in message


@pytest.mark.parametrize(
    ("ask", "differs"),
    [
        (lambda context: context.call_activity("add", random.random()), "the input of activity 'add' (#0) was 0."),
        (lambda context: context.call_sub_orchestrator("child", str(uuid.uuid4())), "the input of sub-orchestration"),
        (lambda context: context.create_timer(datetime.now(UTC)), "the time of a timer (#0) was 20"),
        (lambda context: context.send_event("o", "e", time.monotonic_ns()), "the data of event 'e' (#0) was "),
        (lambda context: context.continue_as_new(time.monotonic_ns()), "the input of continue_as_new was "),
    ],
)
def test_other_data_when_run_again(ask, differs):
    def careless(context):
        asked = ask(context)
        if asked is not None:
            yield asked

    with pytest.raises(NonDeterminismError) as caught:
        run_orchestrator(careless, activities={"add": 1}, sub_orchestrations={"child": 1})
    assert differs in str(caught.value)


def test_another_end_when_run_again():
    def ending(context):
        yield context.call_activity("add", 1)
        return next(numbers)

    numbers = iter(range(9))
    with pytest.raises(NonDeterminismError, match=r"turn 2.* its end was Completed with 0, and is Completed with 1"):
        run_orchestrator(ending, activities={"add": 1})


def test_what_changes_outside_while_it_runs():
    def remembering(context):
        if seen:
            yield context.call_activity("add", 1)
        yield context.call_activity("add", 2)

    seen: list[int] = []
    with pytest.raises(NonDeterminismError, match="turn 1"):
        run_orchestrator(remembering, activities={"add": seen.append})


def test_the_check_can_be_left_out():
    def careless(context):
        yield context.call_activity("add", random.random())

    assert run_orchestrator(careless, activities={"add": 1}, check_replay=False).status == "Completed"


def test_what_the_context_offers_is_deterministic():
    def careful(context):
        ids = [context.new_uuid(), str(context.new_guid()), context.random().random()]
        yield context.call_activity("add", [*ids, context.current_utc_datetime])
        if context.patched("new way"):
            yield context.create_timer(timedelta(seconds=1))
        return ids

    assert run_orchestrator(careful, activities={"add": 1}).status == "Completed"


# ---- HTTP ------------------------------------------------------------------------------------------------------------


def asking(context):
    answer = yield context.call_http("GET", "https://prices.example/tea")
    return answer["content"]


def test_call_http_is_stubbed():
    def answer(request):
        return {"statusCode": 200, "headers": {}, "content": request["uri"]}

    assert run_orchestrator(asking, activities={"call_http": answer}).output == "https://prices.example/tea"


def test_call_http_is_polled_in_virtual_time():
    accepted = {"statusCode": 202, "headers": {"Location": "/later", "Retry-After": "3600"}, "content": ""}
    ready = {"statusCode": 200, "headers": {}, "content": "3 coins"}
    run = run_orchestrator(asking, activities={"call_http": outcomes(accepted, accepted, ready)})
    assert (run.output, run.duration) == ("3 coins", timedelta(hours=2))


def test_nothing_is_asked_for_outside():
    with pytest.raises(UnknownFunctionError, match="calls activity 'call_http', which has no stub"):
        run_orchestrator(asking, app=app)
