import logging

import azure.durable_functions as df
import azure.functions as func

bp = df.Blueprint()


@bp.function_name(name="ProcessOrder")
@bp.orchestration_trigger(context_name="context")
def process_order(context: df.DurableOrchestrationContext):
    order = context.get_input()
    if not context.is_replaying:
        logging.info("order %s", order["id"])
    reserved = yield context.call_activity("ReserveItem", order["item"])
    tasks = []
    for part in order["parts"]:
        tasks.append(context.call_activity(check_part, {"part": part}))
    checked = yield context.task_all(tasks)
    price = yield from priced(context, checked)
    shipped = yield context.call_sub_orchestrator(ship, {"order": order["id"]}, f"ship-{context.instance_id}")
    again = yield context.call_sub_orchestrator("Ship", input_={"order": "more"})
    report = yield context.call_sub_orchestrator("Report", checked)
    return {
        "reserved": reserved,
        "price": price,
        "shipped": shipped,
        "again": again["order"],
        "generated": again["id"] not in ("", None, context.instance_id),
        "report": report,
    }


def priced(context, checked):
    total = 0
    for part in checked:
        total += yield context.call_activity(name="price", input_=part)
    return total


@bp.orchestration_trigger(context_name="context", orchestration="Ship")
def ship(context: df.DurableOrchestrationContext):
    order = context.get_input()["order"]
    parcel = yield context.call_activity("PackIt", order)
    return {"order": order, "parcel": parcel, "id": context.instance_id, "parent": context.parent_instance_id}


@bp.function_name("ReserveItem")
@bp.activity_trigger(input_name="item")
def reserve_item(item: str) -> str:
    return f"reserved {item}"


@bp.activity_trigger(input_name="request")
def check_part(request: dict) -> str:
    return request["part"].upper()


@bp.activity_trigger(input_name="part")
async def price(part: str):
    return len(part)


@bp.activity_trigger(input_name="order", activity="PackIt")
def pack(order):
    return f"parcel of {order}"


@bp.route(route="orders/{orderId}", methods=["PUT"])
@bp.durable_client_input(client_name="starter")
async def put_order(req: func.HttpRequest, starter: df.DurableOrchestrationClient) -> func.HttpResponse:
    order = req.get_json()
    instance_id = f"order-{req.route_params['orderId']}"
    existing = await starter.get_status(instance_id)
    if existing.runtime_status in [
        df.OrchestrationRuntimeStatus.Completed,
        df.OrchestrationRuntimeStatus.Failed,
        df.OrchestrationRuntimeStatus.Terminated,
        None,
    ]:
        await starter.start_new("ProcessOrder", instance_id, order)
        return starter.create_check_status_response(req, instance_id)
    return func.HttpResponse(f"An instance with ID '{existing.instance_id}' already exists.", status_code=409)
