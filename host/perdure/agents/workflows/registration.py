"""Registers a workflow: an orchestration for it, an activity for each of its executors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from agent_framework import FunctionalWorkflowDefinition, Workflow

from perdure.agents.claims import claim
from perdure.agents.human import HumanPolicy
from perdure.agents.retries import MODEL_RETRY, Retry
from perdure.agents.workflows.answering import close
from perdure.agents.workflows.definition import WorkflowDefinition, define, define_functional
from perdure.agents.workflows.errors import WorkflowRegistrationError
from perdure.agents.workflows.events import marking
from perdure.agents.workflows.naming import checked_workflow_name
from perdure.agents.workflows.options import AgentMode, Options
from perdure.agents.workflows.orchestrator import orchestrator_of
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import Registry


class FunctionTarget(Protocol):
    """Where functions can be registered by name: an engine's registry, an app."""

    def add_orchestrator(self, name: str, function: Callable[..., Any]) -> None:
        """Register an orchestrator."""

    def add_activity(self, name: str, function: Callable[..., Any]) -> None:
        """Register an activity, whose parameter is named `work`."""


class _RegistryTarget:
    """An engine's registry as a target."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def add_orchestrator(self, name: str, function: Callable[..., Any]) -> None:
        self._registry.orchestrators.add(name, function)

    def add_activity(self, name: str, function: Callable[..., Any]) -> None:
        self._registry.activities.add(name, function)


_registered: WeakKeyDictionary[Any, dict[str, WorkflowDefinition]] = WeakKeyDictionary()
"""Workflows by the names of their orchestrations in lower case, by the owner of the functions."""


def register_workflow(
    target: FunctionTarget | Registry,
    workflow: Workflow | FunctionalWorkflowDefinition | Callable[[], Workflow],
    *,
    name: str | None = None,
    types: Iterable[Any] = (),
    retry: Retry = None,
    tasks_per_generation: int = 200,
    events: bool = True,
    updates: bool = False,
    agent_mode: AgentMode = "turn",
    model_retry: RetryPolicy | None = MODEL_RETRY,
    tool_retry: Retry = None,
    human: HumanPolicy | None = None,
    owner: Any = None,
) -> WorkflowDefinition:
    """Make durable functions of a workflow and of the workflows that it wraps.

    Args:
        target: where the functions go.
        workflow: the workflow, as its builder returns it; or a function without parameters that builds it, which is
            called for each activity: for workflows whose executors keep a run's data in objects of their own; or a
            function that the framework's `@workflow` has decorated.
        name: what it is called by, if not by its own name.
        types: further types that may be stored, beside those that handlers declare.
        retry: how executors that raise are tried again: a policy for all, or policies by executor id.
        tasks_per_generation: activities after which a run continues as new, so that its history stays short.
        events: whether what executors do is told in a durable stream, `events`, of the instance.
        updates: whether what models say is told there bit by bit, too, as events `update`: they are asked for answers
            that come so.
        agent_mode: `turn` runs all that an executor does in a superstep in one activity; in `steps` each call of an
            agent's model and each call of a tool is an activity of its own.
        model_retry: how a call of a model that fails is tried again, in mode `steps`; by default three attempts, two
            and four seconds apart.
        tool_retry: how a tool that fails is tried again, in mode `steps`, for all or by the tool's name; by default it
            is not: the model is told.
        human: how people are waited for whom agents ask: with calls that need approval, and with `ask_human_tool`; by
            default for ever.
        owner: whose names have to differ; by default `target`.

    Returns:
        What has been registered.

    Raises:
        WorkflowRegistrationError: a name is unusable or taken, or two types have one name.
    """
    options = Options(
        types=tuple(types),
        retry=retry,
        tasks_per_generation=tasks_per_generation,
        events=events,
        updates=updates,
        agent_mode=agent_mode,
        model_retry=model_retry,
        tool_retry=tool_retry,
        human=human,
    )
    if isinstance(workflow, FunctionalWorkflowDefinition):
        definition = define_functional(workflow, checked_workflow_name(name or workflow.name), options)
    else:
        make = _checked(workflow)
        definition = define(make, checked_workflow_name(name or make().name), options)
    owner = target if owner is None else owner
    registered = _registered.setdefault(owner, {})
    functions = _RegistryTarget(target) if isinstance(target, Registry) else target
    for each in definition.all():
        checked_workflow_name(each.name)
        known = registered.get(each.orchestration.casefold())
        if known is None or each is definition or not _is_same(known, each):
            _register(functions, each, owner)
            registered[each.orchestration.casefold()] = each
    return definition


def _is_same(one: WorkflowDefinition, other: WorkflowDefinition) -> bool:
    return one.signature == other.signature and one.stepped.keys() == other.stepped.keys()


def _register(target: FunctionTarget, workflow: WorkflowDefinition, owner: Any) -> None:
    _claim(owner, "orchestrator", workflow.orchestration, workflow)
    target.add_orchestrator(workflow.orchestration, orchestrator_of(workflow))
    for executor_id, perform in workflow.activities.items():
        for name in workflow.activities_of(executor_id):
            _claim(owner, "activity", name, workflow)
            target.add_activity(name, _activity_function(perform))
    if workflow.marks is not None:
        _claim(owner, "activity", workflow.marks, workflow)
        target.add_activity(workflow.marks, _activity_function(marking(workflow.codec)))


def _claim(owner: Any, kind: str, name: str, workflow: WorkflowDefinition) -> None:
    problem = claim(owner, kind, name, f"workflow '{workflow.name}'")
    if problem is not None:
        raise WorkflowRegistrationError(
            f"{problem}: rename a workflow, an executor or an agent (upper and lower case are the same)"
        )


def _checked(workflow: Any) -> Callable[[], Workflow]:
    """Return what builds a workflow. Raises WorkflowRegistrationError if nothing does."""
    if isinstance(workflow, Workflow):
        return lambda: workflow
    made = workflow() if callable(workflow) else workflow
    if not isinstance(made, Workflow):
        raise WorkflowRegistrationError(
            f"a workflow is a Workflow, a function that builds one, or a function decorated with @workflow, "
            f"not {type(made).__name__}"
        )
    build: Callable[[], Workflow] = workflow
    return build


def _activity_function(perform: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def run_executor(work: Any) -> Any:
        return await (close(work["close"]) if "close" in work else perform(work))

    return run_executor
