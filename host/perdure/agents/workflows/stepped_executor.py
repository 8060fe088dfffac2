"""What an executor whose agents run in mode `steps` does in a superstep: one activity for each call of an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perdure.agents.retries import Retry, policy_of
from perdure.agents.special_tools import text_of
from perdure.agents.workflows.wire import Answer, Done, Need, Steps, Work
from perdure.core.context import OrchestrationContext
from perdure.core.failure import TaskFailedError
from perdure.core.retry import RetryPolicy
from perdure.core.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedActivities:
    """The activities of an executor, and how they are tried again."""

    handlers: str
    model: str
    tool: str
    retry: RetryPolicy | None
    model_retry: RetryPolicy | None
    tool_retry: Retry


class SteppedExecutor:
    """Goes from one call of the executor's agents to the next, until its handlers have ended.

    Args:
        context: the orchestration's.
        activities: of the executor.
        work: what it receives.
    """

    def __init__(self, context: OrchestrationContext, activities: SteppedActivities, work: Work) -> None:
        self._context = context
        self._activities = activities
        self._work = work
        self._key = context.new_uuid()
        self._told = 0
        self._answers: dict[str, Answer] = {}
        self._tools: dict[Task[Any], Need] = {}
        self._handlers: Task[Done] | None = None
        self._may_ask = False
        self.done: Done | None = None
        """The handlers' result, once they have ended."""
        self.error: TaskFailedError | None = None
        """What they raised, if they did."""
        self._ask()

    @property
    def tasks(self) -> list[Task[Any]]:
        """What is being done."""
        return [*self._tools] if self._handlers is None else [self._handlers, *self._tools]

    def heard(self, task: Task[Any]) -> None:
        """Go on after one of the tasks has ended."""
        if task is not self._handlers:
            self._called(task, self._tools.pop(task))
            return
        self._handlers = None
        error = task.get_exception()
        if not isinstance(error, TaskFailedError):
            self._go_on(task.get_result())
        elif self._may_ask:
            self._told = int(error.properties.get("events_told") or self._told)
            self._rerun({"failed": [error.error_type, error.message]})
        else:
            self.error = error

    def _go_on(self, done: Done) -> None:
        if "needs" not in done:
            self.done = done
            return
        self._told = done.get("told", 0)
        kinds = {need["kind"] for need in done["needs"]}
        calls = [need for need in done["needs"] if need["kind"] in ("tool", "orchestration")]
        for need in calls:
            self._tools[self._begun(need)] = need
        if "again" in kinds:
            self._rerun({})
        elif not calls:
            self._ask()

    def _called(self, task: Task[Any], need: Need) -> None:
        error = task.get_exception()
        if isinstance(error, TaskFailedError):
            self._answers[need["call"]] = {"error": [error.error_type, error.message]}
        elif need["kind"] == "orchestration":
            self._answers[need["call"]] = {"text": text_of(task.get_result())}
        if not self._tools:
            self._ask()

    # ---- activities ------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Have the handlers go on, and ask a model once."""
        self._may_ask = True
        work = self._with({"may_ask": True})
        self._handlers = self._context.call_activity(
            self._activities.model, work, retry_policy=self._activities.model_retry
        )

    def _rerun(self, more: dict[str, Any]) -> None:
        """Have the handlers go on without asking a model: they raise what they raised, or what the model raised."""
        self._may_ask = False
        self._handlers = self._context.call_activity(
            self._activities.handlers, self._with(more), retry_policy=self._activities.retry
        )

    def _begun(self, need: Need) -> Task[Any]:
        if need["kind"] == "orchestration":
            return self._context.call_sub_orchestrator(need["name"], need["arguments"])
        policy = policy_of(self._activities.tool_retry, need["name"])
        work = self._with({"perform": need["call"]})
        return self._context.call_activity(self._activities.tool, work, retry_policy=policy)

    def _with(self, more: dict[str, Any]) -> Work:
        steps: Any = {"key": self._key, "told": self._told, **more}
        if self._answers:
            steps["answers"] = dict(self._answers)
        made: Steps = steps
        return {**self._work, "steps": made}
