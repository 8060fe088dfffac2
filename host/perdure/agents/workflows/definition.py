"""A workflow as it is registered: all that its orchestrator and its activities share."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent_framework import (
    AgentExecutor,
    Executor,
    FunctionalWorkflowDefinition,
    FunctionTool,
    Workflow,
    WorkflowExecutor,
)

from perdure.agents.retries import policy_of
from perdure.agents.special_tools import orchestration_of
from perdure.agents.workflows.activity import ExecutorActivity
from perdure.agents.workflows.agent_calls import agents_of, has_agents
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.declared_types import DeclaredTypes
from perdure.agents.workflows.errors import WorkflowRegistrationError
from perdure.agents.workflows.framework import MESSAGE_TYPES
from perdure.agents.workflows.functional import FunctionalActivity, declared_by_function
from perdure.agents.workflows.graph import Graph
from perdure.agents.workflows.inputs import input_message
from perdure.agents.workflows.isolation import keeps_objects
from perdure.agents.workflows.naming import (
    activity_name,
    checked_executor_id,
    is_made_up,
    model_activity_name,
    orchestration_name,
    superstep_activity_name,
    tool_activity_name,
)
from perdure.agents.workflows.options import Options
from perdure.agents.workflows.stepped_executor import SteppedActivities
from perdure.agents.workflows.wire import Done, Work
from perdure.core.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class WorkflowDefinition:
    """A registered workflow."""

    name: str
    activities: Mapping[str, Callable[[Work], Awaitable[Done]]]
    """What its executors do, by their ids."""
    graph: Graph
    codec: Codec
    nested: Mapping[str, WorkflowDefinition]
    """The workflows that executors wrap, by the executors' ids."""
    signature: str
    """Of its shape: the same for two definitions of the same workflow."""
    options: Options
    """How it is run."""
    stepped: Mapping[str, SteppedActivities]
    """The activities of the executors whose agents run in mode `steps`."""
    check_input: Callable[[Any], object]
    """Raises WorkflowInputError for JSON that it can't start with."""

    @property
    def orchestration(self) -> str:
        """Name of its orchestration."""
        return orchestration_name(self.name)

    @property
    def marks(self) -> str | None:
        """Name of the activity that tells of its supersteps; None if its only executor does that."""
        alone = not self.graph.groups_of and not self.nested
        return superstep_activity_name(self.name) if self.options.events and not alone else None

    def activity(self, executor_id: str) -> str:
        """Return the name of an executor's activity."""
        return activity_name(self.name, executor_id)

    def retry_of(self, executor_id: str) -> RetryPolicy | None:
        """Return how an executor that raises is tried again."""
        return policy_of(self.options.retry, executor_id)

    def activities_of(self, executor_id: str) -> list[str]:
        """Return the names of the activities that all run an executor."""
        stepped = self.stepped.get(executor_id)
        return [self.activity(executor_id)] if stepped is None else [stepped.handlers, stepped.model, stepped.tool]

    def all(self) -> Iterator[WorkflowDefinition]:
        """Yield it and all that it wraps."""
        yield self
        for nested in self.nested.values():
            yield from nested.all()


def define(make: Callable[[], Workflow], name: str, options: Options | None = None) -> WorkflowDefinition:
    """Return the definition of a workflow and of those that it wraps.

    Args:
        make: returns the workflow, the same object each time or another one that is built alike.
        name: what its functions are called by.
        options: how it is run.

    Raises:
        WorkflowRegistrationError: names, types or options are unusable.
    """
    options, workflow = options or Options(), make()
    if options.agent_mode not in ("turn", "steps"):
        raise WorkflowRegistrationError(
            f"workflow '{name}': its agent_mode is 'turn' or 'steps', not '{options.agent_mode}'"
        )
    inner = replace(options, retry=None if isinstance(options.retry, Mapping) else options.retry)
    nested: dict[str, WorkflowDefinition] = {}
    for executor_id, executor in workflow.executors.items():
        checked_executor_id(name, executor_id)
        if isinstance(executor, WorkflowExecutor):
            its_name = executor.workflow.name
            its_name = f"{name}-{executor_id}" if is_made_up(its_name) else its_name
            nested[executor_id] = define(_wrapped_by(make, executor_id), its_name, inner)
    codec = Codec(DeclaredTypes([*MESSAGE_TYPES, *options.types, *declared_by(workflow)]))
    activities = {each: ExecutorActivity(make, codec, each, options).run for each in workflow.executors}
    stepped = {each.id: _stepped(name, each, options) for each in workflow.executors.values() if _steps(each, options)}
    if stepped:
        _check_steps(name, make, workflow, codec, stepped)
    else:
        _refuse_orchestrations(name, workflow)
    signature, graph = workflow.graph_signature_hash, Graph.of(workflow)

    def check_input(data: Any) -> object:
        built = make()
        return input_message(built, built.executors[graph.start], data)

    return WorkflowDefinition(name, activities, graph, codec, nested, signature, options, stepped, check_input)


