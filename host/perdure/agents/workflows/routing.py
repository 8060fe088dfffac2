"""Where a message goes: the framework's own edge runners decide, in the activity that sent it.

Conditions and selection functions look at nothing but the message, so it makes no difference that they run before the
superstep ends instead of after; but their answer is stored with the message, and so they run once.
"""

from __future__ import annotations

from typing import Any, cast

from agent_framework import Executor, Workflow

from perdure.agents.workflows.framework import (
    EdgeGroup,
    FanInEdgeGroup,
    FanOutEdgeGroup,
    State,
    WorkflowMessage,
    create_edge_runner,
)
from perdure.agents.workflows.wire import Route
from perdure.core.failure import qualified_name


class _Target:
    """Stands for an executor: it takes what the executor takes, and notes that it was given something."""

    def __init__(self, executor: Executor, reached: list[str]) -> None:
        self._executor = executor
        self._reached = reached

    def can_handle(self, message: WorkflowMessage) -> bool:
        return self._executor.can_handle(message)

    async def execute(self, *_: Any, **__: Any) -> None:
        self._reached.append(self._executor.id)


class Router:
    """Routes messages of a workflow."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow

    async def routes(self, message: WorkflowMessage) -> list[Route]:
        """Return where the edge groups lead a message, in their order; groups that drop it are left out."""
        found: list[Route] = []
        for index, group in enumerate(self._workflow.edge_groups):
            if message.source_id not in group.source_executor_ids:
                continue
            try:
                route = await self._route(index, group, message)
            except Exception as error:  # noqa: BLE001 - the user's condition raised; the next superstep fails with it
                route = {"group": index, "way": "broken", "error": [qualified_name(type(error)), str(error)]}
            if route is not None:
                found.append(route)
        return found

    async def _route(self, index: int, group: EdgeGroup, message: WorkflowMessage) -> Route | None:
        reached: list[str] = []
        targets = {
            target: cast("Executor", _Target(self._workflow.executors[target], reached))
            for target in group.target_executor_ids
        }
        taken = await create_edge_runner(group, targets).send_message(message, State(), cast("Any", None))
        if isinstance(group, FanInEdgeGroup):
            return {"group": index, "way": "fan-in"} if taken else None
        if not reached:
            return None
        spread = isinstance(group, FanOutEdgeGroup) and message.target_id is None
        return {"group": index, "way": "spread" if spread else "straight", "targets": reached}
