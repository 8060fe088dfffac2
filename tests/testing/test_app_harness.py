"""A whole app in memory, in time that skips."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import perdure_functions as df
from perdure.engine.registry import Registry
from perdure.errors import InstanceEndedError, InstanceNotFoundError, PerdureError, UnknownFunctionError
from perdure.testing import AppHarness, HistoryDiffers, StuckError, outcomes

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def place_order(context: df.OrchestrationContext):
    order = context.get_input()
    context.set_custom_status("waits for approval")
    try:
        approved = yield context.wait_for_external_event("approval", timeout=timedelta(days=3))
    except TimeoutError:
        return "expired"
    if not approved:
        return "refused"
    return (yield context.call_activity(pay, order))


@app.activity_trigger(input_name="order")
def pay(order: dict) -> str:
    return f"paid {order['amount']} in {threading.current_thread().name}"


@app.activity_trigger(input_name="seconds")
async def slow(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@app.orchestration_trigger(context_name="context")
def orders(context):
    children = [context.call_sub_orchestrator(place_order, order, f"order-{n}") for n, order in enumerate([1, 2])]
    return (yield context.task_all(children))


@app.orchestration_trigger(context_name="context")
def eternal(context):
    yield context.create_timer(timedelta(hours=1))
    context.continue_as_new((context.get_input() or 0) + 1)


@app.orchestration_trigger(context_name="context")
async def waiting_for_slow(context):
    return await context.call_activity(slow, 3600.0)


@pytest.fixture
def harness():
    with AppHarness(app) as harness:
        yield harness


def test_an_order_is_approved(harness):
    order = harness.start(place_order, {"amount": 5})
    assert harness.status(order).custom_status == "waits for approval"
    harness.skip(timedelta(days=2))
    harness.raise_event(order, "approval", True)
    status = harness.wait(order)
    assert status.output == f"paid 5 in {threading.current_thread().name}"
    assert harness.now == datetime(2026, 1, 3, tzinfo=UTC)
    assert harness.calls == [("pay", {"amount": 5})]


def test_or_nobody_answers_and_days_pass_at_once(harness):
    began = time.perf_counter()
    status = harness.wait(harness.start("place_order", {"amount": 5}, instance_id="mine"))
    assert (status.instance_id, status.output) == ("mine", "expired")
    assert harness.now == datetime(2026, 1, 4, tzinfo=UTC)
    assert time.perf_counter() - began < 2


def test_children(harness):
    family = harness.start(orders)
    harness.raise_event("order-0", "approval", False)
    assert harness.wait(family).output == ["refused", "expired"]


def test_functions_are_replaced(harness):
    harness.replace(pay, lambda order: f"stub of {order['amount']}")
    first = harness.start(place_order, {"amount": 5})
    harness.raise_event(first, "approval", True)
    assert harness.wait(first).output == "stub of 5"
    harness.replace("pay", outcomes(ValueError("no money")))
    second = harness.start(place_order, {"amount": 6})
    harness.raise_event(second, "approval", True)
    assert "no money" in harness.wait(second).output
    harness.replace(place_order, "stubbed order")
    assert harness.wait(harness.start(orders)).output == ["stubbed order"] * 2

    def other(context):
        yield context.create_timer(timedelta(hours=1))
        return "other"

    harness.replace("place_order", other)
    assert harness.wait(harness.start(orders)).output == ["other"] * 2


def test_the_app_is_left_as_it_is(harness):
    harness.replace(pay, "stubbed")
    with AppHarness(app) as another:
        order = another.start(place_order, {"amount": 5})
        another.raise_event(order, "approval", True)
        assert another.wait(order).output.startswith("paid 5")


def test_time_passes_while_an_activity_sleeps(harness):
    instance = harness.start(waiting_for_slow)
    assert harness.status(instance).runtime_status == "Running"
    assert harness.wait(instance).output == 3600
    assert harness.now == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_waiting_for_something_else_than_the_end(harness):
    instance = harness.start(eternal)
    status = harness.wait(instance, until=lambda status: harness.now.hour == 5)
    assert status.runtime_status == "Running"
    assert harness.status(instance, show_input=True).input_ == 5
    harness.skip(timedelta(days=1))
    assert harness.status(instance, show_input=True).input_ == 29
    harness.skip(datetime(2026, 1, 3, tzinfo=UTC))
    assert harness.status(instance, show_input=True).input_ == 48
    with pytest.raises(ValueError, match="time can't go back"):
        harness.skip(timedelta(seconds=-1))
    with pytest.raises(TimeoutError, match="Running"):
        harness.wait(instance, timeout=timedelta(days=2))


def test_until_is_never_true(harness):
    instance = harness.start(place_order, {"amount": 5})
    with pytest.raises(StuckError, match="has ended, and `until` is not true of it"):
        harness.wait(instance, until=lambda status: status.custom_status == "paid")


def test_scenarios_with_the_apps_own_client(harness):
    async def scenario(client):
        assert isinstance(client, df.DurableOrchestrationClient)
        assert client is harness.client
        order = await client.start_new("place_order", client_input={"amount": 7})
        with pytest.raises(TimeoutError):
            await client.wait_for_completion(order, timeout=10)
        assert harness.now.second == 10
        await asyncio.sleep(3600)
        await client.terminate(order, "not today")
        return await client.wait_for_completion(order)

    status = harness.run(scenario)
    assert (status.runtime_status, status.output) == ("Terminated", "not today")
    assert harness.now.hour == 1


def test_a_status_tells_the_time_of_the_harness(harness):
    status = harness.status(harness.start(place_order, {"amount": 5}))
    assert status.created_time == datetime(2026, 1, 1, tzinfo=UTC)


def test_start_options(harness):
    later = harness.now + timedelta(days=1)
    order = harness.start(place_order, {"amount": 5}, start_at=later, version="2", tags={"kind": "test"})
    assert harness.status(order).runtime_status == "Pending"
    harness.wait(order)
    assert harness.now == later + timedelta(days=3)


async def test_in_an_async_test(harness):
    order = harness.start(place_order, {"amount": 5})
    harness.raise_event(order, "approval", False)
    assert harness.wait(order).output == "refused"

    async def scenario():
        return asyncio.get_running_loop().time()

    assert harness.run(scenario) == 0


# ---- nothing left --------------------------------------------------------------------------------------------------


def waiting(context):
    yield context.wait_for_external_event("Go")


def nested(context):
    yield context.call_sub_orchestrator("waiting", instance_id="child")


def test_everything_waits_for_what_never_comes():
    with AppHarness(orchestrators=[waiting, nested]) as harness:
        harness.start("nested", instance_id="family")
        with pytest.raises(StuckError) as caught:
            harness.wait("family")
        assert str(caught.value) == (
            "nothing is left that could happen: instance 'child' ('waiting') waits for external event 'Go'; instance "
            "'family' ('nested') waits for its sub-orchestration 'waiting' ('child'). Raise the event, or mend the "
            "orchestrator"
        )
        harness.raise_event("child", "go")  # and it can go on from there
        assert harness.wait("family").runtime_status == "Completed"


def test_a_suspended_instance_and_a_test_that_waits_for_nothing():
    with AppHarness(orchestrators=[waiting]) as harness:
        with pytest.raises(StuckError, match="no instance waits for anything, but the test does"):
            harness.run(lambda: asyncio.Event().wait())
        one = harness.start("waiting")
        harness.run(lambda client: client.suspend(one, "for a while"))
        harness.raise_event(one, "go")
        with pytest.raises(StuckError, match="is suspended"):
            harness.wait(one)
        harness.run(lambda client: client.resume(one, "go on"))
        assert harness.wait(one).runtime_status == "Completed"


# ---- plain functions, and what goes wrong --------------------------------------------------------------------------


def chain(context):
    total = 0
    for _ in range(3):
        total = yield context.call_activity("add", total)
    return total


def add(value):
    return value + 1


def test_plain_functions_by_name():
    with AppHarness(orchestrators={"chained": chain}, activities=[add]) as harness:
        assert harness.wait(harness.start("chained")).output == 3
    with AppHarness(orchestrators=[chain], activities={"add": outcomes(5, 6, 7)}) as harness:
        assert harness.wait(harness.start(chain)).output == 7


def test_a_registry():
    registry = Registry()
    registry.orchestrators.add("chain", chain)
    registry.activities.add("add", add)
    with AppHarness(registry) as harness:
        harness.replace("add", 9)
        assert harness.wait(harness.start("chain")).output == 9
    assert registry.activities.get("add") is add


def test_sync_activities_may_run_a_loop_of_their_own():
    def add_slowly(value):
        return asyncio.run(asyncio.sleep(0, value + 1))

    with AppHarness(orchestrators=[chain], activities={"add": add_slowly}) as harness:
        assert harness.wait(harness.start("chain")).output == 3


def test_an_activity_that_is_not_there_fails_at_once():
    with AppHarness(orchestrators=[chain]) as harness:
        status = harness.wait(harness.start("chain"))
        assert "no activity function is named 'add'" in status.output
        assert harness.now == datetime(2026, 1, 1, tzinfo=UTC)


def test_non_determinism_is_found():
    ways = iter("ab" * 9)

    def careless(context):
        yield context.call_activity(next(ways))

    with AppHarness(orchestrators=[careless], activities={"a": 1, "b": 2}) as harness:
        instance = harness.start("careless")
        with pytest.raises(HistoryDiffers, match=r"'careless'.* in turn 1 .* history records activity 'a'"):
            harness.wait(instance)
    with AppHarness(orchestrators=[careless], activities={"a": 1, "b": 2}, check_replay=False) as harness:
        assert harness.wait(harness.start("careless")).runtime_status == "Completed"


def test_unknown_names(harness):
    with pytest.raises(UnknownFunctionError):
        harness.start("nothing")
    with pytest.raises(InstanceNotFoundError, match="there is no instance 'nobody'"):
        harness.wait("nobody")
    assert not harness.status("nobody")
    order = harness.start(place_order, {"amount": 5})
    harness.wait(order)
    with pytest.raises(InstanceEndedError):
        harness.raise_event(order, "approval", True)


def test_before_and_after():
    harness = AppHarness(app, now=datetime(2030, 5, 1))  # noqa: DTZ001 - a naive time means UTC
    assert harness.now == datetime(2030, 5, 1, tzinfo=UTC)
    with pytest.raises(PerdureError, match="the harness is not open"):
        harness.start(place_order)
    with harness:
        harness.start(place_order, {"amount": 5})
    with pytest.raises(PerdureError, match="the harness is not open"):
        _ = harness.client


def test_versions_are_those_of_the_settings():
    from perdure.engine.settings import EngineSettings

    def told(context):
        return context.version

    with AppHarness(orchestrators=[told], settings=EngineSettings(default_version="3")) as harness:
        assert harness.wait(harness.start("told")).output == "3"


def test_many_instances_and_large_data():
    def spread(context):
        texts = yield context.task_all([context.call_activity("text", n) for n in range(100)])
        return sum(len(text) for text in texts)

    with AppHarness(orchestrators=[spread], activities={"text": lambda n: "x" * 40_000}) as harness:
        assert harness.wait(harness.start("spread")).output == 4_000_000


def test_call_http_is_stubbed():
    def asking(context):
        answer = yield context.call_http("GET", "https://prices.example/tea")
        return answer["content"]

    with AppHarness(app, orchestrators=[asking]) as harness:
        assert "call_http has no stub in this test" in harness.wait(harness.start("asking")).output
        harness.replace("call_http", {"statusCode": 200, "headers": {}, "content": "3 coins"})
        assert harness.wait(harness.start("asking")).output == "3 coins"
