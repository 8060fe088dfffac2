"""What type checkers infer; `make lint` checks this file."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any, assert_type

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


async def client(client: df.DurableOrchestrationClient) -> None:
    assert_type(await client.start_new(place), str)
    status = await client.get_status("id")
    assert_type(status, df.DurableOrchestrationStatus)
    assert_type(status.runtime_status, df.OrchestrationRuntimeStatus | None)


def sync(client: df.SyncDurableFunctionsClient) -> None:
    assert_type(client.start_new("place"), str)
