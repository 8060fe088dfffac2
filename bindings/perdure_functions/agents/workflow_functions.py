"""What an app gets for a workflow: an orchestrator, activities, and HTTP routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent_framework import Workflow

from perdure.agents.workflows import WorkflowDefinition, register_workflow
from perdure_functions.agents.workflow_routes import add_workflow_routes
from perdure_functions.app import DFApp


class _AppTarget:
    """An app as a place where functions go."""

    def __init__(self, app: DFApp) -> None:
        self._app = app

    def add_orchestrator(self, name: str, function: Callable[..., Any]) -> None:
        self._app.orchestration_trigger("context", orchestration=name)(function)

    def add_activity(self, name: str, function: Callable[..., Any]) -> None:
        self._app.activity_trigger("work", activity=name)(function)


def add_workflow(
    app: DFApp, workflow: Workflow | Callable[[], Workflow], *, enable_http_endpoint: bool = True, **options: Any
) -> WorkflowDefinition:
    """Make a workflow durable in an app.

    Args:
        app: the Function app.
        workflow: the workflow, or a function without parameters that builds it.
        enable_http_endpoint: offer its routes.
        options: see `perdure.agents.workflows.register_workflow`.

    Raises:
        WorkflowRegistrationError: a name is unusable or taken, or two types have one name.
    """
    definition = register_workflow(_AppTarget(app), workflow, owner=app, **options)
    if enable_http_endpoint:
        add_workflow_routes(app, definition)
    return definition