def define_functional(
    workflow: FunctionalWorkflowDefinition, name: str, options: Options | None = None
) -> WorkflowDefinition:
    """Return the definition of a workflow that is written as a function; see `define`."""
    options = options or Options()
    if options.agent_mode != "turn":
        raise WorkflowRegistrationError(
            f"workflow '{name}' is a function, whose steps are stored in any case: it has no agent_mode "
            f"'{options.agent_mode}'"
        )
    executor_id = checked_executor_id(name, workflow.name)
    codec = Codec(DeclaredTypes([*MESSAGE_TYPES, *options.types, *declared_by_function(workflow)]))
    graph = Graph(executor_id, sys.maxsize, {}, {}, {})
    activity = FunctionalActivity(workflow, codec)
    activities = {executor_id: activity.run}
    return WorkflowDefinition(name, activities, graph, codec, {}, name, options, {}, activity.input)


def _check_steps(
    name: str, make: Callable[[], Workflow], workflow: Workflow, codec: Codec, stepped: Iterable[str]
) -> None:
    """Handlers of such executors run several times for one run: what they leave in objects would be there twice."""
    for executor_id in stepped:
        if make() is workflow and keeps_objects(workflow.executors[executor_id], codec):
            raise WorkflowRegistrationError(
                f"workflow '{name}': executor '{executor_id}' keeps a run's data in objects of its own; for agent_mode "
                f"'steps' register a function that builds the workflow"
            )


def _refuse_orchestrations(name: str, workflow: Workflow) -> None:
    """The framework would ask people what such a tool's result is."""
    for executor in workflow.executors.values():
        for agent in agents_of(executor):
            for tool in agent.default_options.get("tools") or ():
                if isinstance(tool, FunctionTool) and orchestration_of(tool) is not None:
                    raise WorkflowRegistrationError(
                        f"workflow '{name}': tool '{tool.name}' of agent '{agent.name}' is an orchestration, which "
                        f"agents can only run in agent_mode 'steps'"
                    )


def _steps(executor: Executor, options: Options) -> bool:
    return options.agent_mode == "steps" and has_agents(executor)


def _stepped(name: str, executor: Executor, options: Options) -> SteppedActivities:
    return SteppedActivities(
        handlers=activity_name(name, executor.id),
        model=model_activity_name(name, executor.id),
        tool=tool_activity_name(name, executor.id),
        retry=policy_of(options.retry, executor.id),
        model_retry=options.model_retry,
        tool_retry=options.tool_retry,
    )


def _wrapped_by(make: Callable[[], Workflow], executor_id: str) -> Callable[[], Workflow]:
    def wrapped() -> Workflow:
        executor = make().executors[executor_id]
        assert isinstance(executor, WorkflowExecutor)  # noqa: S101 - it was one when it was registered
        return executor.workflow

    return wrapped


def declared_by(workflow: Workflow) -> Iterator[Any]:
    """Yield the types that a workflow's handlers take, send, yield, ask and are answered, and those of its agents."""
    for executor in workflow.executors.values():
        yield from _declared_by_executor(executor)
        if isinstance(executor, WorkflowExecutor):
            yield from declared_by(executor.workflow)


def _declared_by_executor(executor: Executor) -> Iterator[Any]:
    yield from executor.input_types
    yield from executor.output_types
    yield from executor.workflow_output_types
    for request_type, response_type in executor._response_handlers:  # noqa: SLF001 - the framework has no other list of them
        yield request_type
        yield response_type
    if isinstance(executor, AgentExecutor):
        options = getattr(executor.agent, "default_options", None)
        if isinstance(options, Mapping) and isinstance(options.get("response_format"), type):
            yield options["response_format"]
