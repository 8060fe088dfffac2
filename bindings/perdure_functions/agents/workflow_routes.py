"""The HTTP routes of workflows: run one, look at it, answer what it asks, cancel it, follow its events."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import azure.functions as func

from perdure.agents.workflows import WorkflowDefinition, WorkflowInputError, WorkflowResponseError
from perdure.agents.workflows.events import STREAM
from perdure.agents.workflows.runs import (
    AnsweredRequestError,
    UnknownRequestError,
    WorkflowRuns,
    has_ended,
    pending_of,
)
from perdure.client import DurableOrchestrationStatus
from perdure.errors import InstanceEndedError
from perdure_functions.agents.answering import add_route, in_route, media_type, text_body, truth
from perdure_functions.agents.run_requests import WAIT_HEADER
from perdure_functions.app import DFApp
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.models import StreamQuery
from perdure_functions.http_api.reading import BadRequest, read_body, read_query
from perdure_functions.links import origin
from perdure_functions.stream_answers import answer_stream

WORKFLOW_CODES: dict[type[Exception], int] = {
    UnknownRequestError: 404,
    AnsweredRequestError: 409,
    InstanceEndedError: 409,
    WorkflowInputError: 400,
    WorkflowResponseError: 400,
}
_ENDED_CODES = {"Completed": 200, "Failed": 500, "Terminated": 409}
"""Status of the answer to whoever has waited for a run's end; that of agents' turns is the same."""
_DEFAULT_WAIT, _LONGEST_WAIT = 10, 200
"""Seconds that a request waits for a run's end; the HTTP gateways before a Function app give up after 230."""
_RUN_ID_LIMIT = 100


def add_workflow_routes(app: DFApp, definition: WorkflowDefinition) -> None:
    """Add the routes of one workflow.

    Args:
        app: the Function app.
        definition: the workflow.
    """
    routes = _WorkflowRoutes(definition)
    base = f"workflow/{definition.name}"
    for purpose, method, route, handler in (
        ("start", "POST", f"{base}/run", routes.run),
        ("status", "GET", f"{base}/status/{{instanceId}}", routes.status),
        ("respond", "POST", f"{base}/respond/{{instanceId}}/{{requestId}}", routes.respond),
        ("cancel", "POST", f"{base}/cancel/{{instanceId}}", routes.cancel),
        ("events", "GET", f"{base}/events/{{instanceId}}", routes.events),
    ):
        name = f"{definition.orchestration}-{purpose}"
        add_route(app, name, method, route, handler=handler, codes=WORKFLOW_CODES)


class _WorkflowRoutes:
    def __init__(self, definition: WorkflowDefinition) -> None:
        self._definition = definition

    async def run(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        waits, seconds = _wait(request), _seconds(request)
        runs = WorkflowRuns(self._definition, client)
        instance_id = await runs.start(_body(request), _run_id(request))
        if waits:
            try:
                await client.wait_for_completion(instance_id, seconds)
            except TimeoutError:
                return self._accepted(request, instance_id)
            result = _result(await runs.status(instance_id))
            return json_response(_ENDED_CODES[result["runtimeStatus"]], result)
        return self._accepted(request, instance_id)

    async def status(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        instance_id = in_route(request, "instanceId")
        status = await WorkflowRuns(self._definition, client).status(instance_id)
        written = status.to_json()
        shown: dict[str, Any] = {
            **_result(status),
            "customStatus": status.custom_status,
            "createdTime": written.get("createdTime"),
            "lastUpdatedTime": written.get("lastUpdatedTime"),
        }
        if not has_ended(status) and (pending := pending_of(status)):
            shown["pendingHumanInputRequests"] = [
                {**each, "respondUrl": self._url(request, "respond", instance_id, each["requestId"])}
                for each in pending
            ]
        return json_response(200, shown)

    async def respond(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        instance_id, request_id = (in_route(request, name) for name in ("instanceId", "requestId"))
        answer = read_body(request)
        await WorkflowRuns(self._definition, client).respond(instance_id, request_id, answer)
        told = {"message": "Response delivered successfully", "instanceId": instance_id, "requestId": request_id}
        return json_response(200, told)

    async def cancel(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        instance_id = in_route(request, "instanceId")
        reason = request.params.get("reason") or "cancelled"
        await WorkflowRuns(self._definition, client).cancel(instance_id, reason)
        return json_response(202, {"message": "Cancellation requested", "instanceId": instance_id})

    async def events(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        """Answer with the events that there are, or wait for the next one; an EventSource comes again by itself."""
        instance_id = in_route(request, "instanceId")
        await WorkflowRuns(self._definition, client).status(instance_id)
        query = read_query(request, StreamQuery)
        return await answer_stream(request, client, instance_id, STREAM, cursor=query.cursor, wait=query.wait)

    def _accepted(self, request: func.HttpRequest, instance_id: str) -> func.HttpResponse:
        status_url = self._url(request, "status", instance_id)
        content = {
            "instanceId": instance_id,
            "statusQueryGetUri": status_url,
            "respondUri": f"{self._url(request, 'respond', instance_id)}/{{requestId}}",
            "message": "Workflow started",
        }
        return json_response(202, content, {"Location": status_url, "Retry-After": "5"})

    def _url(self, request: func.HttpRequest, *parts: str) -> str:
        path = request.url.partition("?")[0]
        base = path[path.index("/", path.index("//") + 2) : path.rindex("/workflow/")]
        ways = [quote(part, safe="") for part in ("workflow", self._definition.name, *parts)]
        return f"{origin(request)}{base}/{'/'.join(ways)}"


def _result(status: DurableOrchestrationStatus) -> dict[str, Any]:
    """Return a run's end, or that it has not come."""
    name = status.runtime_status.name if status.runtime_status is not None else None
    shown = {"instanceId": status.instance_id, "runtimeStatus": name, "output": None, "error": None}
    if name == "Completed":
        shown["output"] = status.output
    elif has_ended(status):
        shown["error"] = status.output
    return shown


def _body(request: func.HttpRequest) -> Any:
    """Return the input: JSON, or plain text."""
    if not request.get_body():
        raise BadRequest("the body is empty: it is the workflow's input, JSON or plain text")
    content_type = media_type(request.headers.get("Content-Type"))
    if content_type.startswith("text/"):
        return text_body(request)
    try:
        return read_body(request)
    except BadRequest:
        if content_type.endswith("json"):
            raise
        return text_body(request)


def _wait(request: func.HttpRequest) -> bool:
    said = truth(request.headers.get(WAIT_HEADER))
    if said is not None:
        return said
    given = request.params.get("waitForResponse")
    said = truth(given)
    if given is not None and said is None:
        raise BadRequest(f"waitForResponse is true or false, not '{given}'")
    return bool(said)


def _seconds(request: func.HttpRequest) -> int:
    given = request.params.get("timeoutSeconds")
    if given is None:
        return _DEFAULT_WAIT
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:4]) <= _LONGEST_WAIT or len(given) > 3:  # noqa: PLR2004 - digits of the longest wait
        raise BadRequest(f"timeoutSeconds is a whole number from 1 to {_LONGEST_WAIT}, not '{given}'")
    return int(given)


def _run_id(request: func.HttpRequest) -> str | None:
    given: str | None = request.params.get("runId")
    if given is None:
        return None
    if not 1 <= len(given) <= _RUN_ID_LIMIT or given[0] == "@" or not given.isprintable() or set(given) & set("/\\#?"):
        raise BadRequest(
            f"runId has 1 to {_RUN_ID_LIMIT} printable characters without '/', '\\', '#' and '?', and does not begin "
            f"with '@'"
        )
    return given
