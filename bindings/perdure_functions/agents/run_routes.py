"""The HTTP routes of agents: run a turn, its result later, the transcript, answers to what it asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import azure.functions as func

from perdure.agents.definition import DurableAgentDefinition
from perdure.agents.errors import AgentError, UnreadableSession
from perdure.agents.sessions import STREAM, AlreadyAnswered, UnknownSession, UnknownTurn
from perdure_functions.agents.answering import add_route, in_route, object_body
from perdure_functions.agents.host_functions import function_name
from perdure_functions.agents.run_requests import SESSION_HEADER, read_request
from perdure_functions.app import DFApp
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.models import StreamQuery
from perdure_functions.http_api.reading import read_query
from perdure_functions.stream_answers import LAST_EVENT_ID, answer_stream, header

AGENT_CODES: dict[type[Exception], int] = {
    UnknownTurn: 404,
    UnknownSession: 404,
    AlreadyAnswered: 409,
    UnreadableSession: 500,
    AgentError: 400,
}
_SHOWN = "POST run, GET sessions/{id}, DELETE sessions/{id}, GET sessions/{id}/runs/{correlationId}, GET stream/{id}"
_STATUS_CODES = {"success": 200, "running": 202, "waiting": 202, "failed": 500, "canceled": 409}


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long requests wait for answers, in seconds."""

    seconds: float


def add_agent_routes(app: DFApp, definition: DurableAgentDefinition, waiting: Waiting) -> None:
    """Add the routes of one agent.

    Args:
        app: the Function app.
        definition: the agent.
        waiting: how long a request waits for an answer.
    """
    routes = _AgentRoutes(definition, waiting)
    base = f"agents/{definition.name}"
    session = f"{base}/sessions/{{sessionId}}"
    for purpose, method, route, handler in (
        ("http", "POST", f"{base}/run", routes.run),
        ("result", "GET", f"{session}/runs/{{correlationId}}", routes.result),
        ("answer", "POST", f"{session}/runs/{{correlationId}}/requests/{{requestId}}", routes.answer),
        ("transcript", "GET", session, routes.transcript),
        ("forget", "DELETE", session, routes.forget),
        ("stream", "GET", f"{base}/stream/{{sessionId}}", routes.stream),
    ):
        add_route(app, function_name(definition.name, purpose), method, route, handler=handler, codes=AGENT_CODES)


def add_unknown_route(app: DFApp, definitions: Callable[[], Sequence[DurableAgentDefinition]]) -> None:
    """Add what answers below `agents` where no agent's route does: the Functions host itself says 404, and no more.

    Args:
        app: the Function app.
        definitions: returns the agents that have routes.
    """

    async def unknown(req: func.HttpRequest) -> func.HttpResponse:
        asked, names = in_route(req, "agent"), [each.name for each in definitions()]
        known = next((name for name in names if name.casefold() == asked.casefold()), None)
        if known is None:
            told = f"there is no agent '{asked}' in this app; it has: {', '.join(sorted(names)) or 'none'}"
        else:
            told = f"agent '{known}' has nothing at {req.method} '{req.route_params.get('rest') or ''}': see {_SHOWN}"
        return json_response(404, {"error": told})

    trigger = app.route(route="agents/{agent}/{*rest}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    app.function_name("agent-unknown")(trigger(unknown))


class _AgentRoutes:
    def __init__(self, definition: DurableAgentDefinition, waiting: Waiting) -> None:
        self._definition = definition
        self._waiting = waiting

    async def run(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        asked = read_request(request)
        sessions = self._definition.sessions(client)
        await sessions.start(asked.session, asked.request)
        wait = self._waiting.seconds if asked.wait else 0
        result = await sessions.result(asked.session, asked.request.correlation_id, wait=wait)
        if not asked.wait and result["status"] == "running":
            result["status"] = "accepted"
        return _shown(self._definition.name, result, as_text=asked.as_text)

    async def result(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        session, correlation = (in_route(request, name) for name in ("sessionId", "correlationId"))
        return _shown(self._definition.name, await self._definition.sessions(client).result(session, correlation))

    async def answer(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        session, correlation, asked = (in_route(request, name) for name in ("sessionId", "correlationId", "requestId"))
        await self._definition.sessions(client).answer(session, correlation, asked, object_body(request))
        return json_response(202, {"status": "accepted", "session_id": session, "correlation_id": correlation})

    async def transcript(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        session = in_route(request, "sessionId")
        state, running = await self._definition.sessions(client).overview(session)
        content = {
            "agent": self._definition.name,
            "session_id": session,
            "turns": state.turns,
            "message_count": len(state.messages),
            "dropped_messages": state.dropped,
            "running_turn": running,
            "messages": state.messages,
        }
        return json_response(200, content)

    async def stream(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        session, query = in_route(request, "sessionId"), read_query(request, StreamQuery)
        cursor = header(request.headers, LAST_EVENT_ID) or query.cursor or None
        turn = await self._definition.sessions(client).turn_of(session, request.params.get("correlation_id"), cursor)
        return await answer_stream(request, client, turn, STREAM, cursor=query.cursor, wait=query.wait)

    async def forget(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        session = in_route(request, "sessionId")
        gone = await self._definition.sessions(client).forget(session)
        if gone:
            return func.HttpResponse(status_code=204)
        return json_response(202, {"status": "deleting", "session_id": session})


def _shown(agent: str, result: dict[str, Any], *, as_text: bool = False) -> func.HttpResponse:
    """Return the answer to a caller who wants a turn's result."""
    code = _STATUS_CODES[result["status"]] if result["status"] != "accepted" else 202
    headers = {SESSION_HEADER: _header_text(result["session_id"])}
    if code == 202:  # noqa: PLR2004 - accepted
        headers["Location"] = run_path(agent, result)
    shown = {key: result[key] for key in result if key not in ("messages", "startedAt", "completedAt", "agent")}
    if as_text:
        text = result["response"] or result.get("error", {}).get("message") or f"The turn is {result['status']}."
        return func.HttpResponse(text, status_code=code, headers=headers, mimetype="text/plain")
    if "error" in shown:
        shown["error"] = shown["error"]["message"]
    if code == 202:  # noqa: PLR2004 - accepted
        shown["result_path"], shown["stream_path"] = headers["Location"], _stream_path(agent, result)
    return json_response(code, shown, headers)


def _header_text(value: str) -> str:
    return value if value.isascii() and value.isprintable() and value == value.strip() else quote(value)


def run_path(agent: str, result: dict[str, Any]) -> str:
    """Return the path of a turn's result."""
    return f"/api/agents/{quote(agent)}/sessions/{quote(result['session_id'], safe='')}/runs/{result['correlation_id']}"


def _stream_path(agent: str, result: dict[str, Any]) -> str:
    session = quote(result["session_id"], safe="")
    return f"/api/agents/{quote(agent)}/stream/{session}?correlation_id={result['correlation_id']}"
