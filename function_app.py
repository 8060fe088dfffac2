"""A tour of Perdure: six orchestrations, each the plain form of a pattern, and an entity. `perdure start` and `func
start` run it.

    curl -X POST localhost:7071/api/orchestrators/hello_cities

starts the first one; the answer holds the URL of its status. The body of such a request is the input, and
`?instanceId=` names the instance.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

import azure.functions as func

import perdure_functions as df
from perdure.errors import InstanceExistsError, UnknownFunctionError

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

Steps = Generator[Any, Any, Any]
"""What a generator orchestrator is: it yields tasks and is sent their results."""

HERE = Path(__file__).parent


# ---- starting, over HTTP ----------------------------------------------------------------------------------------


@app.route(route="orchestrators/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_orchestration(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start any of the orchestrations below."""
    try:
        given = json.loads(req.get_body() or b"null")
        instance_id = await client.start_new(req.route_params["name"], req.params.get("instanceId"), given)
    except ValueError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    except UnknownFunctionError as error:
        return func.HttpResponse(f"{error}\n", status_code=404)
    except InstanceExistsError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return client.create_check_status_response(req, instance_id)


# ---- chaining: one step after the other -------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def hello_cities(context: df.OrchestrationContext) -> Steps:
    """Greet three cities in turn. A crash between two greetings repeats none of them."""
    greetings = []
    for city in ("Tokyo", "Seattle", "London"):
        greeting = yield context.call_activity(say_hello, city)
        greetings.append(greeting)
    return greetings


@app.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    """Greet a city."""
    return f"Hello {city}!"


# ---- fan-out and fan-in: many at once, then all results ---------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def count_words(context: df.OrchestrationContext) -> Steps:
    """Count the words of all texts in a folder of this app; the input is the folder, by default the app's own."""
    texts = yield context.call_activity(list_texts, context.get_input() or ".")
    counts = yield context.task_all([context.call_activity(count_words_in, text) for text in texts])
    return {"files": len(texts), "words": sum(counts)}


@app.activity_trigger(input_name="folder")
def list_texts(folder: str) -> list[str]:
    """List the Markdown files in a folder of the app."""
    root = (HERE / folder).resolve()
    if not root.is_relative_to(HERE):
        raise df.NonRetryableError(f"'{folder}' is not in the app's folder")
    return sorted(str(path.relative_to(HERE)) for path in root.glob("*.md"))


@app.activity_trigger(input_name="text")
def count_words_in(text: str) -> int:
    """Count the words of one file."""
    return len((HERE / text).read_text(encoding="utf-8").split())


# ---- sub-orchestrations: orchestrations made of orchestrations --------------------------------------------------


@app.orchestration_trigger(context_name="context")
async def compare_folders(context: df.OrchestrationContext) -> dict[str, Any]:
    """Count the words of several folders. `async def` and `await` say the same as a generator and `yield`."""
    folders = context.get_input() or [".", "docs"]
    counts = await context.task_all([context.call_sub_orchestrator(count_words, folder) for folder in folders])
    return dict(zip(folders, counts, strict=True))


# ---- a monitor: look, wait, look again --------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def wait_for_file(context: df.OrchestrationContext) -> Steps:
    """Wait until a file of this app exists and has stopped growing; for an hour at most."""
    name = context.get_input() or "upload.csv"
    deadline = context.current_utc_datetime + timedelta(hours=1)
    last: int | None = None
    while context.current_utc_datetime < deadline:
        size = yield context.call_activity(size_of, name)
        if size is not None and size == last:
            return {"file": name, "bytes": size}
        context.set_custom_status("is not there yet" if size is None else f"has {size} bytes so far")
        last = size
        yield context.create_timer(timedelta(seconds=2))
    raise TimeoutError(f"{name} did not come within an hour")


@app.activity_trigger(input_name="name")
def size_of(name: str) -> int | None:
    """Return a file's size in bytes, None if it does not exist."""
    path = HERE / Path(name).name
    return path.stat().st_size if path.is_file() else None


# ---- human interaction: an order that somebody may have to approve ----------------------------------------------


class Order(TypedDict):
    """The input of `place_order`."""

    item: str
    amount: float


APPROVAL_FROM = 1_000
LIMIT = 10_000
ATTEMPTS = df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=3, backoff_coefficient=2)


@app.orchestration_trigger(context_name="context")
def place_order(context: df.OrchestrationContext) -> Steps:
    """Reserve, have it approved if it is dear, charge. What was reserved is released if that comes to nothing.

    Approve it with a POST of `true` to its `sendEventPostUri`, the event being `approval`.
    """
    given: Order | None = context.get_input()
    order = given or {"item": "tea", "amount": 1_200}
    reservation = yield context.call_activity(reserve, order)
    approved = True
    try:
        if order["amount"] >= APPROVAL_FROM:
            context.set_custom_status("waits for approval")
            approved = yield context.wait_for_external_event("approval", timeout=timedelta(hours=24))
        if approved:
            context.set_custom_status("is being charged")
            yield context.call_activity(charge, order, retry_policy=ATTEMPTS)
            context.set_custom_status("is paid")
            return f"ordered under {reservation}"
        outcome = "rejected"
    except (TimeoutError, df.TaskFailedError) as error:
        outcome = f"cancelled: {error}"
    yield context.call_activity(release, reservation)
    return outcome


@app.activity_trigger(input_name="order")
def reserve(order: Order) -> str:
    """Reserve the item. A service that is given this key can tell a repeat from a second order."""
    return f"{order['item']}:{df.activity_context().idempotency_key}"


@app.activity_trigger(input_name="order")
def charge(order: Order) -> None:
    """Take the money."""
    if order["amount"] > LIMIT:
        raise df.NonRetryableError(f"{order['amount']} is over the limit of {LIMIT}")


@app.activity_trigger(input_name="reservation")
def release(reservation: str) -> str:
    """Give the item back."""
    return f"released {reservation}"


# ---- an eternal orchestration: it never ends, and its history never grows ---------------------------------------


@app.orchestration_trigger(context_name="context")
def hourly_count(context: df.OrchestrationContext) -> Steps:
    """Keep an up-to-date count in the custom status. Terminate it to end it, or send it the event `stop`."""
    runs = context.get_input() or 0
    count = yield context.call_sub_orchestrator(count_words, ".")
    context.set_custom_status({"runs": runs + 1, "count": count})
    hour = context.create_timer(timedelta(hours=1))
    stop = context.wait_for_external_event("stop")
    if (yield context.task_any([hour, stop])) is stop:
        hour.cancel()
        return runs + 1
    context.continue_as_new(runs + 1)
    return None


# ---- an entity: a small state with a name ------------------------------------------------------------------------


@app.entity_trigger(context_name="context")
class Counter(df.DurableEntity):
    """Counts. It needs no creation, and performs one operation at a time."""

    state: int = 0

    def add(self, amount: int) -> int:
        """Add to it; return what it has come to."""
        self.state += amount
        return self.state


@app.route(route="counters/{key}", methods=["GET", "POST"])
@app.durable_client_input(client_name="client")
async def count(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Add one to a counter (POST), or tell what it has come to (GET)."""
    counter = df.EntityId("Counter", req.route_params["key"])
    if req.method == "POST":
        await client.signal_entity(counter, "add", 1)
        return func.HttpResponse(status_code=202)
    found = await client.read_entity_state(counter)
    return func.HttpResponse(f"{found.entity_state or 0}\n")
