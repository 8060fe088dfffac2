"""Workflows written as functions (`@workflow`, `@step`): the function is one activity, its steps are journaled.

Such a function does whatever it likes between its steps, so it can't be an orchestrator. It runs in an activity
instead; what a step returns is stored before the next one begins, and an activity that is run again goes on after it.
When the function asks something, the activity ends; the answer begins the next one, which replays the steps from the
journal. To all else, its orchestration, routes and events, it is a workflow with one executor.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from typing import Any

from agent_framework import FunctionalWorkflowDefinition, WorkflowCheckpoint, WorkflowRunResult

from perdure.agents.workflows.activity import emitted, request_of
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import WorkflowInputError
from perdure.agents.workflows.events import EventTeller
from perdure.agents.workflows.framework import step_functions, try_coerce_to_type
from perdure.agents.workflows.step_journal import StepJournal
from perdure.agents.workflows.wire import Done, Outcome, Work
from perdure.engine.registry import activity_context


class FunctionalActivity:
    """What the activity of a functional workflow does.

    Args:
        workflow: its definition; each run is built anew.
        codec: of the workflow.
    """

    def __init__(self, workflow: FunctionalWorkflowDefinition, codec: Codec) -> None:
        self._workflow = workflow
        self._codec = codec

    async def run(self, work: Work) -> Done:
        """Run the function from the last journaled step on, until it returns or asks something.

        Raises:
            Exception: whatever the function raises.
            UndeclaredTypeError: what a step returned, an output or a request holds a type that is not declared.
        """
        state = work["state"] or {"given": None, "answers": {}}
        for delivery in work["deliveries"]:
            if delivery["kind"] == "input":
                state["given"] = delivery["data"]
            else:
                state["answers"][delivery["request"]["id"]] = delivery["data"]
        async with EventTeller(work["stream_to"], self._codec) as teller:
            result = await self._play(state)
            for event in result:
                await teller.tell(event)
        return {"outcomes": [self._outcome(result), *self._nothing(len(work["deliveries"]) - 1)], "state": state}

    async def _play(self, state: dict[str, Any]) -> WorkflowRunResult:
        context = activity_context()
        if context.desk is None:
            raise LookupError("a functional workflow runs only in an activity that a worker runs")
        life = context.execution.rpartition(".")[0]
        journal = StepJournal(context.desk.storage, context.instance_id, life, self._codec)
        checkpoint_id = await journal.open()
        built = self._workflow.build(checkpoint_storage=journal)
        if checkpoint_id is None:
            return await built.run(self.input(state["given"]))
        answers = {request_id: self._codec.decode(answer) for request_id, answer in state["answers"].items()}
        return await built.run(checkpoint_id=checkpoint_id, responses=answers or None)

    def input(self, given: Any) -> Any:
        """Return JSON as the type of the function's message, if it can be made one: functions take what they get.

        Raises:
            WorkflowInputError: there is none.
        """
        if given is None:
            raise WorkflowInputError(f"workflow '{self._workflow.name}' can't start without an input")
        hint = next(iter(input_types(self._workflow)), None)
        return given if hint is None else try_coerce_to_type(given, hint)

    def _outcome(self, result: WorkflowRunResult) -> Outcome:
        where = f"of workflow '{self._workflow.name}'"
        asked = {event.request_id: event for event in result.get_request_info_events()}
        return {
            "sent": [],
            "events": [emitted(event, self._codec, where) for event in result if event.type != "request_info"],
            "requests": [request_of(event, self._codec, where) for event in asked.values()],
            "shared": [],
        }

    @staticmethod
    def _nothing(count: int) -> list[Outcome]:
        """Return the outcomes of deliveries that have been taken together with another one."""
        return [{"sent": [], "events": [], "requests": [], "shared": []} for _ in range(count)]


def input_types(workflow: FunctionalWorkflowDefinition) -> list[Any]:
    """Return the type of the function's message, if it says one."""
    function = inspect.unwrap(workflow)  # type: ignore[arg-type] # it passes for the function that it wraps
    hints = _hints(function)
    names = [name for name in inspect.signature(function).parameters if name != "ctx"]
    return [hints[name] for name in names[:1] if name in hints]


def declared_by_function(workflow: FunctionalWorkflowDefinition) -> Iterator[Any]:
    """Yield the types in the annotations of a workflow's function and of its steps."""
    yield WorkflowCheckpoint
    function = inspect.unwrap(workflow)  # type: ignore[arg-type] # it passes for the function that it wraps
    for each in (function, *step_functions(function)):
        yield from _hints(each).values()


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        return {name: hint for name, hint in inspect.get_annotations(function).items() if not isinstance(hint, str)}
