"""One run of a workflow, superstep by superstep, as the part of an orchestrator function that yields."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agent_framework import WorkflowConvergenceException

from perdure.agents.workflows.definition import WorkflowDefinition
from perdure.agents.workflows.errors import WorkflowFailedError
from perdure.agents.workflows.planning import BrokenRouteError, Planned, plan
from perdure.agents.workflows.run_state import RunState
from perdure.agents.workflows.wire import Done, NestedWork, Outcome, Work
from perdure.core.context import OrchestrationContext
from perdure.core.failure import TaskFailedError
from perdure.core.tasks import Task

Steps = Generator[Task[Any], Any, Any]


class Run:
    """Takes a run from where it stands to where it has nothing more to deliver.

    Args:
        context: the orchestration's.
        workflow: the workflow.
        state: where the run stands; changed.
    """

    def __init__(self, context: OrchestrationContext, workflow: WorkflowDefinition, state: RunState) -> None:
        self._context = context
        self._workflow = workflow
        self.state = state
        self._tasks = 0

    @property
    def is_long(self) -> bool:
        """Whether the history has become so long that the run had better continue as new."""
        return self._tasks >= self._workflow.tasks_per_generation

    def until_idle(self) -> Generator[Task[Any], Any, bool]:
        """Run supersteps until nothing is left to deliver.

        Returns:
            Whether the run is idle; if not, it has to continue as new.

        Raises:
            WorkflowConvergenceException: the workflow's limit of supersteps is reached.
            WorkflowFailedError: an executor failed.
        """
        limit = self._workflow.graph.max_supersteps
        while self.state.busy:
            if self.state.superstep >= limit:
                raise WorkflowConvergenceException(f"Runner did not converge after {limit} iterations.")
            if self.is_long:
                return False
            yield from self._superstep()
        return True

    def _superstep(self) -> Steps:
        planned = self._planned()
        self.state.superstep += 1
        places: dict[str, list[int]] = {}
        for place, each in enumerate(planned):
            places.setdefault(each.target, []).append(place)
        tasks = {target: self._begin(target, [planned[place] for place in mine]) for target, mine in places.items()}
        outcomes: list[Outcome | None] = [None] * len(planned)
        failed: WorkflowFailedError | None = None
        for target, task in tasks.items():
            try:
                done: Done = yield task
            except TaskFailedError as error:
                failed = failed or self._failure(target, error)
                continue
            self.state.executors[target] = done["state"]
            for place, outcome in zip(places[target], done["outcomes"], strict=True):
                outcomes[place] = outcome
        if failed is not None:
            raise failed
        for each, merged in zip(planned, outcomes, strict=True):
            if merged is not None:
                self.state.merge(each.target, merged)

    def _planned(self) -> list[Planned]:
        try:
            return [
                *self.state.take_arrivals(),
                *plan(self._workflow.graph, self.state.take_sent(), self.state.buffers),
            ]
        except BrokenRouteError as error:
            raise WorkflowFailedError(self._workflow.name, error.source, error.error_type, error.message) from None

    def _begin(self, target: str, planned: list[Planned]) -> Task[Done]:
        """Begin what an executor does in this superstep."""
        self._tasks += 1
        deliveries = [each.delivery for each in planned]
        nested = self._workflow.nested.get(target)
        if nested is None:
            work: Work = {
                "run": self.state.run,
                "stream_to": self.state.stream_to,
                "deliveries": deliveries,
                "state": self.state.executors.get(target),
                "shared": self.state.shared,
            }
            retry = self._workflow.retry_of(target)
            return self._context.call_activity(self._workflow.activity(target), work, retry_policy=retry)
        nested_work: NestedWork = {
            "run": f"{self.state.run}/{target}",
            "stream_to": self.state.stream_to,
            "activity": self._workflow.activity(target),
            "deliveries": deliveries,
            "state": self.state.executors.get(target),
            "shared": self.state.shared,
            "outcomes": [],
            "entered": False,
            "pending": [],
        }
        return self._context.call_sub_orchestrator(nested.orchestration, {NESTED: nested_work})

    def _failure(self, target: str, error: TaskFailedError) -> WorkflowFailedError:
        """Name the executor; of a nested workflow's failure, keep what its own executor has raised."""
        told = error.properties
        if isinstance(error_type := told.get("error_type"), str) and "executor_id" in told:
            message = str(told.get("error_message") or error.message)
            inner = f"{message} (in executor '{told['executor_id']}' of workflow '{told.get('workflow')}')"
            failure = WorkflowFailedError(self._workflow.name, target, error_type, inner)
            failure.error_message = message
        else:
            failure = WorkflowFailedError(self._workflow.name, target, error.error_type, error.message)
        failure.__cause__ = error
        return failure


NESTED = "$nested"
"""Key of the input of an orchestration that runs a wrapped workflow."""
