"""What orchestrators and entities ask for, and what activities return: a failure of theirs, never a message that comes
again for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from perdure.client import Client
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.retry import RetryOptions, RetryPolicy
from tests.hostile.inputs import LARGE, NO_TEXTS, SURROGATES, nested

NO_JSON = [float("nan"), object(), nested(501), nested(100_000), 10**5_000]
BEYOND = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
"""A time that UTC's calendar does not reach."""
REFUSED = {
    "activity": [*NO_TEXTS, *SURROGATES, "", "x" * 1_001],
    "activity_input": NO_JSON,
    "child": [*NO_TEXTS, *SURROGATES, "", "x" * 1_001],
    "child_id": [*NO_TEXTS[1:], *SURROGATES, "", "x" * 257, "@name@key"],
    "child_input": NO_JSON,
    "child_version": [*NO_TEXTS[1:], *SURROGATES, "v" * 101],
    "child_tags": [5, ["a"], {"a": 1}, {"a": "\ud800"}, {"a" * 1_001: ""}],
    "event": [*NO_TEXTS, *SURROGATES, "", "x" * 1_001],
    "event_timeout": ["soon", object(), float("nan")],
    "send_to": [*NO_TEXTS, *SURROGATES, "", "x" * 257],
    "send_data": NO_JSON,
    "timer": ["soon", 5, None, object(), timedelta.max, timedelta.min, BEYOND],
    "status": NO_JSON,
    "output": NO_JSON,
    "again": NO_JSON,
    "again_version": [5, "\ud800", "v" * 101],
    "entity": [*NO_TEXTS, *SURROGATES, "", "key", "@name@"],
    "operation": [*NO_TEXTS, *SURROGATES, "", "x" * 1_001],
    "operation_input": NO_JSON,
    "signal_time": ["soon", 5],
    "lock": [*NO_TEXTS, "", ["x"], [EntityId("counter", "one"), 5]],
    "http": [("\ud800", "http://localhost/"), ("GET", "\ud800"), ("GET", None), (5, "http://localhost/")],
    "any": [5, [5], ["x"]],
}
LONG_AGO = [datetime(1, 1, 1, tzinfo=UTC), datetime(1600, 1, 1), timedelta(days=-1), timedelta(0)]  # noqa: DTZ001 - naive


def asked(context, what, value):  # noqa: C901, PLR0912 - a case for each thing to ask for
    match what:
        case "activity":
            return (yield context.call_activity(value, LARGE))
        case "activity_input":
            return (yield context.call_activity("echo", [LARGE, value]))
        case "child":
            return (yield context.call_sub_orchestrator(value, LARGE))
        case "child_id":
            return (yield context.call_sub_orchestrator("quick", LARGE, value))
        case "child_input":
            return (yield context.call_sub_orchestrator("quick", [LARGE, value]))
        case "child_version":
            return (yield context.call_sub_orchestrator("quick", LARGE, version=value))
        case "child_tags":
            return (yield context.call_sub_orchestrator("quick", LARGE, tags=value))
        case "event":
            return (yield context.wait_for_external_event(value))
        case "event_timeout":
            return (yield context.wait_for_external_event("go", timeout=value))
        case "send_to":
            return context.send_event(value, "go", LARGE)
        case "send_data":
            return context.send_event("other", "go", [LARGE, value])
        case "timer":
            return (yield context.create_timer(value))
        case "status":
            return context.set_custom_status([LARGE, value])
        case "output":
            return [LARGE, value]
        case "again":
            return context.continue_as_new([LARGE, value])
        case "again_version":
            return context.continue_as_new("again", new_version=value)
        case "entity":
            return (yield context.call_entity(value, "add", LARGE))
        case "operation":
            return (yield context.call_entity(EntityId("counter", "one"), value, LARGE))
        case "operation_input":
            return (yield context.call_entity(EntityId("counter", "one"), "add", [LARGE, value]))
        case "signal_time":
            return context.signal_entity(EntityId("counter", "one"), "add", 1, signal_time=value)
        case "lock":
            return (yield context.lock_entities(value))
        case "http":
            return (yield context.call_http(*value))
        case _:
            return (yield context.task_any(value))


