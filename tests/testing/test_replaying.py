"""Recorded histories against today's code."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

import perdure_functions as df
from perdure.core.history import Turn
from perdure.engine.settings import EngineSettings
from perdure.errors import DataError, InstanceNotFoundError, NonDeterminismError
from perdure.storage.protocol import PayloadMissing
from perdure.testing import (
    AppHarness,
    HistoryDiffers,
    RecordedHistory,
    assert_replays,
    outcomes,
    record_history,
    run_orchestrator,
)

LARGE = "x" * 50_000

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def ship(context: df.OrchestrationContext):
    label = yield context.call_activity("label", context.get_input())
    yield context.wait_for_external_event("go")
    yield context.create_timer(timedelta(hours=1))
    return label


def shipping_otherwise(context):
    yield context.call_activity("weigh", context.get_input())


def shipping_more(context):
    label = yield context.call_activity("label", context.get_input())
    yield context.wait_for_external_event("go")
    if context.patched("insurance"):
        yield context.call_activity("insure", label)
    yield context.create_timer(timedelta(hours=1))
    return label


def shipping_insured(context):
    label = yield context.call_activity("label", context.get_input())
    yield context.wait_for_external_event("go")
    yield context.call_activity("insure", label)


def shipping_badly(context):
    yield context.call_activity("label", context.get_input())
    raise KeyError("total")


@pytest.fixture
def harness():
    with AppHarness(app, activities={"label": lambda what: what + " label", "insure": None}) as harness:
        yield harness


@pytest.fixture
def shipped(harness):
    """A history that has got to its timer, with payloads that don't fit a row."""
    instance = harness.start(ship, LARGE, instance_id="one")
    harness.raise_event(instance, "go", LARGE)
    return harness.history(instance)


def test_the_same_code_replays(shipped):
    assert_replays(shipped, ship)
    assert_replays(shipped, app)
    assert_replays(shipped, app.registry())
    assert len(shipped.payloads) == 4  # the inputs of orchestrator and activity, a result, the data of an event


def test_a_file_holds_everything(shipped, tmp_path):
    path = tmp_path / "one.json"
    shipped.save(path)
    assert RecordedHistory.load(path) == shipped
    assert_replays(path, ship)
    assert_replays(str(path), ship)
    content = json.loads(path.read_text())
    assert (content["format"], content["format_version"]) == ("perdure-history", 1)
    assert content["instance"]["name"] == "ship"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            shipping_otherwise,
            (
                "in turn 1 (2026-01-01 00:00:00 UTC) history records activity 'label' (#0), but the code now asks for "
                "activity 'weigh' (#0)"
            ),
        ),
        (
            shipping_insured,
            (
                "in turn 3 (2026-01-01 00:00:00 UTC) history records a timer (#1), but the code now asks for activity "
                "'insure' (#1)"
            ),
        ),
        (
            shipping_badly,
            (
                "in turn 2 (2026-01-01 00:00:00 UTC) history records nothing, but the code now asks for its end "
                "(Failed: KeyError: 'total')"
            ),
        ),
    ],
)
def test_other_code_differs(shipped, code, why):
    with pytest.raises(AssertionError) as caught:
        assert_replays(shipped, code)
    assert isinstance(caught.value, HistoryDiffers)
    assert caught.value.why == why
    assert str(caught.value).startswith(f"instance 'one' ('ship') does not replay with this code: {why}. Keep the old")
    assert isinstance(caught.value.__cause__, NonDeterminismError)


def test_a_patch_lets_old_histories_pass(shipped):
    assert_replays(shipped, shipping_more)


def test_a_name_that_is_gone(shipped):
    with pytest.raises(HistoryDiffers, match=r"instance 'one' .* can't go on: no .* is named 'ship'"):
        assert_replays(shipped, df.DFApp())


def test_a_run_alone_has_a_history(tmp_path):
    run = run_orchestrator(ship, "tea", activities={"label": "l"}, events=["go"])
    assert_replays(run.history, shipping_more)
    with pytest.raises(HistoryDiffers):
        assert_replays(run.history, shipping_insured)
    run.history.save(tmp_path / "run.json")
    assert_replays(tmp_path / "run.json", ship)


