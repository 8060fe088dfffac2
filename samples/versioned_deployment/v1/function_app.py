"""Versioned deployment, the first version: an order is reserved, packed by somebody, and sent by post."""

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
    """Fulfil an order; return what was done."""
    done = [(yield context.call_activity(reserve, item))]
    context.set_custom_status("waits to be packed")
    yield context.wait_for_external_event("packed")
    done.append((yield context.call_activity(send_by_post, item)))
    return done


@app.activity_trigger(input_name="item")
def reserve(item: str) -> str:
    """Put an item aside."""
    return f"{item} is reserved"


@app.activity_trigger(input_name="item")
def send_by_post(item: str) -> str:
    """Send an item."""
    return f"{item} is sent by post"
