"""An app of entities: counters, accounts, and a log of what it was told. Some of its messages are sent twice."""

import itertools
import json
import os
import random

import azure.functions as func

import perdure_functions as df
from perdure.engine.mail import Mail

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

if os.environ.get("EVERY_FIFTH_TWICE"):
    plain_send, numbers = Mail.send, itertools.count()

    async def send(self, message, **when):
        if next(numbers) % 5 == 0:
            await plain_send(self, message, **when)
        return await plain_send(self, message, **when)

    Mail.send = send


@app.route(route="orchestrators/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    value = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(req.route_params["name"], req.params.get("instanceId"), value)
    return client.create_check_status_response(req, instance_id)


@app.route(route="told/{count}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def tell(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    for number in range(int(req.route_params["count"])):
        await client.signal_entity(df.EntityId("log", "told"), "note", number)
    return "told"


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
    context.set_result(context.get_state())


@app.entity_trigger(context_name="context")
class Account(df.DurableEntity):
    state: int = 1_000

    def balance(self) -> int:
        return self.state

    async def change(self, amount: int) -> int:
        self.state += amount
        return self.state


@app.entity_trigger(context_name="context")
class Log(df.DurableEntity):
    state: list[int]

    def note(self, number: int) -> None:
        self.state.append(number)


@app.orchestration_trigger(context_name="context")
def fifty_calls(context: df.OrchestrationContext):
    for number in range(50):
        yield context.call_entity(df.EntityId("counter", str(number % 5)), "add", 1)


@app.orchestration_trigger(context_name="context")
async def transfer(context: df.OrchestrationContext):
    source, target, amount = context.get_input()
    giver, taker = df.EntityId("Account", source), df.EntityId("Account", target)
    async with context.lock_entities([giver, taker]):
        if await context.call_entity(giver, "balance") < amount:
            return "too poor"
        await context.call_entity(giver, "change", -amount)
        try:
            await context.call_activity("approve")
        except df.TaskFailedError:
            await context.call_entity(giver, "change", amount)
            raise
        await context.call_entity(taker, "change", amount)
    return "done"


@app.activity_trigger(input_name="_")
def approve(_: None) -> None:
    if random.random() < 0.2:
        raise ValueError("refused")


@app.orchestration_trigger(context_name="context")
def thousand_signals(context: df.OrchestrationContext):
    for number in range(1_000):
        context.signal_entity(df.EntityId("log", "ordered"), "note", number)
        if number % 100 == 99:
            yield context.call_activity("approve_all")


@app.activity_trigger(input_name="_")
def approve_all(_: None) -> None:
    """Take a turn."""
