"""What type checkers infer; `make lint` checks this file."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any, assert_type

from agent_framework import AgentResponse

import perdure_functions as df

app = df.DFApp()


@app.activity_trigger(input_name="order")
def price(order: dict[str, int]) -> int:
    return sum(order.values())


@app.activity_trigger(input_name="order")
async def ship(order: dict[str, int]) -> str:
    return "ship" * len(order)


@app.orchestration_trigger(context_name="context")
async def place(context: df.OrchestrationContext) -> str:
    assert_type(context.call_activity(price, {}), df.Task[int])
    assert_type(await context.call_activity(price, {}), int)
    assert_type(await context.call_activity(ship, {}, retry_policy=df.RetryPolicy(timedelta(seconds=1), 3)), str)
    assert_type(await context.call_activity("price", {}), Any)
    assert_type(context.patched("p"), bool)
    assert_type(context.new_uuid(), str)
    await context.create_timer(timedelta(seconds=1))
    return "placed"


@app.orchestration_trigger(context_name="context")
def plain(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    total: int = yield context.call_activity(price, {})
    return total


@app.entity_trigger(context_name="context", expires_after=timedelta(days=1))
class Counter(df.DurableEntity):
    state: int = 0

    async def add(self, amount: int) -> int:
        self.state += amount
        return self.state

    def read(self) -> str:
        assert_type(self.get_state(int, 0), int)
        assert_type(self.get_state(int), int | None)
        assert_type(self.entity_context, df.DurableEntityContext)
        assert_type(self.schedule_new_orchestration("place"), str)
        return f"{self.entity_id.key}: {self.state}"


@app.entity_trigger(context_name="context")
def tally(context: df.DurableEntityContext, amount: int) -> int:
    assert_type(context.operation_name, str)
    return amount


assert_type(Counter.durable_name, str)
assert_type(tally.durable_name, str)


@app.orchestration_trigger(context_name="context")
async def count(context: df.OrchestrationContext) -> int:
    counter = context.entity(Counter, "k")
    assert_type(counter, Counter)
    assert_type(await counter.add(5), int)
    assert_type(await context.entity(Counter, "k").add(5), int)
    async with context.lock_entities([df.EntityId("Counter", "k")]) as lock:
        assert_type(lock, df.EntityLock)
    assert_type(context.is_in_critical_section, bool)
    assert_type(context.locked_entities, list[df.EntityId])
    context.signal_entity("@counter@k", "add", 1)
    assert_type(context.call_entity(df.EntityId("Counter", "k"), "add", 5), df.Task[Any])
    return 0


async def entities(client: df.DurableOrchestrationClient) -> None:
    counter = df.EntityId("Counter", "k")
    assert_type(await client.read_entity_state(counter, expected_type=int), df.EntityStateResponse)
    assert_type(await client.get_entity(counter), df.EntityMetadata | None)
    assert_type([each.id for each in await client.list_entities("Counter")], list[df.EntityId])
    assert_type(await client.clean_entity_storage(), df.CleanEntityStorageResult)


async def client(client: df.DurableOrchestrationClient) -> None:
    assert_type(await client.start_new(place), str)
    status = await client.get_status("id")
    assert_type(status, df.DurableOrchestrationStatus)
    assert_type(status.runtime_status, df.OrchestrationRuntimeStatus | None)


def sync(client: df.SyncDurableFunctionsClient) -> None:
    assert_type(client.start_new("place"), str)


agents = df.agents.AgentFunctionApp()


@agents.orchestration_trigger(context_name="context")
async def ask_agents(context: df.OrchestrationContext) -> str:
    writer = agents.get_agent(context, "writer")
    assert_type(writer, df.agents.DurableAIAgent)
    reply = await writer.run("Hello.")
    assert_type(reply, AgentResponse[Any])
    return reply.text
