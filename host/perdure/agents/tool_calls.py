"""The tool calls of one reply of a model, side by side: activities, orchestrations, and people."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from perdure.agents.errors import AgentTurnError
from perdure.agents.human import event_name, pending
from perdure.core.context import OrchestrationContext
from perdure.core.failure import TaskFailedError
from perdure.core.tasks import Task, TimerTask

if TYPE_CHECKING:
    from perdure.agents.definition import DurableAgentDefinition

Plan = dict[str, Any]
"""A tool call, and what kind of tool it is."""

Result = dict[str, Any]
"""JSON form of the framework's function_result."""


class _Waiting:
    """A request that waits for somebody."""

    def __init__(self, plan: Plan, request_id: str, answer: Task[Any]) -> None:
        self.plan = plan
        self.request_id = request_id
        self.answer = answer
        self.timer: TimerTask | None = None
        self.escalated = 0
        self.shown: dict[str, Any] = {}


class ToolCalls:
    """Runs the tool calls of a turn.

    Args:
        definition: the agent.
        context: the turn's orchestration.
        session: key of the session.
    """

    def __init__(self, definition: DurableAgentDefinition, context: OrchestrationContext, session: str) -> None:
        self._definition = definition
        self._context = context
        self._session = session

    def run(self, step: int, plans: list[Plan], kept: dict[str, Any] | None) -> Generator[Any, Any, list[Result]]:
        """Run the calls of one reply, and return their results in order.

        Args:
            step: number of the reply in the turn.
            plans: the calls.
            kept: JSON form of the framework's session.

        Raises:
            AgentTurnError: nobody answered in time, and the turn is to fail then.
        """
        results: dict[int, Result] = {}
        running: dict[Task[Any], int] = {}
        waiting: dict[int, _Waiting] = {}
        for number, plan in enumerate(plans):
            if plan["kind"] == "human" or plan.get("approval"):
                waiting[number] = self._asked(plan, f"{step}-{number}")
            else:
                running[self._started(plan, kept)] = number
        while running or waiting:
            self._show(step, waiting)
            done = yield self._context.task_any(
                [*running, *(task for each in waiting.values() for task in _tasks(each))]
            )
            if done in running:
                number = running.pop(done)
                results[number] = self._result(plans[number], done)
                continue
            number = next(number for number, each in waiting.items() if done in _tasks(each))
            request = waiting[number]
            if done is request.timer and not self._escalate(request):
                results[number] = self._unanswered(request)
                del waiting[number]
            elif done is request.answer:
                self._answered(request, number, waiting, running, results, kept)
        self._show(step, waiting)
        return [results[number] for number in range(len(plans))]

    # ---- running ---------------------------------------------------------------------------------------------------

    def _started(self, plan: Plan, kept: dict[str, Any] | None) -> Task[Any]:
        if plan["kind"] == "orchestration":
            return self._context.call_sub_orchestrator(plan["orchestration"], plan["arguments"])
        work = {"sessionId": self._session, "session": kept, "call": plan}
        policy = self._definition.retry_of_tool(plan["name"])
        return self._context.call_activity(self._definition.tool_activity, work, retry_policy=policy)

    def _result(self, plan: Plan, done: Task[Any]) -> Result:
        error = done.get_exception()
        if isinstance(error, TaskFailedError):
            detail = f": {error}" if self._definition.limits.detailed_errors else ""
            return _function_result(plan, f"Error: the tool failed{detail}.") | {"exception": str(error)}
        value = done.get_result()
        if plan["kind"] == "tool":
            return dict(value)
        return _function_result(plan, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    # ---- people ----------------------------------------------------------------------------------------------------

    def _asked(self, plan: Plan, request_id: str) -> _Waiting:
        request = _Waiting(plan, request_id, self._context.wait_for_external_event(event_name(request_id)))
        self._ask(request)
        return request

    def _ask(self, request: _Waiting) -> None:
        now, policy = self._context.current_utc_datetime, self._definition.human
        request.shown = pending(request.plan, request.request_id, now, policy, request.escalated)
        if policy.timeout is not None:
            request.timer = self._context.create_timer(now + policy.timeout)

    def _escalate(self, request: _Waiting) -> bool:
        """Ask the next one; False if everybody has been asked."""
        if request.escalated + 1 >= len(self._definition.human.ask):
            return False
        request.escalated += 1
        self._ask(request)
        return True

    def _unanswered(self, request: _Waiting) -> Result:
        what = "the question" if request.plan["kind"] == "human" else f"the call of tool '{request.plan['name']}'"
        if self._definition.human.on_timeout == "fail":
            raise AgentTurnError(f"nobody answered {what} in time")
        return _function_result(request.plan, f"Nobody answered {what} in time: consider it refused.")

    def _answered(  # noqa: PLR0917 - the state of one round
        self,
        request: _Waiting,
        number: int,
        waiting: dict[int, _Waiting],
        running: dict[Task[Any], int],
        results: dict[int, Result],
        kept: dict[str, Any] | None,
    ) -> None:
        if request.timer is not None and not request.timer.is_completed:
            request.timer.cancel()
        del waiting[number]
        answer, plan = request.answer.get_result(), request.plan
        if plan["kind"] == "human":
            results[number] = _function_result(plan, str(answer["answer"]))
        elif answer["approved"]:
            running[self._started(plan, kept)] = number
        else:
            reason = f" Reason: {answer['reason']}" if answer.get("reason") else ""
            results[number] = _function_result(plan, f"The call was refused by a person.{reason}")

    def _show(self, step: int, waiting: dict[int, _Waiting]) -> None:
        status: dict[str, Any] = {"agent": self._definition.name, "session": self._session, "step": step}
        if waiting:
            status["pending"] = [each.shown for each in waiting.values()]
        self._context.set_custom_status(status)


def _tasks(request: _Waiting) -> list[Task[Any]]:
    return [request.answer] if request.timer is None else [request.answer, request.timer]


def _function_result(plan: Plan, text: str) -> Result:
    return {"type": "function_result", "call_id": plan["callId"], "result": text}
