import json

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}")
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    payload = json.loads(req.get_body()) if req.get_body() else None
    instance_id = await client.start_new(req.route_params["functionName"], None, payload)
    return client.create_check_status_response(req, instance_id)


@app.route(route="events/{instanceId}/{name}")
@app.durable_client_input(client_name="client")
async def send(req: func.HttpRequest, client):
    await client.raise_event(
        req.route_params["instanceId"], req.route_params["name"], json.loads(req.get_body() or b"null")
    )
    return func.HttpResponse("sent")


# ---- orchestrators that are not generators ----


@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def nothing(context):
    pass


@app.orchestration_trigger(context_name="context")
def refuses(context):
    raise ValueError("not today")


# ---- one value through everything ----


@app.activity_trigger(input_name="value")
def same(value):
    return value


@app.orchestration_trigger(context_name="context")
def everywhere(context: df.DurableOrchestrationContext):
    value = context.get_input()
    context.set_custom_status(value)
    event = yield context.wait_for_external_event("value")
    by_name = yield context.call_activity("same", value)
    by_function = yield context.call_activity(same, input_=value)
    retried = yield context.call_activity_with_retry("same", df.RetryOptions(1000, 2), value)
    child = yield context.call_sub_orchestrator("echo", value)
    together = yield context.task_all(
        [context.call_activity("same", value), context.call_sub_orchestrator(echo, value)]
    )
    return {
        "input": value,
        "event": event,
        "by_name": by_name,
        "by_function": by_function,
        "retried": retried,
        "child": child,
        "together": together,
        "status": context.custom_status,
    }


@app.orchestration_trigger(context_name="context")
def again(context: df.DurableOrchestrationContext):
    given = context.get_input()
    if isinstance(given, dict) and "first" in given:
        context.continue_as_new(given["first"])
        return
    yield context.call_activity("same")
    return given


@app.orchestration_trigger(context_name="context")
def input_is_optional(context: df.DurableOrchestrationContext):
    given = context.get_input()
    default = yield context.call_activity("same", given or "default")
    left_out = yield context.call_activity("same")
    return [default, left_out]


# ---- classes that write and read themselves ----


class Money:
    def __init__(self, amount, currency):
        self.amount = amount
        self.currency = currency

    @staticmethod
    def to_json(money):
        return f"{money.amount} {money.currency}"

    @staticmethod
    def from_json(text):
        amount, currency = text.split()
        return Money(int(amount), currency)


@app.activity_trigger(input_name="money")
def double(money: Money) -> Money:
    return Money(money.amount * 2, money.currency)


@app.orchestration_trigger(context_name="context", input_type=Money)
def pay(context: df.DurableOrchestrationContext) -> str:
    paid = yield context.call_activity(double, Money(21, "EUR"))
    return f"{type(paid).__name__} {paid.amount} {paid.currency}"


# ---- what the context tells ----


@app.orchestration_trigger(context_name="context")
def told(context: df.DurableOrchestrationContext):
    began = context.current_utc_datetime
    ids = [context.new_uuid(), context.new_uuid(), str(context.new_guid())]
    yield context.call_activity("same", 1)
    context.set_custom_status({"step": 1})
    kinds = [event.event_type.name for event in context.histories]
    child = yield context.call_sub_orchestrator("child_of")
    return {
        "instance_id": context.instance_id,
        "parent": context.parent_instance_id,
        "child": child,
        "version": context.version,
        "aware": began.tzinfo is not None and context.current_utc_datetime >= began,
        "ids": [len(set(ids)), [len(each) for each in ids]],
        "kinds": kinds[:4],
        "custom_status": context.custom_status,
        "extra": sorted(vars(context.function_context)),
        "will_continue_as_new": context.will_continue_as_new,
    }


@app.orchestration_trigger(context_name="context")
def child_of(context: df.DurableOrchestrationContext):
    return {"parent": context.parent_instance_id, "version": context.version}


@app.route(route="versioned/{functionName}")
@app.durable_client_input(client_name="client")
async def start_version(req: func.HttpRequest, client):
    instance_id = await client.start_new(req.route_params["functionName"], "versioned", None, req.params["version"])
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def two_versions(context: df.DurableOrchestrationContext):
    inherited = yield context.call_sub_orchestrator("child_of")
    given = yield context.call_sub_orchestrator("child_of", None, None, "0.9")
    return [context.version, inherited["version"], given["version"]]
