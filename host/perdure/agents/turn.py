"""The orchestration of one turn of an agent: lock the session, let the agent answer, record the answer.

While a turn has the session locked no other turn of it runs. However the turn ends (terminated, too), the lock goes
with it. The transcript is read by the activity that asks the model, from the session's entity: nobody else can change
it meanwhile, and it stays out of the turn's history.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from perdure.agents.errors import AgentTurnError
from perdure.agents.framework_agents import LoopLimits
from perdure.agents.human import HumanPolicy
from perdure.agents.naming import session_entity_id
from perdure.agents.requests import RunRequest
from perdure.agents.tool_calls import ToolCalls
from perdure.core.context import OrchestrationContext
from perdure.core.failure import TaskFailedError

if TYPE_CHECKING:
    from perdure.agents.definition import DurableAgentDefinition

Steps = Generator[Any, Any, Any]
"""Part of an orchestrator."""


class Turn:
    """One turn.

    Args:
        definition: the agent.
        context: the orchestration's.
        session: key of the session.
        request: what is asked.
    """

    def __init__(
        self, definition: DurableAgentDefinition, context: OrchestrationContext, session: str, request: RunRequest
    ) -> None:
        self._definition = definition
        self._context = context
        self._session = session
        self._request = request
        self._started = context.current_utc_datetime
        self._usage: dict[str, int] = {}
        self._new: list[dict[str, Any]] = []
        """What has been answered in this turn, results of tools included."""
        self._kept: dict[str, Any] | None = None
        """The framework's AgentSession after the last call of the model."""

    def run(self) -> Steps:
        """Answer the request; the orchestration's output is the turn's result.

        Raises:
            AgentTurnError: the turn failed; the session's transcript is what it was.
        """
        context, failure = self._context, None
        entity = session_entity_id(self._definition.name, self._session)
        with (yield context.lock_entities([entity], sub_orchestrations=True)):
            try:
                result = yield from self._answered()
            except (TaskFailedError, AgentTurnError) as error:
                failure = error
                result = self._failed(error)
            if not result.pop("recorded", False):
                record = {
                    "correlationId": self._request.correlation_id,
                    "said": self._request.said(),
                    "session": self._kept,
                    "result": result,
                }
                result["message_count"] = yield context.call_entity(entity, "record", record)
        if failure is None and result["status"] == "failed":
            failure = AgentTurnError(result["error"]["message"])
        if failure is not None:
            raise AgentTurnError(
                f"agent '{self._definition.name}' failed in session '{self._session}': {failure}"
            ) from failure
        return result

    def _answered(self) -> Steps:
        limits: LoopLimits | None = None
        step, failed_rounds, last = 0, 0, False
        while True:
            reply = yield from self._ask_model(step, may_call=self._request.enable_tool_calls and not last)
            if "recorded" in reply:
                return reply["recorded"] | {"recorded": True}
            calls = reply["calls"]
            if not calls or last or any(plan["kind"] == "caller" for plan in calls):
                return self._succeeded()
            # those under which the turn began hold, whatever is deployed meanwhile
            limits = limits or LoopLimits(**reply["limits"])
            human = HumanPolicy.from_json(reply["human"])
            closes = reply.get("closes", False)
            tools = ToolCalls(self._definition, self._context, self._session, self._kept, human, closes=closes)
            results = yield from tools.run(step, calls)
            failed_rounds = failed_rounds + 1 if all(result.get("exception") for result in results) else 0
            self._new.append({"role": "tool", "contents": results})
            step += 1
            last = step >= limits.iterations or failed_rounds >= limits.errors

    def _ask_model(self, step: int, *, may_call: bool) -> Steps:
        work = {
            "sessionId": self._session,
            "correlationId": self._request.correlation_id,
            "step": step,
            "said": [*self._request.said(), *self._new],
            "shown": self._request.shown(),
            "session": self._kept,
            "responseFormat": self._request.response_format,
            "options": self._request.options,
            "mayCallTools": may_call,
        }
        self._context.set_custom_status({"agent": self._definition.name, "session": self._session, "step": step})
        policy = self._definition.model_retry
        reply = yield self._context.call_activity(self._definition.model_activity, work, retry_policy=policy)
        if "recorded" not in reply:
            self._new += reply["messages"]
            self._kept = reply["session"]
            for kind, count in (reply["usage"] or {}).items():
                if isinstance(count, int):
                    self._usage[kind] = self._usage.get(kind, 0) + count
        return reply

    def _succeeded(self) -> dict[str, Any]:
        result = self._result("success") | {
            "response": _text_of(self._new[-1]),
            "messages": self._new,
            "usage": self._usage or None,
            "tool_calls": _tool_calls(self._new),
        }
        # the framework's own way to ask for approval, which whole turns end with
        asked = [part for part in self._new[-1]["contents"] if part.get("type") == "function_approval_request"]
        return result | ({"user_input_requests": asked} if asked else {})

    def _failed(self, error: TaskFailedError | AgentTurnError) -> dict[str, Any]:
        cause = error.error_type if isinstance(error, TaskFailedError) else type(error).__name__
        return self._result("failed") | {"response": None, "error": {"type": cause, "message": str(error)}}

    def _result(self, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "agent": self._definition.name,
            "session_id": self._session,
            "correlation_id": self._request.correlation_id,
            "message": self._request.shown(),
            "startedAt": self._started.isoformat(),
            "completedAt": self._context.current_utc_datetime.isoformat(),
        }


def _text_of(message: dict[str, Any]) -> str:
    return "".join(part.get("text") or "" for part in message["contents"] if part.get("type") == "text")


def _tool_calls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tool calls of the turn with their results."""
    calls: list[dict[str, Any]] = []
    unanswered: list[tuple[Any, dict[str, Any]]] = []
    for message in messages:
        for part in message["contents"]:
            call_id = part.get("call_id")
            if part.get("type") == "function_call":
                calls.append({"name": part.get("name"), "arguments": part.get("arguments")})
                unanswered.append((call_id, calls[-1]))
            elif part.get("type") == "function_result":
                # a model may give two calls one id: their results come in the calls' order
                found = next((each for each in unanswered if each[0] == call_id), None)
                if found is not None:
                    unanswered.remove(found)
                    found[1]["result"] = part.get("result")
    return calls
