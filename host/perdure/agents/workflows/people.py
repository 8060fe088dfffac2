"""What agents of a workflow ask people: how long they are waited for, whom it is passed on to, and what then holds.

An agent's question or call that needs approval is a request of its executor, as in process. The policy under which it
is asked is stored with the request, so a run that waits keeps it, whatever is deployed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from agent_framework import Content

from perdure.agents.errors import AgentError, AgentTurnError
from perdure.agents.human import HumanPolicy, checked_answer
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import WorkflowFailedError, WorkflowResponseError
from perdure.agents.workflows.wire import Json, Request
from perdure.core.context import OrchestrationContext
from perdure.core.failure import qualified_name
from perdure.core.tasks import Task, TimerTask

APPROVAL, QUESTION = "function_approval_request", "function_call"
"""Types of contents that ask a person, as the framework names them."""


def is_asked_by_agent(data: Any) -> bool:
    """Whether what a request holds is an agent's question, or its call that needs approval."""
    return isinstance(data, Content) and data.type in (APPROVAL, QUESTION)


def as_content(asked: Any, answer: Any, request_id: str) -> Any:
    """Return a plain answer to an agent (`{"approved": true}`, `{"answer": "..."}`, a text) as the agent takes it.

    Args:
        asked: what the request holds, as plain JSON.
        answer: JSON; what is no plain answer is returned as it is.
        request_id: the request.

    Raises:
        WorkflowResponseError: it is a plain answer of the other kind.
    """
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind not in (APPROVAL, QUESTION) or (isinstance(answer, dict) and "type" in answer):
        return answer
    try:
        if kind == APPROVAL:
            said = checked_answer("approval", {"approved": answer} if isinstance(answer, bool) else answer)
            return Content.from_dict(asked).to_function_approval_response(approved=said["approved"])
        said = checked_answer("question", {"answer": answer} if isinstance(answer, str) else answer)
    except AgentError as error:
        raise WorkflowResponseError(f"the answer to request '{request_id}' is none: {error}") from None
    return _told(Content.from_dict(asked), said["answer"])


def _told(question: Content, text: str) -> Content:
    return Content.from_function_result(call_id=str(question.call_id), id=question.id, result=text)


class Patience:
    """The timers of requests that have a policy.

    Args:
        context: the orchestration's.
        workflow: the workflow's name.
        codec: of the workflow.
        people: by request, when its time is over and how often it has been passed on; changed.
        close: begins to end a request whose time is over, unless an answer has been accepted; the task's result is
            that answer, as `{"answer": ...}`, or None.
    """

    def __init__(
        self,
        context: OrchestrationContext,
        workflow: str,
        codec: Codec,
        people: dict[str, Any],
        close: Callable[[Request], Task[Any]],
    ) -> None:
        self._context = context
        self._close = close
        self._workflow = workflow
        self._codec = codec
        self._people = people
        self._timers: dict[str, TimerTask] = {}
        self._closing: dict[str, Task[Any]] = {}

    @property
    def tasks(self) -> list[Task[Any]]:
        """The timers, and requests that are being closed."""
        return [*self._timers.values(), *self._closing.values()]

    def begin(self, request: Request) -> None:
        """Begin to wait for an answer, or go on with it."""
        request_id = request["id"]
        if "human" not in request or request_id in self._timers or request_id in self._closing:
            return
        policy = HumanPolicy.from_json(request["human"])
        known = self._people.setdefault(request_id, {"escalated": 0})
        if policy.timeout is None:
            return
        if "expiresAt" not in known:
            known["expiresAt"] = (self._context.current_utc_datetime + policy.timeout).isoformat()
        self._timers[request_id] = self._context.create_timer(datetime.fromisoformat(known["expiresAt"]))

    def end(self, request_id: str) -> None:
        """Wait no more: there is an answer."""
        self._people.pop(request_id, None)
        self._closing.pop(request_id, None)
        timer = self._timers.pop(request_id, None)
        if timer is not None and not timer.is_completed:
            timer.cancel()

    def overdue(self, request: Request, early: dict[str, Any]) -> Json | None:
        """Return the answer that holds in place of one that did not come; None while there is time.

        Args:
            request: the request.
            early: by request, answers that have come; one that was accepted in time is added.

        Raises:
            WorkflowFailedError: the run is to fail then.
        """
        request_id = request["id"]
        closing = self._closing.get(request_id)
        if closing is not None and closing.is_completed:
            del self._closing[request_id]
            settled = None if closing.get_exception() is not None else closing.get_result()
            if settled is not None:
                early.setdefault(request_id, settled["answer"])
                return None
            return self._unanswered(request)
        timer = self._timers.get(request_id)
        if timer is None or not timer.is_completed:
            return None
        del self._timers[request_id]
        policy, known = HumanPolicy.from_json(request["human"]), self._people[request_id]
        if known["escalated"] + 1 < len(policy.ask):
            known["escalated"] += 1
            del known["expiresAt"]
            self.begin(request)
        else:
            # an answer may have been accepted that has not come yet
            self._closing[request_id] = self._close(request)
        return None

    def _unanswered(self, request: Request) -> Json:
        policy = HumanPolicy.from_json(request["human"])
        asked: Content = self._codec.decode(request["data"])
        approval = asked.type == APPROVAL
        what = "the call of a tool that needs approval" if approval else "the question"
        if policy.on_timeout == "fail":
            told = f"nobody answered {what} in time"
            raise WorkflowFailedError(self._workflow, request["executor"], qualified_name(AgentTurnError), told)
        refusal = asked.to_function_approval_response(approved=False) if approval else None
        answer = refusal or _told(asked, f"Nobody answered {what} in time: consider it refused.")
        return self._codec.encode(answer)

    def shown(self, request: Request) -> dict[str, Any]:
        """Return what the status shows of it."""
        known = self._people.get(request["id"])
        if known is None:
            return {}
        ask = HumanPolicy.from_json(request["human"]).ask
        return {**known, **({"asks": ask[min(known["escalated"], len(ask) - 1)]} if ask else {})}
