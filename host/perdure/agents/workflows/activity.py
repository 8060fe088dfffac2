"""An executor's activity: its handlers, run over all that it receives in one superstep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from agent_framework import Executor, Workflow, WorkflowEvent, WorkflowExecutor

from perdure.agents.errors import AgentError
from perdure.agents.workflows.agent_calls import has_agents, put_between
from perdure.agents.workflows.call_journal import CallJournal
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError
from perdure.agents.workflows.events import EventTeller
from perdure.agents.workflows.framework import MessageType, WorkflowMessage
from perdure.agents.workflows.inputs import input_message
from perdure.agents.workflows.isolation import IsolatedExecutor, keeps_objects
from perdure.agents.workflows.nested_workflow import FinishedWorkflow
from perdure.agents.workflows.options import Options
from perdure.agents.workflows.people import is_asked_by_agent
from perdure.agents.workflows.planning import goes_nowhere
from perdure.agents.workflows.recording import RecordingContext, RecordingState
from perdure.agents.workflows.requests import event_of, type_shown
from perdure.agents.workflows.routing import Router
from perdure.agents.workflows.step_calls import StepCalls
from perdure.agents.workflows.wire import Delivery, Done, Emitted, Marks, Message, Need, Outcome, Request, Steps, Work
from perdure.engine.registry import activity_context, current_activity

_NO_DATA = {"executor_invoked", "executor_completed", "executor_failed"}
"""Events whose data repeat what is stored anyway."""


class ExecutorActivity:
    """What the activity of one executor of a workflow does.

    Args:
        make: returns the workflow; the same one each time, or a fresh one.
        codec: of the workflow.
        executor_id: the executor.
        options: how the workflow is run.
    """

    def __init__(self, make: Callable[[], Workflow], codec: Codec, executor_id: str, options: Options) -> None:
        self._options = options
        self._make = make
        self._codec = codec
        self._executor_id = executor_id
        self._turn: asyncio.Lock | None = None

    async def run(self, work: Work) -> Done:
        """Hand an executor its messages, one after the other.

        Raises:
            Exception: whatever a handler raises.
            UndeclaredTypeError: a message, output, request or state holds a type that the workflow does not declare.
        """
        workflow, steps, marks = self._make(), work.get("steps"), work.get("marks", Marks())
        stream_to = None if steps is not None and "perform" in steps else work["stream_to"]
        async with (
            self._turn_at(workflow.executors[self._executor_id]),
            EventTeller(stream_to, self._codec, skip=0 if steps is None else steps["told"]) as teller,
        ):
            performance = _Performance(
                workflow, self._codec, self._executor_id, work, teller=teller, options=self._options
            )
            await teller.mark(marks.get("before", ()))
            done = await (performance.perform() if steps is None else performance.step(steps))
            if "needs" not in done:
                await teller.mark(marks.get("after", ()))
                if goes_nowhere(message for outcome in done["outcomes"] for message in outcome["sent"]):
                    await teller.mark(marks.get("beyond", ()))
            return done

    def _turn_at(self, executor: Executor) -> Any:
        """Return a lock for executors that keep a run's data in objects: they work for one run at a time."""
        if not keeps_objects(executor, self._codec):
            return nullcontext()
        if self._turn is None:
            self._turn = asyncio.Lock()
        return self._turn


