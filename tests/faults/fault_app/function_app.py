"""An app with every kind of work, whose activities leave a line in a file each time they are begun."""

import asyncio
import json
import os
import time
from datetime import timedelta

import azure.functions as func

import perdure_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def note() -> None:
    line = json.dumps([df.activity_context().idempotency_key, time.time(), os.getpid()])
    ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(ledger, f"{line}\n".encode())
    finally:
        os.close(ledger)


@app.route(route="orchestrators/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    value = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(req.route_params["name"], req.params.get("instanceId"), value)
    return client.create_check_status_response(req, instance_id)


@app.activity_trigger(input_name="numbers")
def step(numbers: list[int]) -> int:
    note()
    time.sleep(0.02)
    return sum(numbers)


@app.activity_trigger(input_name="number")
async def square(number: int) -> int:
    note()
    await asyncio.sleep(0.05)
    return number * number


@app.activity_trigger(input_name="text")
async def twice(text: str) -> str:
    note()
    return text + text


@app.activity_trigger(input_name="released_by")
async def hang(released_by: str) -> int:
    note()
    while not os.path.exists(released_by):  # noqa: ASYNC240, PTH110 - a look at a local file
        await asyncio.sleep(0.02)
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def chain(context: df.OrchestrationContext):
    total = 0
    for number in range(8):
        total = yield context.call_activity(step, [total, number])
    return total


@app.orchestration_trigger(context_name="context")
def fan(context: df.OrchestrationContext):
    squares = yield context.task_all([context.call_activity(square, number) for number in range(10)])
    return (yield context.call_activity(step, squares))


@app.orchestration_trigger(context_name="context")
async def tree(context: df.OrchestrationContext):
    depth = context.get_input()
    if depth == 0:
        return await context.call_activity(step, [1])
    return sum(await context.task_all([context.call_sub_orchestrator("tree", depth - 1) for _ in range(2)]))


@app.orchestration_trigger(context_name="context")
def timed(context: df.OrchestrationContext):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=0.3))
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
    deadline = context.create_timer(context.current_utc_datetime + timedelta(seconds=3))
    never = context.wait_for_external_event("never")
    first = yield context.task_any([deadline, never])
    assert first is deadline
    return (yield context.call_activity(step, [7]))


@app.orchestration_trigger(context_name="context")
async def told(context: df.OrchestrationContext):
    total = 0
    for number in range(3):
        heard = await context.wait_for_external_event(f"word-{number}")
        total = await context.call_activity(step, [total, heard])
    return total


@app.orchestration_trigger(context_name="context")
def ring(context: df.OrchestrationContext):
    round_, total = context.get_input()
    total = yield context.call_activity(step, [total, round_])
    if round_ == 5:
        return total
    context.continue_as_new([round_ + 1, total])
    return None


@app.orchestration_trigger(context_name="context")
async def bulky(context: df.OrchestrationContext):
    text = await context.call_activity(twice, "x" * 50_000)
    text = await context.call_sub_orchestrator("doubled", text)
    return len(text)


@app.orchestration_trigger(context_name="context")
async def doubled(context: df.OrchestrationContext):
    return await context.call_activity(twice, context.get_input())


@app.orchestration_trigger(context_name="context")
def deposits(context: df.OrchestrationContext):
    log = df.EntityId("log", context.instance_id)
    for number in range(4):
        yield context.call_entity(df.EntityId("counter", str(number % 2)), "add", 1)
        context.signal_entity(df.EntityId("counter", str(number % 2)), "add", 10)
        context.signal_entity(log, "note", 2 * number)
        context.signal_entity(log, "note", 2 * number + 1)
    return (yield context.call_activity(step, [4]))


@app.orchestration_trigger(context_name="context")
async def transfer(context: df.OrchestrationContext):
    source, target, amount = context.get_input()
    giver, taker = df.EntityId("account", source), df.EntityId("account", target)
    async with context.lock_entities([giver, taker]):
        left = await context.call_entity(giver, "change", -amount)
        await context.call_activity(step, [left])
        await context.call_entity(taker, "change", amount)
    return amount


@app.orchestration_trigger(context_name="context")
def waits(context: df.OrchestrationContext):
    """Begin with a step in place, or with one that has been through the queue."""
    released_by, placement = context.get_input()
    return (yield context.call_activity(hang, released_by, placement=placement))


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result(context.get_state())


@app.entity_trigger(context_name="context")
class account(df.DurableEntity):  # noqa: N801 - an entity's name
    state: int = 1_000

    async def change(self, amount: int) -> int:
        self.state += amount
        return self.state


@app.entity_trigger(context_name="context")
class log(df.DurableEntity):  # noqa: N801 - an entity's name
    state: list[int]

    def note(self, number: int) -> None:
        self.state.append(number)
