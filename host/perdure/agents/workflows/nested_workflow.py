"""A wrapped workflow that has run already, as an orchestration of its own: it answers with what came of that.

`WorkflowExecutor` hands what its workflow yields and asks on to the workflow around it. Its own code does so durably
too; only the run itself has taken place elsewhere.
"""

from __future__ import annotations

from typing import Any

from agent_framework import Workflow, WorkflowEvent, WorkflowRunResult, WorkflowRunState

from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.requests import event_of
from perdure.agents.workflows.wire import NestedResult


class _Pending:
    """Stands for the wrapped workflow's runner context: it knows what was asked before this run."""

    def __init__(self, request_ids: list[str]) -> None:
        self._request_ids = request_ids

    async def get_pending_request_info_events(self) -> dict[str, Any]:
        return dict.fromkeys(self._request_ids)


class FinishedWorkflow:
    """Stands for a wrapped workflow. Everything but a run is the wrapped one's own."""

    def __init__(self, workflow: Workflow, result: NestedResult, codec: Codec) -> None:
        self._workflow = workflow
        self._result = result
        self._codec = codec
        self._runner_context = _Pending(result["pending"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workflow, name)

    async def run(self, *_: Any, **__: Any) -> WorkflowRunResult:
        """Return what the run has led to."""
        decode = self._codec.decode
        events = [WorkflowEvent("output", data=decode(each)) for each in self._result["outputs"]]
        events += [WorkflowEvent("intermediate", data=decode(each)) for each in self._result["intermediates"]]
        events += [event_of(each, self._codec) for each in self._result["requests"]]
        waiting = WorkflowRunState.IDLE_WITH_PENDING_REQUESTS
        state = waiting if self._result["waiting"] else WorkflowRunState.IDLE
        return WorkflowRunResult(events, [WorkflowEvent.status(state)])
