"""The orchestrator function of a workflow: its own run, or one of a workflow that an executor wraps."""

from __future__ import annotations

from typing import Any

from perdure.agents.workflows.definition import WorkflowDefinition
from perdure.agents.workflows.errors import WorkflowResponseError
from perdure.agents.workflows.people import Patience
from perdure.agents.workflows.plain import plain
from perdure.agents.workflows.requests import answer_in, checked_answer, is_accepted, settling_name, shown
from perdure.agents.workflows.run import NESTED, Run, Steps
from perdure.agents.workflows.run_state import RunState
from perdure.agents.workflows.wire import Delivery, Done, Json, Message, NestedResult, NestedWork, Request, Work
from perdure.core.context import OrchestrationContext
from perdure.core.tasks import Task

CONTINUED = "$continued"
"""Key of the input of a run that has continued as new."""


class TopRun:
    """A run that a client has started: it waits for answers from outside."""

    def __init__(self, context: OrchestrationContext, workflow: WorkflowDefinition) -> None:
        self._context = context
        self._workflow = workflow
        given = context.get_input()
        self._early: dict[str, Any] = {}
        """Answers that came while the run was busy, by request."""
        if isinstance(given, dict) and CONTINUED in given:
            state = RunState.read(given[CONTINUED]["state"])
            self._early = dict(given[CONTINUED]["early"])
        else:
            state = RunState(context.instance_id, context.instance_id if workflow.options.events else None)
            state.receive(workflow.graph.start, {"kind": "input", "sources": [], "data": given})
        self._run = Run(context, workflow, state)
        self._waiting: dict[str, Task[Any]] = {}
        self._rejected: list[dict[str, str]] = []
        self._patience = Patience(context, workflow.name, workflow.codec, state.people, self._close)

    @property
    def _state(self) -> RunState:
        return self._run.state

    def play(self) -> Steps:
        """Run until nothing is left to deliver or to ask; return the outputs."""
        while True:
            self._show("IN_PROGRESS")
            idle = yield from self._run.until_idle()
            if not idle:
                return self._continue()
            self._collect()
            if self._state.busy:
                continue
            if not self._state.requests:
                self._show("IDLE")
                return [plain(each) for each in self._state.outputs]
            if self._run.is_long:
                return self._continue()
            self._show("IDLE_WITH_PENDING_REQUESTS")
            still_open = [self._waiting[each] for each in self._state.requests]
            yield self._context.task_any([*still_open, *self._patience.tasks])
            self._collect()

    def _collect(self) -> None:
        """Take the answers that have come, in the order of the requests."""
        for request_id, request in self._state.requests.items():
            self._patience.begin(request)
            if request_id not in self._waiting:
                self._waiting[request_id] = self._context.wait_for_external_event(request_id)
        for request_id, request in list(self._state.requests.items()):
            answer, came = self._answer_to(request)
            if came:
                self._patience.end(request_id)
                self._state.answer(request, answer)
        self._reject_repeats()

    def _close(self, request: Request) -> Task[Any]:
        """See that no answer to a request is accepted any more, or find the one that was accepted."""
        closing = {"close": settling_name(shown(request))}
        return self._context.call_activity(self._workflow.activity(request["executor"]), closing)

    def _answer_to(self, request: Request) -> tuple[Json, bool]:
        """Return an answer that fits, if one has come or time is over; and whether it is so."""
        request_id = request["id"]
        overdue = self._patience.overdue(request, self._early)
        while request_id in self._early or self._waiting[request_id].is_completed:
            if request_id in self._early:
                data = self._early.pop(request_id)
            else:
                data = self._waiting[request_id].get_result()
                self._waiting[request_id] = self._context.wait_for_external_event(request_id)
            answer, is_meant = answer_in(request, data)
            if not is_meant:
                continue  # of an accepted answer to what was asked under this id before, sent once more
            try:
                return checked_answer(request, answer, self._workflow.codec), True
            except WorkflowResponseError as error:
                self._rejected.append({"requestId": request_id, "reason": str(error)})
        return overdue, overdue is not None

    def _reject_repeats(self) -> None:
        """Tell of answers to what has been answered already."""
        for request_id in [each for each in self._waiting if each not in self._state.requests]:
            if self._waiting[request_id].is_completed:
                said = self._waiting[request_id].get_result()
                self._waiting[request_id] = self._context.wait_for_external_event(request_id)
                if is_accepted(said):
                    continue  # the one that counts, sent once more: its sender was told
                reason = f"request '{request_id}' has been answered already"
                self._rejected.append({"requestId": request_id, "reason": reason})

    def _continue(self) -> None:
        came = {each: task.get_result() for each, task in self._waiting.items() if task.is_completed}
        early = [*self._early.items(), *(each for each in came.items() if each[0] in self._state.requests)]
        self._state.intermediates.clear()
        self._state.asked.clear()
        self._context.continue_as_new({CONTINUED: {"state": self._state.written(), "early": early}})

    def _show(self, state: str) -> None:
        status: dict[str, Any] = {"state": state, "superstep": self._state.superstep}
        if self._state.requests:
            status["pendingHumanInputRequests"] = [
                {**shown(each), **self._patience.shown(each)} for each in self._state.requests.values()
            ]
        if self._state.answered:
            status["answeredRequests"] = self._state.answered
        if self._rejected:
            status["rejectedResponses"] = self._rejected[-10:]
        self._context.set_custom_status(status)


