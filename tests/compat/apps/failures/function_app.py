import json
from collections import Counter

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

attempts = Counter()


class OutOfStock(Exception):
    pass


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    payload = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(req.route_params["functionName"], None, payload)
    return client.create_check_status_response(req, instance_id)


@app.activity_trigger(input_name="text")
def fail(text: str):
    raise OutOfStock(text)


@app.activity_trigger(input_name="wanted")
def flaky(wanted: dict):
    attempts[wanted["key"]] += 1
    if attempts[wanted["key"]] < wanted["succeeds_at"]:
        raise RuntimeError(f"attempt {attempts[wanted['key']]}")
    return attempts[wanted["key"]]


@app.activity_trigger(input_name="value")
def fine(value):
    return value


@app.orchestration_trigger(context_name="context")
def failing_child(context: df.DurableOrchestrationContext):
    yield context.call_activity("fail", "the child's activity")


@app.orchestration_trigger(context_name="context")
def flaky_child(context: df.DurableOrchestrationContext):
    given = context.get_input()
    attempt = yield context.call_activity("flaky", given)
    return {"attempt": attempt, "id": context.instance_id}


@app.orchestration_trigger(context_name="context")
def caught(context: df.DurableOrchestrationContext):
    texts = []
    try:
        yield context.call_activity("fail", "first")
    except Exception as e:
        texts.append(str(e))
    try:
        yield context.call_sub_orchestrator("failing_child")
    except Exception as e:
        texts.append(str(e))
    try:
        yield context.task_all([context.call_activity("fine", 1), context.call_activity("fail", "second")])
    except Exception as e:
        texts.append(f"{e}")
    return texts


@app.orchestration_trigger(context_name="context")
def caught_and_raised(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity(fail, "the origin")
    except Exception:
        yield context.call_activity("fine", "undo")
        raise


@app.orchestration_trigger(context_name="context")
def wrapped(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity(fail, "the origin")
    except Exception as e:
        raise ValueError(f"could not: {e}") from e


@app.orchestration_trigger(context_name="context")
def unhandled(context: df.DurableOrchestrationContext):
    yield context.call_sub_orchestrator("failing_child")


@app.orchestration_trigger(context_name="context")
def retried(context: df.DurableOrchestrationContext):
    retry_options = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=3)
    key = context.instance_id
    activity = yield context.call_activity_with_retry("flaky", retry_options, {"key": key, "succeeds_at": 3})
    child = yield context.call_sub_orchestrator_with_retry(
        "flaky_child", retry_options, {"key": f"{key}-child", "succeeds_at": 2}, f"{key}-child"
    )
    try:
        yield context.call_activity_with_retry(
            "flaky", df.RetryOptions(20, 2), {"key": f"{key}-never", "succeeds_at": 9}
        )
    except Exception as e:
        given_up = str(e)
    return {"activity": activity, "child": [child["attempt"], child["id"] == f"{key}-child"], "given_up": given_up}


@app.orchestration_trigger(context_name="context")
def first_of_two(context: df.DurableOrchestrationContext):
    task = context.call_activity("fail", "the first")
    winner = yield context.task_any([task, context.wait_for_external_event("never")])
    return [
        winner == task,
        isinstance(winner.result, Exception),
        str(winner.result),
        winner.is_completed,
        winner.state.name,
    ]


@app.orchestration_trigger(context_name="context")
def unknown_name(context: df.DurableOrchestrationContext):
    yield context.call_activity("no_such_activity", 1)
