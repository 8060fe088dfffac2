"""What entities send and start, and what becomes of them when data are large, code is missing, or operations kill."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from perdure.client import Client
from perdure.core.codec import encode_message
from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.messages import Operate
from perdure.core.streams import Place
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings

LARGE = "x" * 100_000


class Log(DurableEntity):
    """Keeps what it is told."""

    state: list

    def note(self, what):
        self.state.append(what)
        return len(self.state)

    def pass_on(self, count):
        for number in range(count):
            self.signal_entity(EntityId("log", "other"), "note", number)
        self.state.append("passed on")

    def later(self, what):
        when = self.entity_context.current_utc_datetime + timedelta(seconds=1)
        self.signal_entity(self.entity_id, "note", what, when)
        self.state.append("later")

    def begin(self, value):
        self.state.append(self.schedule_new_orchestration("answering", value, f"begun-{len(value)}"))

    def read(self):
        return self.state

    def fail(self):
        self.signal_entity(EntityId("log", "other"), "note", "never")
        self.schedule_new_orchestration("answering", "x", "never")
        raise ValueError("no")


@pytest.fixture
def entities(hub):
    hub.registry.entities.add("log", EntityDefinition(Log))

    @hub.orchestrator
    def answering(context):
        context.signal_entity(EntityId("log", "a"), "note", ["answer", len(context.get_input())])
        return context.get_input()

    return hub


async def reads(hub, key="a"):
    return (await Client(hub.storage).read_entity_state(EntityId("log", key))).entity_state or []


async def reaches(hub, condition, key="a"):
    async with asyncio.timeout(30):
        while not condition(state := await reads(hub, key)):
            await asyncio.sleep(0.02)
    return state


async def test_signals_of_an_entity_arrive_in_order(entities):
    await entities.add_worker()
    await entities.add_worker()
    client = Client(entities.storage)
    for _ in range(3):
        await client.signal_entity(EntityId("log", "a"), "pass_on", 10)
    assert await reaches(entities, lambda state: len(state) == 30, "other") == [*range(10)] * 3


async def test_a_delayed_signal_comes_at_its_time(entities):
    await entities.add_worker()
    client = Client(entities.storage)
    began = datetime.now(UTC)
    await client.signal_entity(EntityId("log", "a"), "note", "at", signal_time=began + timedelta(seconds=1))
    await client.signal_entity(EntityId("log", "a"), "later", "again")
    state = await reaches(entities, lambda state: len(state) == 3)
    assert datetime.now(UTC) - began >= timedelta(seconds=1)
    assert state[0] == "later"
    assert sorted(state[1:]) == ["again", "at"]
    await entities.quiet()


async def test_entities_start_orchestrations(entities):
    await entities.add_worker()
    client = Client(entities.storage)
    for value in ("five!", LARGE):
        await client.signal_entity(EntityId("log", "a"), "begin", value)
        assert await entities.output_of(f"begun-{len(value)}") == value
    state = await reaches(entities, lambda state: len(state) == 4)
    assert ["answer", len(LARGE)] in state
    await entities.quiet()


async def test_what_fails_sends_and_starts_nothing(entities):
    await entities.add_worker()
    client = Client(entities.storage)
    await client.signal_entity(EntityId("log", "a"), "fail")
    await client.signal_entity(EntityId("log", "a"), "note", "after")
    assert await reaches(entities, bool) == ["after"]
    assert await entities.storage.read_instance("never") is None
    assert await reads(entities, "other") == []


async def test_large_inputs_results_and_states(entities):
    @entities.orchestrator
    def flow(context):
        yield context.call_entity(EntityId("log", "a"), "note", LARGE)
        context.signal_entity(EntityId("log", "a"), "note", LARGE)
        return (yield context.call_entity(EntityId("log", "a"), "read"))

    await entities.add_worker()
    assert await entities.output(await entities.start("flow")) == [LARGE, LARGE]
    await entities.quiet()
    assert len(await entities.storage.list_payloads("@log@a")) == 1, "only the present state is kept"
    await Client(entities.storage).delete_entity(EntityId("log", "a"))
    async with asyncio.timeout(30):
        while await entities.storage.list_payloads("@log@a"):
            await asyncio.sleep(0.02)


async def test_more_waits_than_a_row_can_hold(entities):
    draw = random.Random(5)

    @entities.orchestrator
    def holder(context):
        with (yield context.lock_entities([EntityId("log", "a")])):
            yield context.wait_for_external_event("go")

    await entities.add_worker()
    holding = await entities.start("holder")
    await entities.reaches("@log@a", lambda instance: instance.custom_status is not None)
    client = Client(entities.storage)
    for number in range(150):
        await client.signal_entity(EntityId("log", "a"), "note", [number, draw.randbytes(500).hex()])
    await entities.reaches("@log@a", lambda instance: json.loads(instance.custom_status).get("queueSize") == 150)
    async with asyncio.timeout(30):  # the record of the commit before goes after the commit
        while len(await entities.storage.list_segments("@log@a")) != 1:
            await asyncio.sleep(0.02)
    await entities.raise_event(holding, "go")
    state = await reaches(entities, lambda state: len(state) == 150)
    assert [number for number, _ in state] == list(range(150))
    await entities.quiet()
    assert await entities.storage.list_segments("@log@a") == []


async def test_the_order_outlives_continue_as_new(entities):
    entities.settings = EngineSettings(reorder_window=2)

    @entities.orchestrator
    def flow(context):
        number = context.get_input()
        for part in range(3):
            context.signal_entity(EntityId("log", "a"), "note", 3 * number + part)
        if number < 9:
            context.continue_as_new(number + 1)
            return None
        return (yield context.call_entity(EntityId("log", "a"), "read"))

    await entities.add_worker()
    await entities.add_worker()
    assert await entities.output(await entities.start("flow", 0)) == list(range(30))
    await entities.quiet()


async def test_an_entity_that_a_deployment_brings_later_is_waited_for(entities):
    @entities.orchestrator
    def flow(context):
        return (yield context.call_entity(EntityId("newer", "a"), "note", 5))

    entities.settings = EngineSettings(blocked_delay=0.2)
    old = Registry()
    old.orchestrators.add("flow", flow)
    first = await entities.add_worker(old)
    instance_id = await entities.start("flow")
    await entities.turns(instance_id, 1)
    await asyncio.sleep(0.1)
    newer = old.copy()
    newer.entities.add("newer", EntityDefinition(Log))
    await entities.add_worker(newer)
    await first.stop()
    assert await entities.output(instance_id) == 1
    await entities.quiet()


async def test_the_log_says_where_an_operation_failed(entities, caplog):
    """A signal's sender hears nothing: the log is all there is."""
    await entities.add_worker()
    client = Client(entities.storage)
    await client.signal_entity(EntityId("log", "a"), "fail")
    await client.signal_entity(EntityId("log", "a"), "flail")
    await client.signal_entity(EntityId("log", "a"), "note", 1)
    await reaches(entities, bool)
    failed, unknown = (each.message for each in caplog.records if each.name == "perdure.entities")
    first, *_, code = failed.splitlines()
    assert first == "operation 'fail' of entity '@log@a' failed: ValueError: no"
    assert code.strip() == 'raise ValueError("no")'
    assert "has no operation 'flail'" in unknown
    assert "Traceback" not in unknown


