"""The shape of a workflow, as far as the orchestrator needs it: which way messages go is decided by activities."""

from __future__ import annotations

from dataclasses import dataclass

from agent_framework import Workflow, WorkflowExecutor

from perdure.agents.workflows.framework import FanInEdgeGroup


@dataclass(frozen=True, slots=True)
class FanIn:
    """An edge group that waits for a message of each of its sources."""

    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow's executors and edge groups; groups are named by their place in the workflow's list."""

    start: str
    max_supersteps: int
    groups_of: dict[str, tuple[int, ...]]
    """The edge groups that lead away from an executor, in the framework's order."""
    fan_ins: dict[int, FanIn]
    nested: dict[str, str]
    """Names of the workflows that executors wrap, by the executors' ids."""

    @classmethod
    def of(cls, workflow: Workflow) -> Graph:
        """Return the shape of a workflow."""
        groups_of: dict[str, tuple[int, ...]] = {}
        fan_ins: dict[int, FanIn] = {}
        for index, group in enumerate(workflow.edge_groups):
            for source in group.source_executor_ids:
                groups_of[source] = (*groups_of.get(source, ()), index)
            if isinstance(group, FanInEdgeGroup):
                fan_ins[index] = FanIn(tuple(edge.source_id for edge in group.edges), group.edges[0].target_id)
        nested = {
            executor_id: executor.workflow.name
            for executor_id, executor in workflow.executors.items()
            if isinstance(executor, WorkflowExecutor)
        }
        return cls(workflow.start_executor_id, workflow.max_iterations, groups_of, fan_ins, nested)
