"""Versioned deployment, the second version: customers are looked at first, and a courier brings the parcel.

Orders that were placed under the first version may still be waiting to be packed. They are taken up by this code, which
has to do for them what their history says, and what they were promised.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import azure.functions as func

import perdure_functions as df
from perdure.errors import InstanceEndedError, InstanceExistsError, InstanceNotFoundError

app = df.DFApp()


@app.route(route="orders/{id}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def place(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Place an order; the body is what is ordered. It gets the `defaultVersion` of host.json, and keeps it."""
    item = req.get_body().decode() or "tea"
    try:
        instance_id = await client.start_new(fulfil, req.route_params["id"], item)
    except InstanceExistsError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return client.create_check_status_response(req, instance_id)


@app.route(route="orders/{id}/packed", methods=["POST"])
@app.durable_client_input(client_name="client")
async def packed(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Say that an order has been packed."""
    try:
        await client.raise_event(req.route_params["id"], "packed")
    except (InstanceNotFoundError, InstanceEndedError) as error:
        return func.HttpResponse(f"{error}\n", status_code=404)
    return func.HttpResponse(status_code=202)


@app.orchestration_trigger(context_name="context")
def fulfil(context: df.OrchestrationContext, item: str) -> Generator[Any, Any, list[str]]:
    """Fulfil an order, in the way of the version under which it was placed; return what was done."""
    old = context.version == "1.0"
    done: list[str] = []
    if not old:
        done.append((yield context.call_activity(check_customer, context.instance_id)))
    done.append((yield context.call_activity(reserve, item)))
    context.set_custom_status("waits to be packed")
    yield context.wait_for_external_event("packed")
    done.append((yield context.call_activity(send_by_post if old else send_by_courier, item)))
    return done


@app.activity_trigger(input_name="order")
def check_customer(order: str) -> str:
    """Look whether the customer pays."""
    return f"the customer of {order} is good"


@app.activity_trigger(input_name="item")
def reserve(item: str) -> str:
    """Put an item aside."""
    return f"{item} is reserved"


@app.activity_trigger(input_name="item")
def send_by_post(item: str) -> str:
    """Send an item."""
    return f"{item} is sent by post"


@app.activity_trigger(input_name="item")
def send_by_courier(item: str) -> str:
    """Send an item, faster."""
    return f"{item} is sent by courier"