class _Performance:
    """All that one activity does."""

    def __init__(
        self,
        workflow: Workflow,
        codec: Codec,
        executor_id: str,
        work: Work,
        *,
        teller: EventTeller,
        options: Options,
    ) -> None:
        self._human = options.human
        self._updates = options.updates and work["stream_to"] is not None
        self._teller = teller
        self._workflow = workflow
        self._codec = codec
        self._work = work
        self._router = Router(workflow)
        self._isolated = IsolatedExecutor(workflow.executors[executor_id], codec, work["run"])
        self._executor = self._isolated.executor
        self._where = f"of executor '{executor_id}' of workflow '{workflow.name}'"

    async def perform(self) -> Done:
        await self._isolated.restore(self._work["state"])
        await self._journal_agents()
        return await self._hand_over()

    async def step(self, steps: Steps) -> Done:
        """Do the same as far as agents have been answered, and one call more; see `StepCalls`."""
        desk = activity_context().desk
        if desk is None:
            raise LookupError("agents in mode 'steps' work only in an activity that a worker runs")
        calls = StepCalls(desk.storage, activity_context().instance_id, steps, self._codec)
        await calls.open()
        await self._isolated.restore(self._work["state"])
        put_between(self._executor, calls, self._say if self._updates else None)
        done, raised = None, None
        self._teller.hold_failures = "may_ask" in steps
        try:
            done = await calls.run(self._hand_over())
        except Exception as error:  # noqa: BLE001 - a handler's; raised below, or by the activity that is to raise it
            raised = error
        if "perform" in steps:
            return self._performed(calls, steps["perform"])
        if calls.model_error is not None:
            calls.model_error.events_told = self._teller.told  # type: ignore[attr-defined] # goes with the failure
            raise calls.model_error
        if raised is not None and "may_ask" not in steps:
            raise raised
        if done is not None:
            return done
        needs = list(calls.needs.values()) if raised is None else []
        again: Need = {"call": "", "kind": "again"}
        return {"outcomes": [], "state": None, "needs": needs or [again], "told": self._teller.told}

    def _performed(self, calls: StepCalls, key: str) -> Done:
        if calls.tool_error is not None:
            raise calls.tool_error
        if not calls.performed and not calls.has(key):
            raise AgentError(
                f"a handler {self._where} has not come to '{key}' again: in mode 'steps' handlers are run from their "
                f"beginning for each call of an agent, and have to make the same calls each time"
            )
        return {"outcomes": [], "state": None}

    async def _hand_over(self) -> Done:
        shared = RecordingState({key: self._codec.decode(value) for key, value in self._work["shared"].items()})
        outcomes = [await self._outcome(delivery, shared) for delivery in self._work["deliveries"]]
        if any("result" in delivery for delivery in self._work["deliveries"]):
            return {"outcomes": outcomes, "state": None}
        try:
            state = await self._isolated.save()
        except UndeclaredTypeError as error:
            raise error.at(f"the state {self._where}") from None
        return {"outcomes": outcomes, "state": state}

    async def _journal_agents(self) -> None:
        activity = current_activity.get(None)
        if activity is None or activity.desk is None or not has_agents(self._executor):
            return
        journal = CallJournal(activity.desk.storage, activity.instance_id, activity.idempotency_key, self._codec)
        await journal.open()
        put_between(self._executor, journal, self._say if self._updates else None)

    async def _say(self, text: str) -> None:
        await self._teller.say(self._executor.id, text)

    async def _outcome(self, delivery: Delivery, shared: RecordingState) -> Outcome:
        context = RecordingContext(self._workflow, self._teller.tell)
        await self._deliver(delivery, context, shared)
        return {
            "sent": [await self._sent(message) for message in context.messages],
            "events": [
                emitted(event, self._codec, self._where) for event in context.events if event.type != "request_info"
            ],
            "requests": [self._request(event) for event in context.requests.values()],
            "shared": [self._change(*change) for change in shared.take_changes()],
        }

    # ---- delivering ----------------------------------------------------------------------------------------------

    async def _deliver(self, delivery: Delivery, context: RecordingContext, shared: RecordingState) -> None:
        message = self._message(delivery)
        if delivery["kind"] == "answer" and not self._executor.can_handle(message):
            return  # no response handler takes it: it is dropped, as in process
        if "result" in delivery and isinstance(self._executor, WorkflowExecutor):
            finished: Any = FinishedWorkflow(self._executor.workflow, delivery["result"], self._codec)
            self._executor.workflow = finished
        await self._executor.execute(message, delivery["sources"], shared, context)  # type: ignore[arg-type] # all that handlers can reach

    def _message(self, delivery: Delivery) -> WorkflowMessage:
        source, target = delivery["sources"][0], self._executor.id
        if delivery["kind"] == "input":
            return input_message(self._workflow, self._executor, delivery["data"])
        data = self._codec.decode(delivery["data"])
        if delivery["kind"] == "message":
            return WorkflowMessage(data, source)
        request = event_of(delivery["request"], self._codec)
        return WorkflowMessage(data, source, target, MessageType.RESPONSE, original_request_info_event=request)

    # ---- what came of it -------------------------------------------------------------------------------------------

    def _request(self, event: WorkflowEvent[Any]) -> Request:
        request = request_of(event, self._codec, self._where)
        if self._human is not None and is_asked_by_agent(event.data):
            request["human"] = self._human.to_json()
        return request

    async def _sent(self, message: WorkflowMessage) -> Message:
        routes = await self._router.routes(message)
        if not routes:
            return {"routes": []}
        return {"routes": routes, "data": self._encoded(message.data, f"a message {self._where}")}

    def _change(self, key: str, *value: Any) -> list[Any]:
        return [
            key,
            *(self._encoded(each, f"'{key}' in the shared state, set by code {self._where},") for each in value),
        ]

    def _encoded(self, value: Any, where: str) -> Any:
        return _encoded(value, self._codec, where)


def emitted(event: WorkflowEvent[Any], codec: Codec, where: str) -> Emitted:
    """Return an event as an activity hands it to the orchestrator. Raises UndeclaredTypeError."""
    made: Emitted = {"type": event.type}
    if event.executor_id is not None:
        made["executor"] = event.executor_id
    if event.type in ("output", "intermediate"):
        made["data"] = _encoded(event.data, codec, f"an output {where}")
    elif event.type not in _NO_DATA and event.data is not None:
        data = event.data
        made["data"] = codec.encode(data) if codec.can_encode(data) else str(data)
    return made


def request_of(event: WorkflowEvent[Any], codec: Codec, where: str) -> Request:
    """Return a request as an activity hands it to the orchestrator. Raises UndeclaredTypeError."""
    try:
        response_type = codec.encode_type(event.response_type)
    except UndeclaredTypeError as error:
        raise error.at(f"the answer to a request {where}") from None
    return {
        "id": event.request_id,
        "executor": event.source_executor_id,
        "data": _encoded(event.data, codec, f"a request {where}"),
        "request_type": type_shown(type(event.data)),
        "response_type": response_type,
        "response_shown": type_shown(event.response_type),
    }


def _encoded(value: Any, codec: Codec, where: str) -> Any:
    try:
        return codec.encode(value)
    except UndeclaredTypeError as error:
        raise error.at(where) from None
