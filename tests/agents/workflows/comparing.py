"""Runs a workflow in process and durably, and tells what came of it in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent_framework import WorkflowRunState

from perdure.agents.workflows import WorkflowDefinition
from perdure.agents.workflows.definition import define
from perdure.agents.workflows.plain import plain
from tests.agents.workflows.corpus import Example

MADE_UP = {"message_id", "response_id", "created_at", "author_id"}
"""Fields that the framework makes up."""


@dataclass
class Told:
    """What came of a run."""

    outputs: list[Any] | None = None
    intermediates: list[Any] | None = None
    failure: tuple[str, str] | None = None
    """Type and text."""


def without_made_up(data: Any) -> Any:
    """Return plain JSON without what is another in each run."""
    if isinstance(data, dict):
        return {
            key: without_made_up(value)
            for key, value in data.items()
            if key not in MADE_UP and not (key == "id" and str(value).startswith("af-call-"))
        }
    return [without_made_up(each) for each in data] if isinstance(data, list) else data


async def in_process(example: Example) -> Told:
    """Run it with the framework's own runner."""
    workflow = example.build()
    definition = define(lambda: workflow, workflow.name)

    def shown(values: list[Any]) -> list[Any]:
        return [without_made_up(plain(definition.codec.encode(each))) for each in values]

    outputs: list[Any] = []
    intermediates: list[Any] = []
    try:
        result = await workflow.run(example.given)
        asked = {event.request_id: event for event in result.get_request_info_events()}
        while True:
            outputs += shown(result.get_outputs())
            intermediates += shown(result.get_intermediate_outputs())
            if result.get_final_state() is not WorkflowRunState.IDLE_WITH_PENDING_REQUESTS:
                return Told(outputs, intermediates)
            assert example.answers is not None
            open_requests = [(each, plain(definition.codec.encode(event.data))) for each, event in asked.items()]
            answers = dict(example.answers(open_requests))
            for request_id in answers:
                del asked[request_id]
            result = await workflow.run(responses=answers)
            asked |= {event.request_id: event for event in result.get_request_info_events()}
    except Exception as error:  # noqa: BLE001 - whatever the workflow raises
        return Told(failure=(type(error).__qualname__, str(error)))


def shown_outputs(output: Any) -> list[Any]:
    """Return the outputs of a durable run to compare."""
    return [without_made_up(each) for each in output]


def definition_of(example: Example) -> WorkflowDefinition:
    """Return an example's definition."""
    workflow = example.build()
    return define(lambda: workflow, workflow.name)
