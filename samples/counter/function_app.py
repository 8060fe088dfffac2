"""Counters, the smallest entities: a function that counts visitors, and a class that hands out numbers.

Who is signalled need not be waited for; who is called answers. Either way one operation runs at a time, and takes
effect once: no number is lost, none is given to two people.
"""

from __future__ import annotations

import json

import azure.functions as func

import perdure_functions as df

app = df.DFApp()


# ---- the function form: one function for all operations -----------------------------------------------------------


@app.entity_trigger(context_name="context")
def visitors(context: df.DurableEntityContext) -> int:
    """Count who is in a house; its name is the entity's key."""
    inside: int = context.get_state(int)
    people = context.get_input() or 1
    match context.operation_name:
        case "enter":
            inside += people
        case "leave" if people > inside:
            raise ValueError(f"{people} can't leave {context.entity_key}: {inside} are inside")
        case "leave":
            inside -= people
        case unknown:
            raise ValueError(f"visitors enter or leave, they don't {unknown}")
    context.set_state(inside)
    return inside


@app.route(route="houses/{house}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def pass_the_door(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Let people enter or leave; the body is their number, one if there is none. Nobody waits for the entity."""
    try:
        people = json.loads(req.get_body() or b"1")
    except ValueError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    if not isinstance(people, int) or people < 1:
        return func.HttpResponse("the body is a number of people\n", status_code=400)
    house = df.EntityId("visitors", req.route_params["house"])
    await client.signal_entity(house, req.route_params["operation"], people)
    return func.HttpResponse(status_code=202)


@app.route(route="houses/{house}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def look_inside(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Tell how many are inside."""
    found = await client.read_entity_state(df.EntityId("visitors", req.route_params["house"]))
    if not found:
        return func.HttpResponse("nobody has ever been there\n", status_code=404)
    return func.HttpResponse(json.dumps({"inside": found.entity_state}), mimetype="application/json")


@app.route(route="houses/{house}", methods=["DELETE"])
@app.durable_client_input(client_name="client")
async def forget(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Delete a counter."""
    await client.delete_entity(df.EntityId("visitors", req.route_params["house"]))
    return func.HttpResponse(status_code=202)


# ---- the class form: one method for each operation ------------------------------------------------------------------


@app.entity_trigger(context_name="context")
class Tickets(df.DurableEntity):
    """Hands out numbers at a desk."""

    state: int = 0

    async def draw(self) -> int:
        """Return the next number."""
        self.state += 1
        return self.state


@app.orchestration_trigger(context_name="context")
async def serve(context: df.OrchestrationContext, desk: str) -> dict[str, str | int]:
    """Draw a number for somebody. A call is waited for, and has a result."""
    return {"desk": desk, "number": await context.entity(Tickets, desk).draw()}


@app.route(route="desks/{desk}/tickets", methods=["POST"])
@app.durable_client_input(client_name="client")
async def queue_up(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Draw a number."""
    instance_id = await client.start_new(serve, client_input=req.route_params["desk"])
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id)
