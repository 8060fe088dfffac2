"""An agent as a tool over the Model Context Protocol: Azure Functions' own trigger for that."""

from __future__ import annotations

import json
from uuid import uuid4

import azure.functions as func

from perdure.agents.definition import DurableAgentDefinition
from perdure.agents.errors import AgentError, AgentTurnError
from perdure.agents.orchestrated import AgentSessionId
from perdure.agents.requests import RunRequest
from perdure_functions.agents.host_functions import add_function, function_name
from perdure_functions.app import DFApp
from perdure_functions.client import DurableOrchestrationClient

_PROPERTIES = json.dumps(
    [
        {
            "propertyName": "query",
            "propertyType": "string",
            "description": "What to ask the agent.",
            "isRequired": True,
            "isArray": False,
        },
        {
            "propertyName": "sessionId",
            "propertyType": "string",
            "description": "The conversation that this belongs to; leave it out to begin a new one.",
            "isRequired": False,
            "isArray": False,
        },
    ]
)
_LONGEST_WAIT = 210.0
"""Seconds; Azure gives a request 230 in all."""


def add_mcp_tool(app: DFApp, definition: DurableAgentDefinition) -> None:
    """Offer an agent as a tool.

    Args:
        app: the Function app.
        definition: the agent.
    """
    description = getattr(definition.agent, "description", None)

    trigger = app.mcp_tool_trigger(
        arg_name="context",
        tool_name=definition.name,
        description=description or f"Ask the agent {definition.name}.",
        tool_properties=_PROPERTIES,
        data_type=func.DataType.UNDEFINED,
    )

    async def mcp_tool(context: str, client: DurableOrchestrationClient) -> str:
        return await answered(definition, context, client)

    add_function(app, function_name(definition.name, "mcptool"), trigger, mcp_tool)


async def answered(definition: DurableAgentDefinition, context: str, client: DurableOrchestrationClient) -> str:
    """Run a turn for a call of the tool, and return the answer's text.

    Raises:
        AgentError: the call has no query.
        AgentTurnError: the turn failed, or takes too long.
    """
    try:
        arguments = json.loads(context).get("arguments") or {}
    except (ValueError, AttributeError) as error:
        raise AgentError(f"the call of tool '{definition.name}' is no JSON object: {error}") from error
    query = arguments.get("query")
    if not isinstance(query, str) or not query.strip():
        raise AgentError(f"tool '{definition.name}' needs a query: a text")
    given = (arguments.get(name) for name in ("sessionId", "threadId"))
    key = next((each for each in given if isinstance(each, str) and each.strip()), None)
    session = AgentSessionId.parse(key, definition.name).key if key is not None else uuid4().hex
    sessions = definition.sessions(client)
    request = RunRequest(message=query, correlationId=uuid4().hex)
    await sessions.start(session, request)
    result = await sessions.result(session, request.correlation_id, wait=_LONGEST_WAIT)
    if result["status"] != "success":
        why = result.get("error", {}).get("message", f"the turn is {result['status']}")
        raise AgentTurnError(f"agent '{definition.name}' gave no answer: {why}")
    return str(result["response"])
