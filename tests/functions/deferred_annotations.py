"""Functions whose annotations are texts, one of a name that exists for type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

if TYPE_CHECKING:
    from perdure_functions import DurableOrchestrationClient


def define(app):
    @app.route("deferred")
    @app.durable_client_input(client_name="client")
    async def deferred(req: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        return func.HttpResponse(client.task_hub_name)
