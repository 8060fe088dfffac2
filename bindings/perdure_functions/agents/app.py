"""A Function app of agents. Its constructor and methods are those of the Agent Framework's own Functions host."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import azure.functions as func

from perdure.agents.callbacks import AgentResponseCallbackProtocol
from perdure.agents.definition import DurableAgentDefinition
from perdure.agents.errors import AgentError
from perdure.agents.naming import entity_name, turn_name
from perdure.agents.orchestrated import DurableAIAgent
from perdure.agents.workflows import WorkflowDefinition
from perdure.core.context import OrchestrationContext
from perdure_functions.agents.health import add_health_route
from perdure_functions.agents.mcp_tools import add_mcp_tool
from perdure_functions.agents.request_routes import add_request_routes
from perdure_functions.agents.run_routes import Waiting, add_agent_routes, add_unknown_route
from perdure_functions.agents.workflow_functions import add_workflow
from perdure_functions.app import DFApp

_log = logging.getLogger("perdure.agents")

_MAX_POLL_RETRIES = 30
_POLL_INTERVAL = 1.0
_DEFAULTS = set(inspect.signature(DurableAgentDefinition).parameters) - {"agent", "client", "name", "callback"}
"""What may be said for all agents at once."""


class AgentFunctionApp(DFApp):
    """A Function app whose agents are durable.

    Each agent has an entity (its sessions), an orchestrator (its turns), activities (its model, its tools) and, unless
    that is switched off, HTTP routes below `agents/{name}`. Everything else that `DFApp` offers is there as well.

    Args:
        agents: the agents; more may be added with `add_agent`.
        workflow: a workflow of the Agent Framework, if there is just one.
        workflows: its workflows, or these by the names that they are to have; more may be added with `add_workflow`.
        http_auth_level: key that the routes ask for.
        enable_health_check: offer `GET health`.
        enable_http_endpoints: offer the agents' routes.
        enable_mcp_tool_trigger: offer each agent as a tool over the Model Context Protocol.
        default_callback: is told of the answers of agents that have no callback of their own.
        max_poll_retries: with `poll_interval_seconds`, how long a request waits for an answer: so many times this.
        poll_interval_seconds: seconds.
        workflow_options: options of `add_workflow` for all these workflows, such as `agent_mode`.
        defaults: options of `add_agent` for all agents, such as `mode` or `expires_after`.

    Raises:
        AgentError: an agent can't be made durable, or two have the same name.
        TypeError: there is no such option.
    """

    def __init__(  # noqa: PLR0917 - the order in which the framework's own host takes them
        self,
        agents: Sequence[Any] | None = None,
        workflow: Any = None,
        workflows: Sequence[Any] | Mapping[str, Any] | None = None,
        http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION,
        enable_health_check: bool = True,
        enable_http_endpoints: bool = True,
        max_poll_retries: int = _MAX_POLL_RETRIES,
        poll_interval_seconds: float = _POLL_INTERVAL,
        enable_mcp_tool_trigger: bool = False,
        default_callback: AgentResponseCallbackProtocol | None = None,
        *,
        workflow_options: Mapping[str, Any] | None = None,
        **defaults: Any,
    ) -> None:
        super().__init__(http_auth_level=http_auth_level)
        unknown = next((name for name in defaults if name not in _DEFAULTS), None)
        if unknown is not None:
            raise TypeError(f"AgentFunctionApp has no option '{unknown}'")
        if max_poll_retries < 1 or not poll_interval_seconds > 0:
            raise AgentError("max_poll_retries is at least 1, and poll_interval_seconds more than zero")
        self.enable_http_endpoints = enable_http_endpoints
        self.enable_mcp_tool_trigger = enable_mcp_tool_trigger
        self._waiting = Waiting(max_poll_retries * poll_interval_seconds)
        self._defaults = {"callback": default_callback, **defaults}
        self._definitions: dict[str, DurableAgentDefinition] = {}
        self._routed: list[DurableAgentDefinition] = []
        self._routed_workflows: list[WorkflowDefinition] = []
        """Agents that have routes."""
        if enable_health_check:
            add_health_route(self, lambda: list(self._definitions.values()))
        self.workflows: dict[str, WorkflowDefinition] = {}
        """The workflows by name."""
        for agent in _listed("agents is a list", "agents", agents):
            self.add_agent(agent)
        if not isinstance(workflows, Mapping):
            workflows = _listed("workflows is a list, or a dictionary by their names", "workflows", workflows)
        named = workflows.items() if isinstance(workflows, Mapping) else ((None, each) for each in workflows or ())
        for name, each in ((None, workflow), *named) if workflow is not None else named:
            options = dict(workflow_options or {}) | ({"name": name} if name else {})
            self.add_workflow(each, **options)

    @property
    def agents(self) -> Mapping[str, Any]:
        """The agents by name."""
        return {name: definition.agent for name, definition in self._definitions.items()}

    def add_agent(
        self,
        agent: Any,
        callback: AgentResponseCallbackProtocol | None = None,
        enable_http_endpoint: bool | None = None,
        enable_mcp_tool_trigger: bool | None = None,
        *,
        entity_id: str | None = None,
        **options: Any,
    ) -> None:
        """Make an agent durable.

        Args:
            agent: any object with the Agent Framework's agent protocol; `as_agent` makes one of a function.
            callback: is told of its answers.
            enable_http_endpoint: offer its routes; by default what the app says.
            enable_mcp_tool_trigger: offer it as a tool; by default what the app says.
            entity_id: the name to use in place of its own, as the framework's host calls it; the same as `name`.
            options: `name`, `mode`, `model_retry`, `tool_retry`, `human`, `expires_after`, `max_transcript_bytes`,
                `compaction`: see `perdure.agents.DurableAgentDefinition`.

        Raises:
            AgentError: it can't be made durable, there is an agent of this name, or a workflow whose functions have
                the names of the agent's.
        """
        named = {} if entity_id is None else {"name": entity_id}
        chosen = self._defaults | named | options | ({} if callback is None else {"callback": callback})
        definition = DurableAgentDefinition(agent, self.runtime.client, **chosen)
        taken = next((name for name in self._definitions if name.casefold() == definition.name.casefold()), None)
        if taken is not None:
            raise AgentError(f"there is an agent '{taken}' already: names are told apart by more than their case")
        definition.claim_names(self)
        self._definitions[definition.name] = definition
        self._add_functions(definition)
        if self.enable_http_endpoints if enable_http_endpoint is None else enable_http_endpoint:
            self._add_routes(definition)
        if self.enable_mcp_tool_trigger if enable_mcp_tool_trigger is None else enable_mcp_tool_trigger:
            add_mcp_tool(self, definition)

    def add_workflow(self, workflow: Any, *, enable_http_endpoint: bool | None = None, **options: Any) -> None:
        """Make a workflow durable.

        Args:
            workflow: a `Workflow`, or a function without parameters that builds one.
            enable_http_endpoint: offer its routes; by default what the app says.
            options: `name`, `types`, `retry`, `tasks_per_generation`, `events`, `updates`, `agent_mode`, `model_retry`,
                `tool_retry`, `human`: see `perdure.agents.workflows.register_workflow`.

        Raises:
            WorkflowRegistrationError: a name is unusable or taken, or two types have one name.
        """
        offered = self.enable_http_endpoints if enable_http_endpoint is None else enable_http_endpoint
        definition = add_workflow(self, workflow, enable_http_endpoint=offered, **options)
        self.workflows[definition.name] = definition
        if offered:
            self._routed_workflows.append(definition)
            self._offer_requests()

    def get_agent(self, context: OrchestrationContext, agent_name: str) -> DurableAIAgent:
        """Return an agent for an orchestration to call: `reply = yield app.get_agent(context, "writer").run("...")`.

        Raises:
            AgentError: the app has no such agent.
        """
        if agent_name not in self._definitions:
            known = ", ".join(sorted(self._definitions)) or "none"
            raise AgentError(f"there is no agent '{agent_name}' in this app; it has: {known}")
        return DurableAIAgent(context, agent_name)

    def _add_routes(self, definition: DurableAgentDefinition) -> None:
        if not self._routed:
            add_unknown_route(self, lambda: self._routed)
        self._routed.append(definition)
        self._offer_requests()
        add_agent_routes(self, definition, self._waiting)

    def _offer_requests(self) -> None:
        """Offer the list of what people are asked, once."""
        if len(self._routed) + len(self._routed_workflows) == 1:
            add_request_routes(self, lambda: self._routed, lambda: self._routed_workflows)

    def _add_functions(self, definition: DurableAgentDefinition) -> None:
        self.orchestration_trigger("context", orchestration=turn_name(definition.name))(definition.run_turn)
        self.activity_trigger("work", activity=definition.model_activity)(definition.ask_model)
        self.activity_trigger("work", activity=definition.tool_activity)(definition.run_tool)
        entity = self.entity_trigger("context", entity_name(definition.name), expires_after=definition.expires_after)
        entity(definition.entity.perform).before_expiry = definition.before_expiry


def _listed(what: str, name: str, given: Any) -> list[Any]:
    if given is not None and (not isinstance(given, Iterable) or isinstance(given, str | Mapping)):
        raise AgentError(f"{what}: write {name}=[...], not {given!r:.200}")
    return list(given or ())
