"""An executor's activity: its handlers, run over all that it receives in one superstep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from agent_framework import AgentExecutor, Executor, Workflow, WorkflowEvent, WorkflowExecutor

from perdure.agents.workflows.call_journal import CallJournal, has_agents, journal_agents
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError, WorkflowInputError
from perdure.agents.workflows.events import EventTeller
from perdure.agents.workflows.framework import (
    INTERNAL_SOURCE_ID,
    MessageType,
    WorkflowMessage,
    is_instance_of,
    try_coerce_to_type,
)
from perdure.agents.workflows.isolation import IsolatedExecutor
from perdure.agents.workflows.nested_workflow import FinishedWorkflow
from perdure.agents.workflows.recording import RecordingContext, RecordingState
from perdure.agents.workflows.requests import event_of, type_shown
from perdure.agents.workflows.routing import Router
from perdure.agents.workflows.wire import Delivery, Done, Emitted, Message, Outcome, Request, Work
from perdure.engine.registry import current_activity

_NO_DATA = {"executor_invoked", "executor_completed", "executor_failed"}
"""Events whose data repeat what is stored anyway."""


class ExecutorActivity:
    """What the activity of one executor of a workflow does.

    Args:
        make: returns the workflow; the same one each time, or a fresh one.
        codec: of the workflow.
        executor_id: the executor.
    """

    def __init__(self, make: Callable[[], Workflow], codec: Codec, executor_id: str) -> None:
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
        workflow = self._make()
        async with (
            self._turn_at(workflow.executors[self._executor_id]),
            EventTeller(work["stream_to"], self._codec) as teller,
        ):
            return await _Performance(workflow, self._codec, self._executor_id, work, teller).perform()

    def _turn_at(self, executor: Executor) -> Any:
        """Return a lock for executors of the framework's own that keep a run's data in objects which can't be copied:
        they work for one run at a time. Everything else is copied for each activity.
        """
        cls = type(executor)
        if cls is AgentExecutor or not cls.__module__.startswith("agent_framework") or self._is_all_data(executor):
            return nullcontext()
        if self._turn is None:
            self._turn = asyncio.Lock()
        return self._turn

    def _is_all_data(self, executor: Executor) -> bool:
        return not any(
            hasattr(value, "__dict__") and not callable(value) and not self._codec.can_encode(value)
            for value in vars(executor).values()
        )


class _Performance:
    """All that one activity does."""

    def __init__(self, workflow: Workflow, codec: Codec, executor_id: str, work: Work, teller: EventTeller) -> None:
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
        journal_agents(self._executor, journal)

    async def _outcome(self, delivery: Delivery, shared: RecordingState) -> Outcome:
        context = RecordingContext(self._workflow, self._teller.tell)
        await self._deliver(delivery, context, shared)
        return {
            "sent": [await self._sent(message) for message in context.messages],
            "events": [
                emitted(event, self._codec, self._where) for event in context.events if event.type != "request_info"
            ],
            "requests": [request_of(event, self._codec, self._where) for event in context.requests.values()],
            "shared": [self._change(*change) for change in shared.take_changes()],
        }

    # ---- delivering ----------------------------------------------------------------------------------------------

    async def _deliver(self, delivery: Delivery, context: RecordingContext, shared: RecordingState) -> None:
        message = self._message(delivery)
        if delivery["kind"] != "message" and not self._executor.can_handle(message):
            if delivery["kind"] == "input":
                raise WorkflowInputError(
                    f"workflow '{self._workflow.name}' can't start with {type(message.data).__name__} "
                    f"{_clipped(message.data)}: its start executor '{self._executor.id}' takes "
                    f"{' or '.join(type_shown(kind) for kind in self._executor.input_types)}"
                )
            return  # an answer that no response handler takes is dropped, as in process
        if "result" in delivery and isinstance(self._executor, WorkflowExecutor):
            finished: Any = FinishedWorkflow(self._executor.workflow, delivery["result"], self._codec)
            self._executor.workflow = finished
        await self._executor.execute(message, delivery["sources"], shared, context)  # type: ignore[arg-type] # all that handlers can reach

    def _message(self, delivery: Delivery) -> WorkflowMessage:
        source, target = delivery["sources"][0], self._executor.id
        if delivery["kind"] == "input":
            return WorkflowMessage(self._input(delivery["data"]), INTERNAL_SOURCE_ID(target), target)
        data = self._codec.decode(delivery["data"])
        if delivery["kind"] == "message":
            return WorkflowMessage(data, source)
        request = event_of(delivery["request"], self._codec)
        return WorkflowMessage(data, source, target, MessageType.RESPONSE, original_request_info_event=request)

    def _input(self, data: Any) -> Any:
        """Return a client's JSON as one of the types that the executor takes."""
        for kind in self._executor.input_types:
            if is_instance_of(data, kind):
                return data
        for kind in self._executor.input_types:
            made = try_coerce_to_type(data, kind)
            if is_instance_of(made, kind):
                return made
        return data

    # ---- what came of it -------------------------------------------------------------------------------------------

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


def _clipped(value: Any, limit: int = 100) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