async def test_the_log_says_what_to_do_about_an_entity_that_is_not_there(entities, caplog):
    await entities.add_worker(unknown_function_timeout=0.1, blocked_delay=0.1)
    client = Client(entities.storage)
    await client.signal_entity(EntityId("lgo", "a"), "note", 5)
    while len(caplog.messages) < 2:
        await asyncio.sleep(0.01)
    put_back, failed = caplog.messages
    assert put_back == (
        "entity '@lgo@a': no entity function is named 'lgo'; this app has: 'log'. What is asked of it (1) is put back "
        "for 0.1 s: deploy it, or it will fail 0.1 s after it came"
    )
    assert failed.startswith("operation 'note' of entity '@lgo@a' failed: ")


async def test_an_entity_that_no_deployment_brings_fails_its_callers(entities):
    @entities.orchestrator
    def flow(context):
        yield context.call_entity(EntityId("lgo", "a"), "note", 5)

    await entities.add_worker(unknown_function_timeout=0.1, blocked_delay=0.1)
    failed = await entities.ended(await entities.start("flow"))
    assert "no entity function is named 'lgo'; this app has: 'log'" in failed.output


async def test_an_operation_that_ends_its_process_fails_and_the_next_ones_go_on(entities):
    @entities.orchestrator
    def flow(context):
        yield context.wait_for_external_event("never")

    worker = await entities.add_worker()
    instance_id = await entities.start("flow")
    await entities.turns(instance_id, 1)
    execution = (await entities.storage.read_instance(instance_id)).execution_id
    place = Place(f"{execution}.0/0", 0)
    killer = Operate(to="@log@a", id=str(place), place=place, operation="note", input='"killer"')
    client = Client(entities.storage)
    await client.signal_entity(EntityId("log", "a"), "note", "before")
    await reaches(entities, bool)
    await worker.engine.handle_poisoned_control(encode_message(killer), "m1")
    await client.signal_entity(EntityId("log", "a"), "note", "after")
    assert await reaches(entities, lambda state: len(state) == 2) == ["before", "after"]
    await worker.engine.handle_control(encode_message(killer), "m2")
    assert await reads(entities) == ["before", "after"], "it has been dealt with"


async def test_an_idle_entity_expires(entities):
    entities.registry.entities.add("short", EntityDefinition(Log, timedelta(seconds=2)))
    await entities.add_worker()
    client = Client(entities.storage)
    entity = EntityId("short", "a")
    await client.signal_entity(entity, "note", 1)
    await entities.reaches(str(entity), lambda instance: instance.output is not None)
    await asyncio.sleep(1)
    await client.signal_entity(entity, "note", 2)
    await entities.reaches(str(entity), lambda instance: instance.output == "[1,2]")
    touched = (await entities.storage.read_instance(str(entity))).updated_at
    await entities.reaches(str(entity), lambda instance: instance.output is None)
    assert datetime.now(UTC) - touched >= timedelta(seconds=2)
