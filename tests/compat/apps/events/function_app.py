import json
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}/{instanceId}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    payload = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(req.route_params["functionName"], req.route_params["instanceId"], payload)
    return client.create_check_status_response(req, instance_id)


@app.route(route="send/{instanceId}/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def send(req: func.HttpRequest, client):
    for data in req.get_json():
        await client.raise_event(req.route_params["instanceId"], req.route_params["name"], data)
    return func.HttpResponse(status_code=204)


@app.orchestration_trigger(context_name="context")
def collect(context: df.DurableOrchestrationContext):
    """As many events of one name as the input says."""
    items = []
    for _ in range(context.get_input()):
        item = yield context.wait_for_external_event("item")
        items.append(item)
    return sorted(items)


@app.orchestration_trigger(context_name="context")
def collect_at_once(context: df.DurableOrchestrationContext):
    waiters = [context.wait_for_external_event("item") for _ in range(context.get_input())]
    items = yield context.task_all(waiters)
    return sorted(items)


@app.orchestration_trigger(context_name="context")
def of_several_names(context: df.DurableOrchestrationContext):
    gate = context.wait_for_external_event("CityPlanningApproval")
    fire = context.wait_for_external_event("FireDeptApproval")
    building = context.wait_for_external_event("BuildingDeptApproval")
    answers = yield context.task_all([gate, fire, building])
    yield context.call_activity("issue", answers)
    return answers


@app.activity_trigger(input_name="answers")
def issue(answers):
    return None


@app.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    """The approval pattern: an event or a time-out."""
    due_time = context.current_utc_datetime + timedelta(seconds=context.get_input())
    durable_timeout_task = context.create_timer(due_time)
    approval_event = context.wait_for_external_event("ApprovalEvent")

    winning_task = yield context.task_any([approval_event, durable_timeout_task])

    if approval_event == winning_task:
        durable_timeout_task.cancel()
        return ["approved", approval_event.result, durable_timeout_task.is_cancelled, durable_timeout_task.is_completed]
    return ["escalated", durable_timeout_task.result, approval_event.is_completed, winning_task == durable_timeout_task]


@app.orchestration_trigger(context_name="context")
def reminders(context: df.DurableOrchestrationContext):
    """Waits anew in each round."""
    rounds = 0
    while True:
        rounds += 1
        context.set_custom_status(rounds)
        timer = context.create_timer(context.current_utc_datetime + timedelta(milliseconds=20))
        answer = context.wait_for_external_event("answer")
        winner = yield context.task_any([timer, answer])
        if winner == answer:
            if not timer.is_completed:
                timer.cancel()
            return [rounds > 2, answer.result]


@app.orchestration_trigger(context_name="context")
def counter(context: df.DurableOrchestrationContext):
    """Begins anew with each event; what comes meanwhile waits for the next generation."""
    total = context.get_input() or 0
    context.set_custom_status(total)
    amount = yield context.wait_for_external_event("add")
    if amount == "stop":
        return total
    context.continue_as_new(total + amount)


@app.orchestration_trigger(context_name="context")
def monitor(context: df.DurableOrchestrationContext):
    left = context.get_input()
    if left == 0:
        return "done"
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=10))
    yield context.continue_as_new(left - 1)


@app.orchestration_trigger(context_name="context")
def nested(context: df.DurableOrchestrationContext):
    pair = context.task_all([context.wait_for_external_event("a"), context.wait_for_external_event("b")])
    other = context.task_any([context.wait_for_external_event("c"), context.wait_for_external_event("d")])
    winner = yield context.task_any([pair, other])
    both = yield context.task_all([pair, other])
    return [winner == pair, pair.result, both[0], other.result.result, pair.state.name, other.is_completed]


@app.orchestration_trigger(context_name="context")
def of_nothing(context: df.DurableOrchestrationContext):
    empty = yield context.task_all([])
    return [len(empty or []), context.task_all([]).is_completed]
