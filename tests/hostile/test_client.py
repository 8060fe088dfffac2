"""The client and what it is given: an error that names the argument, and nothing left in the hub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings

from perdure.client import Client, OrchestrationQuery
from perdure.errors import DataError, InstanceNotFoundError, PerdureError
from perdure.storage.memory import MemoryStorage
from perdure.storage.rows import InstanceQuery, RowUpdate
from tests.hostile.inputs import INJECTIONS, LARGE, NO_TEXTS, PATHS, SURROGATES, contents, nested, texts
from tests.storage.providers import new_hub

BEYOND = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
"""A time that UTC's calendar does not reach."""
REFUSED = (ValueError, TypeError, PerdureError)
HOSTILE_STARTS = {
    "version": [{"version": "v" * 5_000}, {"version": 5}, {"version": "\ud800"}],
    "start_at": [{"start_at": time} for time in ("soon", 5, datetime(1500, 1, 1, tzinfo=UTC), BEYOND)],
    "tag": [
        {"tags": ["a"]},
        {"tags": "a"},
        {"tags": {"a": 1}},
        {"tags": {1: "a"}},
        {"tags": {"a": "\ud800"}},
        {"tags": {"a" * 1_001: ""}},
        {"tags": {str(number): "x" * 1_000 for number in range(9)}},
        {"tags": {str(number): "\x00" * 900 for number in range(8)}},  # six characters each, once written
        {"tags": {f"{number:04}": "" for number in range(9_000)}},
    ],
    "reuse": [{"reuse": "sometimes"}, {"reuse": 5}],
}


@pytest.mark.parametrize(
    ("word", "arguments"), [(word, each) for word, several in HOSTILE_STARTS.items() for each in several]
)
async def test_a_start_with_a_hostile_argument_names_it_and_leaves_nothing(client, untouched, word, arguments):
    with pytest.raises((ValueError, TypeError), match=word):
        await client.start_new("f", "mine", LARGE, **arguments)
    untouched()


@pytest.mark.parametrize("name", [*NO_TEXTS, *SURROGATES, "", "f" * 1_001])
async def test_a_hostile_name_of_an_orchestrator(client, untouched, name):
    with pytest.raises((ValueError, TypeError), match="orchestrator"):
        await client.start_new(name, "mine", LARGE)
    untouched()


@pytest.mark.parametrize("instance_id", [*NO_TEXTS[1:], *SURROGATES, "", "x" * 257, "@entity@key"])
async def test_a_hostile_instance_id(client, untouched, instance_id):
    calls = [
        lambda: client.start_new("f", instance_id, LARGE),
        lambda: client.restart(instance_id),
        lambda: client.raise_event(instance_id, "go", LARGE),
        lambda: client.terminate(instance_id, "why"),
        lambda: client.suspend(instance_id, "why"),
        lambda: client.resume(instance_id, "why"),
        lambda: client.rewind(instance_id, "why"),
        lambda: client.wait_for_completion(instance_id, 0),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError, InstanceNotFoundError), match=r"instance|id of an entity"):
            await call()
    if instance_id != "@entity@key":  # asked after as an orchestration, there is none
        for call in (client.get_status, client.purge_instance_history):
            with pytest.raises((ValueError, TypeError), match="instance id"):
                await call(instance_id)
    untouched()


async def test_data_without_a_json_form(client, untouched):
    endless: list = []
    endless.append(endless)
    for data in (
        float("nan"),
        [float("inf")],
        {float("-inf"): 1},
        {(1, 2): 3},
        object(),
        endless,
        nested(600),
        nested(1_000_000),
        10**5_000,
        {"a": {1, float("nan")}},
    ):
        with pytest.raises(DataError, match="the input of orchestration 'f'"):
            await client.start_new("f", "mine", [LARGE, data])
    untouched()
    assert await client.start_new("f", "mine", nested(500)) == "mine"
    assert (await client.get_status("mine", show_input=True)).input_ == nested(500)


@pytest.mark.parametrize("name", [*NO_TEXTS, *SURROGATES, "", "e" * 1_001])
async def test_a_hostile_name_of_an_event(client, storage, name):
    await client.start_new("f", "mine")
    held = contents(storage)
    with pytest.raises((ValueError, TypeError), match="external event's name"):
        await client.raise_event("mine", name, LARGE)
    assert contents(storage) == held


async def test_event_data_without_a_json_form(client, storage):
    await client.start_new("f", "mine")
    held = contents(storage)
    for data in (float("nan"), nested(1_000_000), object()):
        with pytest.raises(DataError, match="the data of event 'go'"):
            await client.raise_event("mine", "go", [LARGE, data])
    assert contents(storage) == held


@pytest.mark.parametrize("reason", [*NO_TEXTS, *SURROGATES, "x" * 4_001])
async def test_a_hostile_reason(client, storage, reason):
    await client.start_new("f", "mine")
    held = contents(storage)
    for command in (client.terminate, client.suspend, client.resume, client.rewind):
        with pytest.raises((ValueError, TypeError), match="the reason of a"):
            await command("mine", reason)
    assert contents(storage) == held


@pytest.mark.parametrize("limit", [float("nan"), "soon", b"1", [1], 1j])
async def test_a_timeout_that_is_none(client, limit):
    await client.start_new("f", "mine")
    for wait in (client.wait_for_completion, client.wait_for_start):
        with pytest.raises((ValueError, TypeError), match="timeout"):
            await wait("mine", limit)