@pytest.fixture
async def run(hub):
    """Runs an orchestrator of that one thing; returns its last status."""
    given = {}

    @hub.orchestrator
    def ask(context):
        return (yield from asked(context, *given["it"]))

    @hub.orchestrator
    def quick(context):
        return None

    @hub.activity
    def echo(value):
        return value

    @hub.activity
    def give(value):
        return given["it"]

    @hub.orchestrator
    def take(context):
        return (yield context.call_activity("give"))

    def counter(context):
        context.set_state(given["it"])
        context.set_result(given["it"])

    @hub.orchestrator
    def count(context):
        return (yield context.call_entity(EntityId("counter", "one"), "add"))

    hub.registry.entities.add("counter", EntityDefinition(counter))
    client = Client(hub.storage, worker=(await hub.add_worker()).engine)

    async def started(name, *it):
        given["it"] = it if name == "ask" else it[0]
        await client.start_new(name, "mine")
        return await client.wait_for_completion("mine", 20)

    return started


CASES = [
    pytest.param(what, value, id=f"{what}-{number}")
    for what, values in REFUSED.items()
    for number, value in enumerate(values)
]


@pytest.mark.parametrize(("what", "value"), CASES)
async def test_what_can_not_be_asked_for_fails_the_orchestration_that_asks(hub, run, what, value):
    status = await run("ask", what, value)
    assert status.runtime_status == "Failed"
    assert status.output
    await hub.quiet()
    assert await hub.storage.list_payloads("mine") == []
    assert await hub.storage.list_payloads("@counter@one") == []
    assert await hub.storage.list_payloads("other") == []


@pytest.mark.parametrize("time", LONG_AGO)
async def test_a_time_long_ago_is_now(run, time):
    assert (await run("ask", "timer", time)).runtime_status == "Completed"


@pytest.mark.parametrize("value", NO_JSON, ids=range(len(NO_JSON)))
@pytest.mark.parametrize("name", ["take", "count"])
async def test_what_can_not_be_returned_fails_the_caller(hub, run, name, value):
    status = await run(name, [LARGE, value])
    assert status.runtime_status == "Failed"
    assert "JSON" in status.output
    assert await hub.storage.list_payloads("mine") == []
    assert not (await Client(hub.storage).read_entity_state(EntityId("counter", "one"))).entity_exists


POLICIES = [
    *[(0, 1), (-1, 1), ("1", 1), (None, 1), (float("nan"), 1), (float("inf"), 1), (10**400, 1), ([], 1)],
    *[(1, 0), (1, -1), (1, "1"), (1, None), (1, float("inf")), (1, 1.5)],
    *[(1, 1, 0.5), (1, 1, float("nan")), (1, 1, "2"), (1, 1, 1, "1"), (1, 1, 1, float("nan")), (1, 1, 1, None, [])],
    *[
        (1, 1, 1, None, None, 2),
        (1, 1, 1, None, None, "x"),
        (1, 1, 1, None, None, 0, "x"),
        (1, 1, 1, None, None, 0, (), 5),
    ],
]


@pytest.mark.parametrize("arguments", POLICIES, ids=range(len(POLICIES)))
def test_a_retry_policy_that_makes_no_sense(arguments):
    with pytest.raises((ValueError, TypeError), match=r"interval|attempts|backoff|timeout|jitter|non_retryable|handle"):
        RetryOptions(*arguments)


def broken(error):
    raise ZeroDivisionError("the handler is broken")


@pytest.mark.parametrize(
    "policy",
    [
        RetryPolicy(timedelta(milliseconds=1), 3, 1e308, max_retry_interval=timedelta(milliseconds=2)),
        RetryPolicy(timedelta(milliseconds=1), 3, retry_timeout=timedelta.max),
        RetryPolicy(timedelta(milliseconds=1), 3, handle=broken),
        RetryPolicy(timedelta.max, 3, max_retry_interval=timedelta.max, retry_timeout=timedelta(seconds=1)),
    ],
)
async def test_a_retry_policy_of_extremes_ends(hub, policy):
    @hub.activity
    def fail(value):
        raise ValueError("always")

    @hub.orchestrator
    def retry(context):
        return (yield context.call_activity("fail", None, retry_policy=policy))

    client = Client(hub.storage, worker=(await hub.add_worker()).engine)
    await client.start_new("retry", "mine")
    assert (await client.wait_for_completion("mine", 20)).runtime_status == "Failed"


async def test_an_entity_that_starts_an_orchestration_at_an_impossible_time_fails_its_operation(hub):
    def starter(context):
        context.start_new_orchestration("quick", "x", instance_id="begun", start_at=datetime(1500, 1, 1, tzinfo=UTC))

    @hub.orchestrator
    def ask(context):
        return (yield context.call_entity(EntityId("starter", "one"), "begin"))

    hub.registry.entities.add("starter", EntityDefinition(starter))
    client = Client(hub.storage, worker=(await hub.add_worker()).engine)
    await client.start_new("ask", "mine")
    status = await client.wait_for_completion("mine", 20)
    assert status.runtime_status == "Failed"
    assert "start_at" in status.output
