import json
import logging

import azure.durable_functions as df
import azure.functions as func
from accounts import bp as accounts

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(accounts)


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    current_value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        amount = context.get_input()
        current_value += amount
    elif operation == "reset":
        current_value = 0
    elif operation == "get":
        context.set_result(current_value)
    elif operation == "refuse":
        raise ValueError(f"{context.entity_name} {context.entity_key} refuses")
    else:
        logging.warning("counter %s knows no operation %s", context.entity_key, operation)
    context.set_state(current_value)


@app.function_name(name="Basket")
@app.entity_trigger(context_name="context", entity_name="basket")
def basket_entity(context: df.DurableEntityContext):
    basket = context.get_state(dict)
    match context.operation_name:
        case "put":
            item = context.get_input()
            basket[item["name"]] = basket.get(item["name"], 0) + item["number"]
            context.set_state(basket)
            context.set_result(len(basket))
        case "list":
            context.set_result([context.is_newly_constructed, basket, context.get_input()])
        case "empty":
            context.destruct_on_exit()


# ---- signals and states over HTTP ----


@app.route(route="counters/{key}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def signal(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    entity_id = df.EntityId("counter", req.route_params["key"])
    amount = int(req.params["amount"]) if "amount" in req.params else None
    await client.signal_entity(entity_id, req.route_params["operation"], amount)
    return func.HttpResponse(f"signalled {entity_id}", status_code=202)


@app.route(route="states/{name}/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    response = await client.read_entity_state(df.EntityId(req.route_params["name"], req.route_params["key"]))
    if not response.entity_exists:
        return func.HttpResponse("there is none", status_code=404)
    return func.HttpResponse(json.dumps(response.entity_state), mimetype="application/json")


@app.route(route="orchestrators/{functionName}/{instanceId?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    payload = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(
        req.route_params["functionName"], req.route_params.get("instanceId") or None, payload
    )
    return client.create_check_status_response(req, instance_id)


@app.timer_trigger(schedule="0 0 3 * * *", arg_name="timer", run_on_startup=False)
@app.durable_client_input(client_name="client")
async def nightly_reset(timer: func.TimerRequest, client) -> None:
    await client.signal_entity(entityId=df.EntityId(name="counter", key="visits"), operation_name="reset")


# ---- orchestrators that call and signal ----


@app.orchestration_trigger(context_name="context")
def counting(context: df.DurableOrchestrationContext):
    entity_id = df.EntityId("Counter", context.instance_id)
    for amount in context.get_input():
        context.signal_entity(entity_id, "add", amount)
    first = yield context.call_entity(entity_id, "get")
    context.signal_entity(entityId=entity_id, operationName="reset")
    second = yield context.call_entity(entity_id, "get")
    unknown = yield context.call_entity(entity_id, "halve", 2)
    return [first, second, unknown]


@app.orchestration_trigger(context_name="context")
def filling(context: df.DurableOrchestrationContext):
    baskets = [df.EntityId("basket", f"{context.instance_id}-{number}") for number in range(3)]
    tasks = []
    for basket in baskets:
        for name in ("tea", "milk", "tea"):
            tasks.append(context.call_entity(basket, "put", {"name": name, "number": 1}))
    numbers = yield context.task_all(tasks)
    full = yield context.call_entity(baskets[0], "list", "please")
    yield context.call_entity(baskets[0], "empty")
    empty = yield context.call_entity(baskets[0], "list")
    return {"numbers": numbers, "full": full, "empty": empty}


@app.orchestration_trigger(context_name="context")
def refused(context: df.DurableOrchestrationContext):
    entity_id = df.EntityId("counter", context.instance_id)
    yield context.call_entity(entity_id, "add", 3)
    told = None
    try:
        yield context.call_entity(entity_id, "refuse")
    except Exception as e:
        told = str(e)
    left = yield context.call_entity(entity_id, "get")
    return [told, left]


@app.orchestration_trigger(context_name="context")
def unhandled(context: df.DurableOrchestrationContext):
    yield context.call_entity(df.EntityId("counter", context.instance_id), "refuse")


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    return number * 2


@app.orchestration_trigger(context_name="context")
def until_enough(context: df.DurableOrchestrationContext):
    enough = context.get_input()
    entity_id = df.EntityId("counter", context.instance_id)
    amount = yield context.call_activity("double", 2)
    context.signal_entity(entity_id, "add", amount)
    reached = yield context.call_entity(entity_id, "get")
    if reached < enough:
        context.continue_as_new(enough)
        return None
    return reached
