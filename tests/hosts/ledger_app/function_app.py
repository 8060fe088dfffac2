"""An app whose activities leave a line in a file each time they are begun: what ran, how often, and where."""

import asyncio
import json
import os
import time
from pathlib import Path

import azure.functions as func

import perdure_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
LEDGER = Path(os.environ["LEDGER"])


def note(what: str) -> None:
    key = df.activity_context().idempotency_key
    with LEDGER.open("a", encoding="utf-8") as ledger:
        ledger.write(f"{json.dumps([key, what, os.getpid()])}\n")


@app.route(route="orchestrators/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    value = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(req.route_params["name"], req.params.get("instanceId"), value)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def twenty_steps(context: df.OrchestrationContext):
    total = 0
    for number in range(20):
        total = yield context.call_activity("step", [total, number])
    return total


@app.orchestration_trigger(context_name="context")
def fifty_ways(context: df.OrchestrationContext):
    squares = yield context.task_all([context.call_activity("square", number) for number in range(50)])
    return sum(squares)


@app.orchestration_trigger(context_name="context")
async def shared(context: df.OrchestrationContext):
    number = context.get_input()
    one = await context.call_activity("step", [number, 1])
    both = await context.task_all([context.call_activity("square", n) for n in (number, number + 1)])
    return [one, *both]


@app.activity_trigger(input_name="numbers")
def step(numbers: list[int]) -> int:
    note("step")
    time.sleep(0.05)
    return sum(numbers)


@app.activity_trigger(input_name="number")
async def square(number: int) -> int:
    note("square")
    await asyncio.sleep(0.1)
    return number * number