class NestedRun:
    """Runs of a workflow that an executor wraps: one for each thing that the executor receives in a superstep.

    The wrapped workflow's own state travels with the executor's. A request that it makes is the executor's to hand on,
    so nothing is waited for here.
    """

    def __init__(self, context: OrchestrationContext, workflow: WorkflowDefinition, work: NestedWork) -> None:
        self._context = context
        self._workflow = workflow
        self._work = work
        state = RunState(work["run"]) if work["state"] is None else RunState.read(work["state"])
        self._run = Run(context, workflow, state)

    def play(self) -> Steps:
        """Hand everything to the wrapped workflow in turn; return what the executor's activity makes of it."""
        work, state = self._work, self._run.state
        while len(work["outcomes"]) < len(work["deliveries"]):
            delivery = work["deliveries"][len(work["outcomes"])]
            if not work["entered"]:
                self._enter(delivery)
                work["entered"] = True
            idle = yield from self._run.until_idle()
            if not idle or self._run.is_long:
                return self._context.continue_as_new({NESTED: {**work, "state": state.written()}})
            done: Done = yield self._context.call_activity(work["activity"], self._handed_on(delivery))
            work["outcomes"].extend(done["outcomes"])
            work["entered"] = False
            for handed_on in state.outputs, state.intermediates, state.asked:
                handed_on.clear()
        return {"outcomes": work["outcomes"], "state": state.written()}

    def _enter(self, delivery: Delivery) -> None:
        state = self._run.state
        self._work["pending"] = list(state.requests)
        request_id, answer = answered(delivery)
        if request_id is None:
            kind: Any = delivery["kind"]
            state.receive(self._workflow.graph.start, {"kind": kind, "sources": [], "data": delivery["data"]})
        elif request_id in state.requests:
            state.answer(state.requests[request_id], answer)

    def _handed_on(self, delivery: Delivery) -> Work:
        state = self._run.state
        result: NestedResult = {
            "outputs": state.outputs,
            "intermediates": state.intermediates,
            "requests": state.asked,
            "pending": self._work["pending"],
            "waiting": bool(state.requests),
        }
        deliveries: list[Delivery] = [{**delivery, "result": result}]
        return {
            "run": self._work["run"],
            "stream_to": self._work["stream_to"],
            "deliveries": deliveries,
            "state": None,
            "shared": self._work["shared"],
        }


def answered(delivery: Delivery) -> tuple[str | None, Message | Any]:
    """Return the id of the request that a delivery answers, and the answer; (None, None) if it is no answer."""
    if delivery["kind"] == "answer":
        return delivery["request"]["id"], delivery["data"]
    data = delivery["data"]
    if isinstance(data, dict) and data.get("$type") == "agent_framework.SubWorkflowResponseMessage":
        fields = data["fields"]
        return fields["source_event"]["fields"]["request_id"], fields["data"]
    return None, None


def orchestrator_of(workflow: WorkflowDefinition) -> Any:
    """Return the orchestrator function of a workflow."""

    def run_workflow(context: OrchestrationContext) -> Steps:
        given = context.get_input()
        if isinstance(given, dict) and NESTED in given and context.parent_instance_id is not None:
            return (yield from NestedRun(context, workflow, given[NESTED]).play())
        return (yield from TopRun(context, workflow).play())

    run_workflow.__name__ = workflow.orchestration
    return run_workflow
