"""Entities in a whole app in memory; histories that hold what was asked of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel

import perdure_functions as df
from perdure.errors import DataError
from perdure.testing import AppHarness, HistoryDiffers, StuckError, assert_replays

app = df.DFApp()


@app.entity_trigger(context_name="context")
def tally(context: df.DurableEntityContext):
    context.set_state(context.get_state(lambda: 0) + (context.get_input() or 1))
    if context.get_state() == 3:
        context.signal_entity(df.EntityId("Note", "three"), "write", {"text": "three"})
        context.start_new_orchestration("celebrate", instance_id="party")
    return context.get_state()


class Text(BaseModel):
    text: str = ""


@app.entity_trigger(context_name="context", expires_after=timedelta(days=1))
class Note(df.DurableEntity):
    state: Text

    async def write(self, text: Text) -> Text:
        self.state = text
        return text

    def read(self) -> Text:
        return self.state


@app.orchestration_trigger(context_name="context")
def celebrate(context):
    return (yield context.call_entity("@note@three", "read")).text


@app.orchestration_trigger(context_name="context")
async def count_together(context):
    entities = [df.EntityId("tally", name) for name in ("a", "b")]
    context.signal_entity(entities[0], "add", 10)
    async with context.lock_entities(entities):
        return await context.call_entity(entities[0], "add") + await context.call_entity(entities[1], "add")


TALLY, NOTE = df.EntityId("tally", "a"), df.EntityId("note", "n")


@pytest.fixture
def harness():
    with AppHarness(app) as harness:
        yield harness


def test_signals_and_states(harness):
    assert harness.entity_state(TALLY) is None
    for _ in range(3):
        harness.signal_entity(TALLY, "add")
    assert harness.entity_state(TALLY) == 3
    assert harness.entity_state(df.EntityId("Note", "three"), Text) == Text(text="three")
    assert harness.wait("party").output == "three"


def test_a_state_that_does_not_fit(harness):
    harness.signal_entity("@tally@a", "add")
    with pytest.raises(DataError, match="the state of entity '@tally@a'"):
        harness.entity_state(TALLY, Text)


def test_delayed_signals(harness):
    harness.signal_entity(TALLY, "add", 5, signal_time=timedelta(hours=2))
    harness.signal_entity(TALLY, "add", 6, signal_time=harness.now + timedelta(hours=1))
    assert harness.entity_state(TALLY) is None
    harness.skip(timedelta(hours=1))
    assert harness.entity_state(TALLY) == 6
    harness.skip(timedelta(hours=1, seconds=1))
    assert harness.entity_state(TALLY) == 11


def test_entities_expire(harness):
    harness.signal_entity(NOTE, "write", {"text": "short"})
    harness.skip(timedelta(hours=23))
    harness.signal_entity(NOTE, "write", {"text": "longer"})
    harness.skip(timedelta(hours=23))
    assert harness.entity_state(NOTE) == {"text": "longer"}
    harness.skip(timedelta(hours=2))
    assert harness.entity_state(NOTE) is None


def test_orchestrations_and_their_histories(harness, tmp_path):
    together = harness.start(count_together)
    assert harness.wait(together).output == 12
    path = tmp_path / "together.json"
    harness.history(together).save(path)
    assert_replays(path, app)

    async def without_signal(context):
        async with context.lock_entities(["@tally@a"]):
            pass

    with pytest.raises(HistoryDiffers, match="history records signal 'add' to entity '@tally@a'"):
        assert_replays(path, without_signal)


@pytest.mark.parametrize(
    ("asks", "why"),
    [
        (lambda context: context.call_entity("@tally@a", "sub"), "records a call of 'add' of entity '@tally@a' (#0)"),
        (lambda context: context.call_entity("@tally@b", "add"), "asks for a call of 'add' of entity '@tally@b' (#0)"),
        (lambda context: context.lock_entities(["@tally@a"]), "asks for a lock of @tally@a (#0)"),
    ],
)
def test_other_code_differs(asks, why):
    def calls(context):
        return (yield context.call_entity("@tally@a", "add", 5))

    def other(context):
        yield asks(context)

    with AppHarness(app, orchestrators=[calls]) as harness:
        instance = harness.start(calls)
        assert harness.wait(instance).output == 5
        with pytest.raises(HistoryDiffers) as raised:
            assert_replays(harness.history(instance), other)
        assert why in raised.value.why
        assert_replays(harness.history(instance), calls)


def test_a_terminated_critical_section_replays_and_gives_its_locks_back():
    def holder(context):
        with (yield context.lock_entities([TALLY])):
            yield context.wait_for_external_event("never")

    with AppHarness(app, orchestrators=[holder]) as harness:
        held = harness.start(holder)
        other = harness.start(count_together)
        assert harness.status(other).runtime_status == "Running"
        harness.run(lambda client: client.terminate(held, "enough"))
        assert harness.wait(other).output == 12
        assert_replays(harness.history(held), holder)


def test_waiting_for_a_lock_that_nobody_gives_back():
    def holder(context):
        with (yield context.lock_entities([TALLY])):
            yield context.wait_for_external_event("never")

    def caller(context):
        yield context.call_entity(TALLY, "add")

    def second(context):
        yield context.lock_entities([TALLY, NOTE])

    with AppHarness(app, orchestrators=[holder, caller, second]) as harness:
        harness.start(holder, instance_id="holds")
        harness.start(caller, instance_id="calls")
        harness.start(second, instance_id="locks")
        with pytest.raises(StuckError) as raised:
            harness.wait("calls")
        assert "instance 'calls' ('caller') waits for operation 'add' of entity '@tally@a'" in str(raised.value)
        assert "instance 'locks' ('second') waits for a lock of @note@n, @tally@a" in str(raised.value)
        assert "instance 'holds' ('holder') waits for external event 'never'" in str(raised.value)


def test_entities_are_replaced(harness):
    class Fixed(df.DurableEntity):
        def add(self) -> int:
            return 40

    harness.replace(tally, Fixed)
    assert harness.wait(harness.start(count_together)).output == 80

    def by_name(context):
        context.set_result(2)

    harness.replace("Tally", by_name)
    assert harness.wait(harness.start(count_together)).output == 4
    harness.replace(Note, by_name)
    harness.signal_entity(NOTE, "write")
    with AppHarness(app, entities={tally: Fixed}) as other:
        assert other.wait(other.start(count_together)).output == 80
    with AppHarness(app) as unchanged:
        assert unchanged.wait(unchanged.start(count_together)).output == 12


def test_what_replaces_an_entity_keeps_its_expiry(harness):
    def kept(context):
        context.set_state(1)

    harness.replace(Note, kept)
    harness.signal_entity(NOTE, "write")
    assert harness.entity_state(NOTE) == 1
    harness.skip(timedelta(days=1, seconds=5))
    assert harness.entity_state(NOTE) is None


def test_plain_entities_without_an_app():
    def counter(context):
        context.set_state(context.get_state(lambda: 0) + 1)

    with AppHarness(entities=[counter]) as harness:
        harness.signal_entity("@counter@a", "any")
        assert harness.entity_state("@counter@a") == 1


def test_operations_may_use_threads():
    async def careful(context):
        if context.operation_name == "fail":
            await asyncio.to_thread(int, "no number")
        context.set_state(await asyncio.to_thread(int, "7"))

    with AppHarness(entities=[careful]) as harness:
        for operation in ("work", "fail"):
            harness.signal_entity("@careful@a", operation)
        assert harness.entity_state("@careful@a") == 7


def test_what_is_no_entity(harness):
    with pytest.raises(TypeError, match="an entity is a function or a class, not int"):
        harness.replace(tally, 3)


async def test_in_an_async_test(harness):
    harness.signal_entity(TALLY, "add", 2)
    assert harness.entity_state(TALLY) == 2
