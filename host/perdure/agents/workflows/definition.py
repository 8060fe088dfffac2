"""A workflow as it is registered: all that its orchestrator and its activities share."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent_framework import AgentExecutor, Executor, FunctionalWorkflowDefinition, Workflow, WorkflowExecutor

from perdure.agents.workflows.activity import ExecutorActivity
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.declared_types import DeclaredTypes
from perdure.agents.workflows.framework import MESSAGE_TYPES
from perdure.agents.workflows.functional import FunctionalActivity, declared_by_function
from perdure.agents.workflows.graph import Graph
from perdure.agents.workflows.naming import activity_name, checked_executor_id, is_made_up, orchestration_name
from perdure.agents.workflows.wire import Done, Work
from perdure.core.retry import RetryPolicy

Retry = RetryPolicy | Mapping[str, RetryPolicy] | None
"""How executors that raise are tried again: all of them alike, or by their ids."""


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
    retry: Retry = None
    tasks_per_generation: int = 200
    """Activities after which a run continues as new, so that its history stays short."""
    events: bool = True
    """Whether events go to a durable stream of the instance."""

    @property
    def orchestration(self) -> str:
        """Name of its orchestration."""
        return orchestration_name(self.name)

    def activity(self, executor_id: str) -> str:
        """Return the name of an executor's activity."""
        return activity_name(self.name, executor_id)

    def retry_of(self, executor_id: str) -> RetryPolicy | None:
        """Return how an executor that raises is tried again."""
        return self.retry.get(executor_id) if isinstance(self.retry, Mapping) else self.retry

    def all(self) -> Iterator[WorkflowDefinition]:
        """Yield it and all that it wraps."""
        yield self
        for nested in self.nested.values():
            yield from nested.all()


def define(
    make: Callable[[], Workflow],
    name: str,
    *,
    types: Iterable[Any] = (),
    retry: Retry = None,
    tasks_per_generation: int = 200,
    events: bool = True,
) -> WorkflowDefinition:
    """Return the definition of a workflow and of those that it wraps.

    Args:
        make: returns the workflow, the same object each time or another one that is built alike.
        name: what its functions are called by.
        types: further types that may be stored, beside those that handlers declare.
        retry: how executors that raise are tried again.
        tasks_per_generation: activities after which a run continues as new.
        events: whether events go to a durable stream of the instance.

    Raises:
        WorkflowRegistrationError: names or types are unusable.
    """
    workflow = make()
    extra = tuple(types)
    nested: dict[str, WorkflowDefinition] = {}
    for executor_id, executor in workflow.executors.items():
        checked_executor_id(name, executor_id)
        if isinstance(executor, WorkflowExecutor):
            its_name = executor.workflow.name
            nested[executor_id] = define(
                _wrapped_by(make, executor_id),
                f"{name}-{executor_id}" if is_made_up(its_name) else its_name,
                types=extra,
                retry=None if isinstance(retry, Mapping) else retry,
                tasks_per_generation=tasks_per_generation,
                events=events,
            )
    codec = Codec(DeclaredTypes([*MESSAGE_TYPES, *extra, *declared_by(workflow)]))
    activities = {each: ExecutorActivity(make, codec, each).run for each in workflow.executors}
    return WorkflowDefinition(
        name,
        activities,
        Graph.of(workflow),
        codec,
        nested,
        workflow.graph_signature_hash,
        retry,
        tasks_per_generation,
        events,
    )


def define_functional(
    workflow: FunctionalWorkflowDefinition,
    name: str,
    *,
    types: Iterable[Any] = (),
    retry: Retry = None,
    tasks_per_generation: int = 200,
    events: bool = True,
) -> WorkflowDefinition:
    """Return the definition of a workflow that is written as a function; see `define`."""
    executor_id = checked_executor_id(name, workflow.name)
    codec = Codec(DeclaredTypes([*MESSAGE_TYPES, *types, *declared_by_function(workflow)]))
    graph = Graph(executor_id, sys.maxsize, {}, {}, {})
    activities = {executor_id: FunctionalActivity(workflow, codec).run}
    return WorkflowDefinition(name, activities, graph, codec, {}, name, retry, tasks_per_generation, events)


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
