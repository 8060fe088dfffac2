"""Entities: operations, signals, order, failures, effects."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from perdure.client import Client
from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.failure import TaskFailedError
from perdure.errors import InstanceEndedError


def counter(context):
    match context.operation_name:
        case "add":
            context.set_state(context.get_state(lambda: 0) + context.get_input())
            context.set_result(context.get_state())
        case "get":
            context.set_result(context.get_state(lambda: 0))
        case "break":
            context.set_state(-1)
            context.signal_entity(EntityId("counter", "other"), "add", 1)
            raise ValueError("broken on purpose")
        case "reset":
            context.destruct_on_exit()


class Account(DurableEntity):
    state: int = 0

    def deposit(self, amount: int) -> int:
        self.state += amount
        return self.state

    async def withdraw(self, amount: int) -> int:
        if amount > self.state:
            raise ValueError("not enough money")
        self.state -= amount
        return self.state

    def balance(self) -> int:
        return self.state


@pytest.fixture
def entities(hub):
    hub.registry.entities.add("counter", EntityDefinition(counter))
    hub.registry.entities.add("Account", EntityDefinition(Account))
    return hub


async def state_of(hub, entity_id):
    instance = await hub.storage.read_instance(str(entity_id))
    if instance is None:
        return None
    text = await hub.engine.payloads.text(str(entity_id), instance.output)
    return None if text is None else json.loads(text)


async def test_calls_and_signals(entities):
    hub = entities

    @hub.orchestrator
    def flow(context):
        entity = EntityId("Counter", "a")
        context.signal_entity(entity, "add", 5)
        context.signal_entity(entity, "add", 6)
        seen = yield context.call_entity(entity, "add", 10)
        return [seen, (yield context.call_entity(entity, "get"))]

    await hub.add_worker()
    assert await hub.output(await hub.start("flow")) == [21, 21]
    assert await state_of(hub, EntityId("counter", "a")) == 21
    await hub.quiet()


async def test_an_operation_that_raises_changes_nothing_and_fails_its_caller_only(entities):
    hub = entities

    @hub.orchestrator
    def flow(context):
        entity = EntityId("counter", "a")
        context.signal_entity(entity, "add", 5)
        broken = context.call_entity(entity, "break")
        after = context.call_entity(entity, "add", 1)
        try:
            yield broken
        except TaskFailedError as error:
            return [str(error), (yield after)]

    await hub.add_worker()
    message, after = await hub.output(await hub.start("flow"))
    assert "broken on purpose" in message
    assert "'break' of '@counter@a'" in message
    assert after == 6
    assert await state_of(hub, EntityId("counter", "other")) is None
    await hub.quiet()


async def test_a_critical_section(entities):
    hub = entities
    accounts = [EntityId("account", name) for name in "ba"]

    @hub.orchestrator
    async def transfer(context):
        source, target = accounts
        async with context.lock_entities(accounts):
            assert context.is_in_critical_section
            await context.call_entity(source, "withdraw", 10)
            await context.call_entity(target, "deposit", 10)
        assert not context.is_in_critical_section
        return await context.call_entity(source, "balance")

    @hub.orchestrator
    def fill(context):
        yield context.call_entity(accounts[0], "deposit", 100)

    await hub.add_worker()
    await hub.output(await hub.start("fill"))
    await asyncio.gather(*[hub.output(await hub.start("transfer", instance_id=f"t{n}")) for n in range(5)])
    assert await state_of(hub, accounts[0]) == 50
    assert await state_of(hub, accounts[1]) == 50
    await hub.quiet()


async def test_a_lock_ends_with_its_orchestration(entities):
    hub = entities
    account = EntityId("account", "a")

    @hub.orchestrator
    def holder(context):
        yield context.lock_entities([account])
        if context.get_input() == "fail":
            raise ValueError("in the middle")
        yield context.create_timer(timedelta(hours=1))

    @hub.orchestrator
    def user(context):
        return (yield context.call_entity(account, "deposit", 1))

    await hub.add_worker()
    await hub.ended(await hub.start("holder", "fail"))
    assert await hub.output(await hub.start("user")) == 1
    held = await hub.start("holder")
    await hub.reaches(str(account), lambda instance: instance.custom_status is not None)
    waiting = await hub.start("user")
    await hub.reaches(str(account), lambda instance: "queueSize" in (instance.custom_status or ""))
    await hub.terminate(held, "enough")
    assert await hub.output(waiting) == 2


async def test_what_failed_inside_a_critical_section_is_not_rewound(entities):
    hub = entities
    account = EntityId("account", "a")

    @hub.orchestrator
    def child(context):
        with (yield context.lock_entities([account])):
            yield context.call_entity(account, "deposit", 1)
            yield context.call_entity(account, "withdraw", 100)

    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("child"))

    await hub.add_worker()
    failed = await hub.start("child")
    await hub.ended(failed)
    client = Client(hub.storage)
    with pytest.raises(InstanceEndedError, match="inside a critical section"):
        await client.rewind(failed, "again")
    await hub.send_rewind(failed, "r")
    above = await hub.start("parent")
    await hub.ended(above)
    before = await hub.storage.read_instance(above)
    await client.rewind(above, "again")
    after = await hub.reaches(above, lambda now: now.commit != before.commit and now.status == "Failed")
    assert "not enough money" in after.output
    assert (await hub.storage.read_instance(failed)).status == "Failed"
    await hub.quiet()
