"""An app whose activities say numbers, one every 20 ms, in two steps."""

import asyncio
import json
import time

import azure.functions as func

import perdure_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="talk/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("talk", req.route_params["id"], json.loads(req.get_body()))
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def talk(context: df.OrchestrationContext):
    count = context.get_input()
    yield context.call_activity(say, count)
    yield context.call_activity(say_in_a_thread, count)


@app.activity_trigger(input_name="count")
async def say(count: int) -> None:
    async with df.activity_context().stream("talk") as stream:
        for number in range(count):
            await stream.write({"step": 1, "number": number})
            await asyncio.sleep(0.02)


@app.activity_trigger(input_name="count")
def say_in_a_thread(count: int) -> None:
    with df.activity_context().stream("talk") as stream:
        for number in range(count):
            stream.write({"step": 2, "number": number})
            time.sleep(0.02)
        stream.finish("done")
