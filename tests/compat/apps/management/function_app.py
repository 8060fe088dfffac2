import json
import logging
from datetime import datetime, timedelta, timezone

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def answer(value):
    return func.HttpResponse(json.dumps(value), mimetype="application/json")


@app.orchestration_trigger(context_name="context")
def wait(context: df.DurableOrchestrationContext):
    context.set_custom_status("waiting")
    data = yield context.wait_for_external_event("go")
    return data


@app.orchestration_trigger(context_name="context")
def greet(context: df.DurableOrchestrationContext):
    greeting = yield context.call_activity("say", context.get_input())
    return greeting


@app.activity_trigger(input_name="name")
def say(name: str) -> str:
    return f"Hello {name}!"


@app.orchestration_trigger(context_name="context")
def broken(context: df.DurableOrchestrationContext):
    raise ValueError("it is broken")


@app.route(route="start/{name}/{id}")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"], req.route_params["id"], "you")
    logging.info("Started orchestration with ID = '%s'.", instance_id)
    return client.create_check_status_response(req, instance_id)


@app.route(route="wait/{name}/{id}")
@app.durable_client_input(client_name="client")
async def start_and_wait(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"], req.route_params["id"], "you")
    return await client.wait_for_completion_or_create_check_status_response(
        req, instance_id, int(req.params.get("timeout", 20000)), 100
    )


@app.route(route="status/{id}")
@app.durable_client_input(client_name="client")
async def status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    found = await client.get_status(req.route_params["id"], True, True, True)
    if not found:
        return func.HttpResponse("there is none", status_code=404)
    return answer(
        {
            "name": found.name,
            "instance_id": found.instance_id,
            "running": found.runtime_status == df.OrchestrationRuntimeStatus.Running,
            "runtime_status": [found.runtime_status.name, found.runtime_status.value],
            "input": found.input_,
            "output": found.output,
            "custom_status": found.custom_status,
            "created": isinstance(found.created_time, datetime) and found.created_time <= found.last_updated_time,
            "events": [event["EventType"] for event in found.history],
            "json": found.to_json(),
        }
    )


@app.route(route="event/{id}")
@app.durable_client_input(client_name="client")
async def event(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    try:
        await client.raise_event(req.route_params["id"], "go", {"ready": True})
    except Exception as e:
        return func.HttpResponse(str(e), status_code=400)
    return func.HttpResponse("sent")


@app.route(route="do/{action}/{id}")
@app.durable_client_input(client_name="client")
async def do(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    action, instance_id = req.route_params["action"], req.route_params["id"]
    try:
        if action == "terminate":
            done = await client.terminate(instance_id, "enough")
        elif action == "suspend":
            done = await client.suspend(instance_id, "a pause")
        elif action == "resume":
            done = await client.resume(instance_id, "go on")
        elif action == "restart":
            done = await client.restart(instance_id, False)
        elif action == "restart_elsewhere":
            done = await client.restart(instance_id)
        elif action == "rewind":
            done = await client.rewind(instance_id, "it is mended")
        elif action == "purge":
            done = (await client.purge_instance_history(instance_id)).instances_deleted
    except Exception as e:
        return func.HttpResponse(str(e), status_code=400)
    return answer(done)


@app.route(route="all")
@app.durable_client_input(client_name="client")
async def everything(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    statuses = await client.get_status_all()
    return answer(sorted(each.instance_id for each in statuses))


@app.route(route="by")
@app.durable_client_input(client_name="client")
async def by(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    now = datetime.now(timezone.utc)
    statuses = await client.get_status_by(
        now - timedelta(hours=1), now + timedelta(hours=1), [df.OrchestrationRuntimeStatus.Completed]
    )
    prefixed = await client.get_status_by(instance_id_prefix="g")
    unconditional = await client.get_status_by(None, None, [], None)
    return answer([sorted(each.instance_id for each in found) for found in (statuses, prefixed, unconditional)])


@app.route(route="purge")
@app.durable_client_input(client_name="client")
async def purge(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    now = datetime.now(timezone.utc)
    result = await client.purge_instance_history_by(
        now - timedelta(hours=1), now + timedelta(hours=1), [df.OrchestrationRuntimeStatus.Completed]
    )
    return answer(result.instances_deleted)


@app.route(route="links/{id}")
@app.durable_client_input(client_name="client")
async def links(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    payload = client.create_http_management_payload(req.route_params["id"])
    linked = client.get_client_response_links(req, req.route_params["id"])
    return answer([payload, linked])


@app.function_name(name="Nightly")
@app.timer_trigger(schedule="0 0 2 * * *", arg_name="timer", run_on_startup=False)
@app.durable_client_input(client_name="client")
async def nightly(timer: func.TimerRequest, client) -> None:
    await client.start_new("greet", "nightly", "night")


@app.queue_trigger(arg_name="msg", queue_name="names", connection="AzureWebJobsStorage")
@app.durable_client_input(client_name="client")
async def on_message(msg: func.QueueMessage, client) -> None:
    name = msg.get_body().decode()
    await client.start_new("greet", f"queued-{name}", name)