@pytest.mark.parametrize("limit", [-5, 0, timedelta(days=-5), -1e300])
async def test_a_timeout_that_is_over(client, limit):
    await client.start_new("f", "mine")
    with pytest.raises(TimeoutError, match="'mine'"):
        await client.wait_for_completion("mine", limit)


@pytest.mark.parametrize("limit", [float("inf"), 1e300, timedelta.max, 10**400])
async def test_a_timeout_beyond_all_times_waits(hub, limit):
    @hub.orchestrator
    def quick(context):
        return 1

    client = Client(hub.storage, worker=(await hub.add_worker()).engine)
    await client.start_new("quick", "mine")
    assert (await client.wait_for_completion("mine", limit)).output == 1


HOSTILE_QUERIES = {
    "instance_id_prefix": ("prefix", [*NO_TEXTS[1:], *SURROGATES, "x" * 257]),
    "created_time_from": ("created_time_from", ["yesterday", 5, BEYOND]),
    "created_time_to": ("created_time_to", ["yesterday", 5, BEYOND]),
    "runtime_status": ("status", [INJECTIONS[:1], "Running", 5, [5], [None]]),
    "tags": ("tag", [5, ["a"], {"a": 1}, {"a": "\ud800"}]),
}


@pytest.mark.parametrize(
    ("argument", "word", "value"),
    [(argument, word, value) for argument, (word, values) in HOSTILE_QUERIES.items() for value in values],
)
async def test_a_hostile_condition_of_a_query(client, argument, word, value):
    await client.start_new("f", "mine")
    with pytest.raises((ValueError, TypeError), match=word):
        await client.get_status_by(**{argument: value})
    with pytest.raises((ValueError, TypeError), match=word):
        await client.get_all_orchestration_states(OrchestrationQuery(**{argument: value}))
    if argument != "instance_id_prefix":
        with pytest.raises((ValueError, TypeError), match=word):
            await client.purge_instance_history_by(**{argument: value})


async def test_hostile_pages(client):
    for top in (0, -1, 1_001, "x", 1.5, None, True):
        with pytest.raises((ValueError, TypeError), match="page"):
            await client.query(top=top)
    for continuation in ("", "zzz", "=", "\ud800", "x" * 100_000, 5, b"abc", INJECTIONS[0]):
        with pytest.raises((ValueError, TypeError), match="continuation"):
            await client.query(continuation=continuation)
    for query in ("all", 5, {}, InstanceQuery(kind="x' or true or 'x"), InstanceQuery(id_prefix=5)):
        with pytest.raises((ValueError, TypeError), match=r"query|kind|prefix"):
            await client.query(query)
    with pytest.raises(TypeError, match="OrchestrationQuery"):
        await client.get_all_orchestration_states("all")


async def test_what_has_not_ended_is_not_purged_whatever_it_is_called(client, untouched):
    for statuses in (["Running"], ["Completed", "Pending"]):
        with pytest.raises(ValueError, match="have not ended"):
            await client.purge_instance_history_by(runtime_status=statuses)
    untouched()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(instance_id=texts, name=texts, tag=texts, event=texts, reason=texts)
async def test_texts_of_any_kind_are_taken_as_they_are_or_refused_without_effect(instance_id, name, tag, event, reason):
    storage = MemoryStorage(new_hub())
    await storage.create()
    await storage.create_queue(f"{storage.hub.lower()}-control")
    client, held = Client(storage), contents(storage)
    try:
        await client.start_new(name, instance_id, {"text": reason, "large": LARGE}, tags={tag: event})
    except (ValueError, TypeError):
        assert contents(storage) == held
        return
    status = await client.get_status(instance_id, show_input=True)
    assert (status.instance_id, status.name, status.tags) == (instance_id, name, {tag: event})
    assert status.input_ == {"text": reason, "large": LARGE}
    found = await client.get_status_by(instance_id_prefix=instance_id, tags={tag: event})
    assert [each.instance_id for each in found] == [instance_id]
    for number, send in enumerate(
        (lambda: client.raise_event(instance_id, event, LARGE), lambda: client.terminate(instance_id, reason)), 1
    ):
        held = contents(storage)
        try:
            await send()
        except (ValueError, TypeError):
            assert contents(storage) == held, number


@pytest.mark.parametrize("instance_id", [*INJECTIONS, *PATHS])
async def test_ids_that_mean_something_elsewhere_are_ids_like_others(client, instance_id):
    await client.start_new("f", instance_id, LARGE)
    await client.start_new("f", "other")
    assert (await client.get_status(instance_id, show_input=True)).input_ == LARGE
    assert [each.instance_id for each in await client.get_status_by(instance_id_prefix=instance_id)] == [instance_id]


async def test_a_start_that_waits_in_vain_for_its_predecessor_leaves_no_payload(storage):
    class Hurried:
        """A clock on which nobody waits."""

        time = datetime(2026, 3, 1, tzinfo=UTC)

        def now(self):
            return self.time

        async def sleep(self, seconds):
            self.time += timedelta(seconds=max(seconds, 1))

    client = Client(storage, clock=Hurried())
    await client.start_new("f", "mine")
    await storage.merge("mine", (row := await storage.read("mine")).etag, _running(row))
    payloads = await storage.list_payloads("mine")
    with pytest.raises(TimeoutError, match="'mine'"):
        await client.start_new("f", "mine", LARGE, reuse="AnyState")
    assert await storage.list_payloads("mine") == payloads


def _running(row):
    return RowUpdate(updated_at=row.instance.updated_at, commit="c1", status="Running")
