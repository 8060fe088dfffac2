"""The HTTP routes of what people are asked, by agents and workflows alike: one list, and one place to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import azure.functions as func

from perdure.agents.definition import DurableAgentDefinition
from perdure.agents.naming import turn_id, turn_name, turn_parts
from perdure.agents.workflows import UnknownRequestError, WorkflowDefinition, WorkflowRuns
from perdure.agents.workflows.runs import open_requests
from perdure_functions.agents.answering import add_route, in_route, object_body
from perdure_functions.agents.run_routes import AGENT_CODES, run_path
from perdure_functions.agents.workflow_routes import WORKFLOW_CODES
from perdure_functions.app import DFApp
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.reading import read_body

_CODES = {**AGENT_CODES, **WORKFLOW_CODES}


def add_request_routes(
    app: DFApp,
    agents: Callable[[], Sequence[DurableAgentDefinition]],
    workflows: Callable[[], Sequence[WorkflowDefinition]],
) -> None:
    """Add `GET agents/requests`, what people are asked, and `POST agents/requests/{instanceId}/{requestId}`, to answer.

    Args:
        app: the Function app.
        agents: returns the agents that have routes.
        workflows: returns the workflows that have routes.
    """
    routes = _RequestRoutes(agents, workflows)
    one = "agents/requests/{instanceId}/{requestId}"
    add_route(app, "agent-requests", "GET", "agents/requests", handler=routes.requests, codes=_CODES)
    add_route(app, "agent-requests-answer", "POST", one, handler=routes.answer, codes=_CODES)


class _RequestRoutes:
    def __init__(
        self,
        agents: Callable[[], Sequence[DurableAgentDefinition]],
        workflows: Callable[[], Sequence[WorkflowDefinition]],
    ) -> None:
        self._agents = agents
        self._workflows = workflows

    async def requests(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        wanted = {name: request.params.get(name) for name in ("agent", "session_id", "workflow")}
        found: list[dict[str, Any]] = []
        if wanted["workflow"] is None:
            found += await self._of_agents(client, wanted["agent"], wanted["session_id"])
        if wanted["agent"] is None and wanted["session_id"] is None:
            found += await self._of_workflows(client, wanted["workflow"])
        return json_response(200, {"requests": found})

    async def _of_agents(
        self, client: DurableOrchestrationClient, agent: str | None, session: str | None
    ) -> list[dict[str, Any]]:
        return [
            {**pending, "instanceId": _turn(pending), "answerPath": _answer_path(pending)}
            for definition in self._agents()
            if agent in (None, definition.name)
            async for pending in definition.sessions(client).pending(session)
        ]

    async def _of_workflows(self, client: DurableOrchestrationClient, workflow: str | None) -> list[dict[str, Any]]:
        wanted = [each for each in self._workflows() if workflow in (None, each.name)]
        return [
            {**pending, "answerPath": _common_path(pending["instanceId"], pending["requestId"])}
            async for pending in open_requests(client, wanted)
        ]

    async def answer(self, request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        instance_id, request_id = in_route(request, "instanceId"), in_route(request, "requestId")
        status = await client.get_status(instance_id)
        name = status.name if status else None
        workflow = next((each for each in self._workflows() if each.orchestration == name), None)
        agent = next((each for each in self._agents() if turn_name(each.name) == name), None)
        if workflow is not None:
            await WorkflowRuns(workflow, client).respond(instance_id, request_id, read_body(request))
        elif agent is not None:
            session, correlation = turn_parts(agent.name, instance_id)
            await agent.sessions(client).answer(session, correlation, request_id, object_body(request))
        else:
            raise UnknownRequestError(
                f"no agent and no workflow of this app asks anything in an instance '{instance_id}'"
            )
        return json_response(202, {"status": "accepted", "instanceId": instance_id, "requestId": request_id})


def _turn(pending: dict[str, Any]) -> str:
    return turn_id(pending["agent"], pending["session_id"], pending["correlation_id"])


def _answer_path(pending: dict[str, Any]) -> str:
    return f"{run_path(pending['agent'], pending)}/requests/{pending['requestId']}"


def _common_path(instance_id: str, request_id: str) -> str:
    return f"/api/agents/requests/{quote(instance_id, safe='')}/{quote(request_id, safe='')}"
