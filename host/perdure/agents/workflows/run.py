"""One run of a workflow, superstep by superstep, as the part of an orchestrator function that yields."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from agent_framework import WorkflowConvergenceException

from perdure.agents.workflows.definition import WorkflowDefinition
from perdure.agents.workflows.errors import WorkflowFailedError
from perdure.agents.workflows.planning import BrokenRouteError, Planned, goes_nowhere, plan
from perdure.agents.workflows.run_state import RunState
from perdure.agents.workflows.step_calls import AgentCallError
from perdure.agents.workflows.stepped_executor import SteppedExecutor
from perdure.agents.workflows.wire import Done, Mark, Marks, NestedWork, Outcome, Work
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
        return self._tasks >= self._workflow.options.tasks_per_generation

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
        if self.state.untold:
            yield self._mark()
        return True

    def _superstep(self) -> Steps:
        planned = self._planned()
        self.state.superstep += 1
        places: dict[str, list[int]] = {}
        for place, each in enumerate(planned):
            places.setdefault(each.target, []).append(place)
        marks = yield from self._superstep_begins([*places])
        begun = {
            target: self._begin(target, [planned[place] for place in mine], marks) for target, mine in places.items()
        }
        yield from self._until_stepped(begun)
        outcomes: list[Outcome | None] = [None] * len(planned)
        failed: WorkflowFailedError | None = None
        for target, work in begun.items():
            try:
                done: Done = _result_of(work) if isinstance(work, SteppedExecutor) else (yield work)
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
        sent = [message for messages in self.state.sent.values() for message in messages]
        self.state.told_beyond = "beyond" in marks and goes_nowhere(sent)

    def _until_stepped(self, begun: Mapping[str, Task[Done] | SteppedExecutor]) -> Steps:
        """Wait until all executors that are run in steps have ended."""
        stepped = [each for each in begun.values() if isinstance(each, SteppedExecutor)]
        while tasks := {task: each for each in stepped for task in each.tasks}:
            done = yield self._context.task_any(list(tasks))
            self._tasks += 1
            tasks[done].heard(done)

    def _planned(self) -> list[Planned]:
        try:
            return [
                *self.state.take_arrivals(),
                *plan(self._workflow.graph, self.state.take_sent(), self.state.buffers),
            ]
        except BrokenRouteError as error:
            raise WorkflowFailedError(self._workflow.name, error.source, error.error_type, error.message) from None

    def _superstep_begins(self, targets: list[str]) -> Generator[Task[Any], Any, Marks]:
        """Tell that a superstep begins.

        Returns:
            What its executor tells in passing, if there is only one: then it costs nothing.
        """
        state = self.state
        if state.stream_to is None:
            return {}
        begins: Mark = {"type": "superstep_started", "iteration": state.superstep}
        ends: Mark = {"type": "superstep_completed", "iteration": state.superstep}
        if not targets:
            state.untold += [] if state.told_beyond else [begins, ends]
            return {}
        if len(targets) == 1 and targets[0] not in self._workflow.nested:
            before, state.untold = [*state.untold, begins], []
            return {"before": before, "after": [ends], **self._beyond()}
        state.untold.append(begins)
        yield self._mark()
        state.untold = [ends]
        return {}

    def _beyond(self) -> Marks:
        following = self.state.superstep + 1
        if following > self._workflow.graph.max_supersteps:
            return {}
        begins: Mark = {"type": "superstep_started", "iteration": following}
        return {"beyond": [begins, {"type": "superstep_completed", "iteration": following}]}

    def _mark(self) -> Task[Any]:
        """Tell what the stream does not tell of yet."""
        assert self._workflow.marks is not None  # noqa: S101 - it has several executors, or wraps a workflow
        self._tasks += 1
        marks, self.state.untold = self.state.untold, []
        return self._context.call_activity(self._workflow.marks, {"stream_to": self.state.stream_to, "marks": marks})

    def _begin(self, target: str, planned: list[Planned], marks: Marks) -> Task[Done] | SteppedExecutor:
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
            if marks:
                work["marks"] = marks
            stepped = self._workflow.stepped.get(target)
            if stepped is not None:
                return SteppedExecutor(self._context, stepped, work)
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
        elif error.details.is_a(AgentCallError):
            raised = str(told["error_type"]), str(told["error_message"])
            failure = WorkflowFailedError(self._workflow.name, target, *raised)
        else:
            failure = WorkflowFailedError(self._workflow.name, target, error.error_type, error.message)
        failure.__cause__ = error
        return failure


def _result_of(executor: SteppedExecutor) -> Done:
    if executor.error is not None:
        raise executor.error
    assert executor.done is not None  # noqa: S101 - it has ended
    return executor.done


NESTED = "$nested"
"""Key of the input of an orchestration that runs a wrapped workflow."""
