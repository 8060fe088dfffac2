"""The tool calls of one reply of a model, side by side: activities, orchestrations, and people."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from perdure.agents.errors import AgentTurnError
from perdure.agents.human import HumanPolicy, event_name, pending
from perdure.agents.special_tools import text_of
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
        self.closing: Task[Any] | None = None
        self.escalated = 0
        self.shown: dict[str, Any] = {}


class ToolCalls:
    """Runs the tool calls of one reply.

    Args:
        definition: the agent.
        context: the turn's orchestration.
        session: key of the session.
        kept: JSON form of the framework's session.
        human: how people are waited for. It is the policy under which the model was asked: a turn that waits goes on
            under it when an app with another policy is deployed.
        closes: whether a request is closed when its time is over, so that no answer is accepted any more. Turns that
            an older version began do not.
    """

    def __init__(
        self,
        definition: DurableAgentDefinition,
        context: OrchestrationContext,
        session: str,
        kept: dict[str, Any] | None,
        human: HumanPolicy,
        *,
        closes: bool,
    ) -> None:
        self._definition = definition
        self._context = context
        self._session = session
        self._kept = kept
        self._human = human
        self._closes = closes
        self._running: dict[Task[Any], int] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._results: dict[int, Result] = {}

    def run(self, step: int, plans: list[Plan]) -> Generator[Any, Any, list[Result]]:
        """Run the calls, and return their results in order.

        Args:
            step: number of the reply in the turn.
            plans: the calls.

        Raises:
            AgentTurnError: nobody answered in time, and the turn is to fail then.
        """
        for number, plan in enumerate(plans):
            if plan["kind"] == "human" or plan.get("approval"):
                self._waiting[number] = self._asked(plan, f"{step}-{number}")
            else:
                self._begin(number, plan)
        while self._running or self._waiting:
            self._show(step)
            asked = [task for each in self._waiting.values() for task in _tasks(each)]
            done = yield self._context.task_any([*self._running, *asked])
            if done in self._running:
                number = self._running.pop(done)
                self._results[number] = self._result(plans[number], done)
            else:
                number = next(number for number, each in self._waiting.items() if done in _tasks(each))
                self._heard(number, done)
        self._show(step)
        return [self._results[number] for number in range(len(plans))]

    # ---- running ---------------------------------------------------------------------------------------------------

    def _begin(self, number: int, plan: Plan) -> None:
        if plan["kind"] == "orchestration":
            task = self._context.call_sub_orchestrator(plan["orchestration"], plan["arguments"])
        else:
            work = {"sessionId": self._session, "session": self._kept, "call": plan}
            policy = self._definition.retry_of_tool(plan["name"])
            task = self._context.call_activity(self._definition.tool_activity, work, retry_policy=policy)
        self._running[task] = number

    def _result(self, plan: Plan, done: Task[Any]) -> Result:
        error = done.get_exception()
        if isinstance(error, TaskFailedError):
            detail = f": {error}" if self._definition.limits.detailed_errors else ""
            return _function_result(plan, f"Error: the tool failed{detail}.") | {"exception": str(error)}
        value = done.get_result()
        if plan["kind"] == "tool":
            return dict(value)
        return _function_result(plan, text_of(value))

    # ---- people ----------------------------------------------------------------------------------------------------

    def _asked(self, plan: Plan, request_id: str) -> _Waiting:
        request = _Waiting(plan, request_id, self._context.wait_for_external_event(event_name(request_id)))
        self._ask(request)
        return request

    def _ask(self, request: _Waiting) -> None:
        now, policy = self._context.current_utc_datetime, self._human
        request.shown = pending(request.plan, request.request_id, now, policy, request.escalated)
        if policy.timeout is not None:
            request.timer = self._context.create_timer(now + policy.timeout)

    def _heard(self, number: int, done: Task[Any]) -> None:
        """An answer has come, or time has run out."""
        request = self._waiting[number]
        if done is request.timer:
            self._overdue(number, request)
            return
        said = request.answer.get_result() if done is request.answer else _closed_with(done)
        if said is None and done is request.closing:
            self._settle(number, self._unanswered(request.plan))
            return
        if request.timer is not None and not request.timer.is_completed:
            request.timer.cancel()
        self._answered(number, request.plan, _read_answer(said))

    def _overdue(self, number: int, request: _Waiting) -> None:
        request.timer = None
        if request.escalated + 1 < len(self._human.ask):
            request.escalated += 1
            self._ask(request)
        elif self._closes:
            # an answer may have been accepted that has not come yet
            work = {"close": request.request_id}
            request.closing = self._context.call_activity(self._definition.tool_activity, work)
        else:
            self._settle(number, self._unanswered(request.plan))

    def _answered(self, number: int, plan: Plan, answer: dict[str, Any]) -> None:
        if plan["kind"] == "human":
            self._settle(number, _function_result(plan, str(answer.get("answer", ""))))
        elif answer.get("approved") is True:
            del self._waiting[number]
            self._begin(number, plan)
        else:
            reason = f" Reason: {answer['reason']}" if answer.get("reason") else ""
            self._settle(number, _function_result(plan, f"The call was refused by a person.{reason}"))

    def _settle(self, number: int, result: Result) -> None:
        del self._waiting[number]
        self._results[number] = result

    def _unanswered(self, plan: Plan) -> Result:
        what = "the question" if plan["kind"] == "human" else f"the call of tool '{plan['name']}'"
        if self._human.on_timeout == "fail":
            raise AgentTurnError(f"nobody answered {what} in time")
        return _function_result(plan, f"Nobody answered {what} in time: consider it refused.")

    def _show(self, step: int) -> None:
        status: dict[str, Any] = {"agent": self._definition.name, "session": self._session, "step": step}
        if self._waiting:
            status["pending"] = [each.shown for each in self._waiting.values()]
        self._context.set_custom_status(status)


def _read_answer(said: Any) -> dict[str, Any]:
    """Return an answer; events may be raised by anybody, so this may be anything. What approves nothing refuses."""
    return said if isinstance(said, dict) else {"answer": said}


def _tasks(request: _Waiting) -> list[Task[Any]]:
    return [task for task in (request.answer, request.timer, request.closing) if task is not None]


def _closed_with(done: Task[Any]) -> Any:
    """Return the answer that was accepted before a request was closed, if there was one."""
    return None if done.get_exception() is not None else done.get_result()["answer"]


def _function_result(plan: Plan, text: str) -> Result:
    return {"type": "function_result", "call_id": plan["callId"], "result": text}
