"""`GET health`: whether the app runs, and which agents it has."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import azure.functions as func

from perdure.agents.definition import DurableAgentDefinition
from perdure_functions.app import DFApp


def add_health_route(app: DFApp, definitions: Callable[[], Sequence[DurableAgentDefinition]]) -> None:
    """Add the route.

    Args:
        app: the Function app.
        definitions: returns the app's agents.
    """

    def health(req: func.HttpRequest) -> func.HttpResponse:
        del req
        agents = [{"name": each.name, "type": type(each.agent).__name__, "mode": each.mode} for each in definitions()]
        body = json.dumps({"status": "healthy", "agents": agents, "agent_count": len(agents)})
        return func.HttpResponse(body, mimetype="application/json")

    app.function_name("health")(app.route(route="health", methods=["GET"])(health))