def test_a_generation_that_began_suspended_and_with_events(harness):
    def counting(context):
        count = context.get_input()
        yield context.wait_for_external_event("next")
        yield context.create_timer(timedelta(hours=1))
        context.continue_as_new(count + 1)

    harness.replace(ship, counting)
    one = harness.start(ship, 0)
    harness.raise_event(one, "next", 1)
    harness.raise_event(one, "next", 2)
    harness.run(lambda client: client.suspend(one, "a pause"))
    harness.skip(timedelta(hours=2))
    paused = harness.history(one)
    harness.run(lambda client: client.resume(one, "go on"))
    resumed = harness.history(one)
    assert (resumed.instance.generation, len(resumed.waiting_events)) == (1, 1)
    assert resumed.carried
    for history in (paused, resumed):
        assert RecordedHistory.from_json(history.to_json()) == history
        assert_replays(history, counting)
    with pytest.raises(HistoryDiffers):
        assert_replays(resumed, shipping_otherwise)


def test_a_child_knows_its_parent(harness):
    def parent(context):
        return (yield context.call_sub_orchestrator(ship, "tea", instance_id="child"))

    def child(context):
        yield context.call_activity("label", context.parent_instance_id)
        yield context.wait_for_external_event("go")

    harness.replace("parent_of_one", parent)
    harness.replace(ship, child)
    harness.start("parent_of_one", instance_id="parent")
    history = harness.history("child")
    assert history.parent.instance_id == "parent"
    assert_replays(RecordedHistory.from_json(history.to_json()), child)


@pytest.mark.parametrize("end", ["terminated", "failed", "rewound", "completed"])
def test_ended_and_rewound_instances_replay(harness, end):
    one = harness.start(ship, "tea")
    if end == "terminated":
        harness.run(lambda client: client.terminate(one, "enough"))
    if end in ("failed", "rewound"):
        harness.replace("label", outcomes(ValueError("no paper"), "label"))
        one = harness.start(ship, "tea")
    if end == "rewound":
        harness.run(lambda client: client.rewind(one, "paper is there"))
    if end in ("completed", "rewound"):
        harness.raise_event(one, "go")
        assert harness.wait(one).output.endswith("label")
    history = harness.history(one)
    assert history.instance.status == ("Completed" if end == "rewound" else end.capitalize())
    assert_replays(history, ship)
    with pytest.raises(HistoryDiffers):
        assert_replays(history, shipping_otherwise)


def test_an_end_that_the_engine_decided_is_no_difference():
    """The code changed under a running instance, and the engine was told to fail it."""
    settings = EngineSettings(fail_on_non_determinism=True, cached_sessions=0)
    with AppHarness(app, activities={"label": "label"}, settings=settings, check_replay=False) as harness:
        one = harness.start(ship, "tea")
        harness.replace(ship, shipping_otherwise)
        harness.start(ship, "coffee")  # which pushes the first one out of memory
        harness.raise_event(one, "go")
        assert "history and code of orchestrator 'ship' differ" in harness.wait(one).output
        history = harness.history(one)
    assert_replays(history, ship)


def test_take_overs_are_no_turns_of_the_orchestrator(shipped):
    record = Turn("c", "s", 0, shipped.turns[-1].at, ["m"], [], [], [])
    assert_replays(msgspec.structs.replace(shipped, turns=[shipped.turns[0], record, *shipped.turns[1:]]), ship)


# ---- reading and recording -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no recorded history"),
        ('{"format": "other", "format_version": 1}', "is no recorded history"),
        ('{"format": "perdure-history", "format_version": 2}', "was recorded by a newer Perdure"),
        ('{"format": "perdure-history", "format_version": 1}', "can't be read as a recorded history"),
    ],
)
def test_what_is_no_history(tmp_path, text, complaint):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint) as caught:
        RecordedHistory.load(path)
    assert "bad.json" in str(caught.value)


def test_an_instance_that_is_not_there(harness):
    with pytest.raises(InstanceNotFoundError, match="there is no instance 'nobody' in task hub 'harness'"):
        harness.run(lambda client: record_history(client.storage, "nobody"))


def test_recording_while_the_instance_moves_on(harness):
    """A payload is gone by the time it is asked for; the row is read again."""
    one = harness.start(ship, LARGE)
    storage = harness.client.storage
    read, missing = storage.get_payload, ["once"]

    async def get_payload(instance_id, payload_id):
        if missing:
            missing.pop()
            raise PayloadMissing("gone")
        return await read(instance_id, payload_id)

    storage.get_payload = get_payload
    assert_replays(harness.history(one), ship)
    missing += ["always"] * 100
    with pytest.raises(PayloadMissing):
        harness.history(one)
