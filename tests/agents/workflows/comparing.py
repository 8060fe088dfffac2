"""Runs a workflow in process and durably, and tells what came of it in the same words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent_framework import FunctionalWorkflow, FunctionalWorkflowDefinition, WorkflowRunState

from perdure.agents.workflows.definition import define, define_functional
from perdure.agents.workflows.options import Options
from perdure.agents.workflows.plain import plain
from perdure.client.status import DurableOrchestrationStatus
from perdure.core.status import OrchestrationRuntimeStatus
from tests.agents.workflows.corpus import Example

FINISHED = ("TaskCompleted", "SubOrchestrationInstanceCompleted")
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
    built = example.build()
    if isinstance(built, FunctionalWorkflowDefinition):
        definition = define_functional(built, built.name, Options(types=example.types))
        workflow: Any = built.build()
    else:
        definition = define(lambda: built, built.name, Options(types=example.types))
        workflow = built
    given: dict[str, Any] = {}

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
            if not asked:  # what is asked again under the same id is no event in process, but it is open
                asked = dict(await workflow._runner.context.get_pending_request_info_events())
            open_requests = [(each, plain(definition.codec.encode(event.data))) for each, event in asked.items()]
            answers = dict(example.answers(open_requests))
            for request_id in answers:
                del asked[request_id]
            given |= answers
            # a function is run anew from its beginning, and asks everything again
            again = isinstance(workflow, FunctionalWorkflow)
            result = await workflow.run(responses=given if again else answers)
            asked |= {event.request_id: event for event in result.get_request_info_events()}
    except Exception as error:  # noqa: BLE001 - whatever the workflow raises
        return Told(failure=(type(error).__qualname__, str(error)))


def in_order(example: Example, values: list[Any] | None) -> list[Any] | None:
    """Return outputs as they are compared."""
    return values if example.ordered or values is None else sorted(values, key=str)


def told_by(status: DurableOrchestrationStatus) -> Told:
    """Return what came of a durable run."""
    if status.runtime_status is OrchestrationRuntimeStatus.Completed:
        return Told([without_made_up(each) for each in status.output])
    failure = status.failure_details
    assert failure is not None, status.to_json()
    if "error_type" in failure.properties:
        return Told(failure=(_last(failure.properties["error_type"]), str(failure.properties["error_message"])))
    return Told(failure=(_last(failure.type), failure.message))


def intermediates_in(history: list[dict[str, Any]]) -> list[Any]:
    """Return the intermediate outputs that activities and wrapped workflows have returned."""
    results = [event["Result"] for event in history if event["EventType"] in FINISHED and event.get("Result")]
    results = [json.loads(each) if isinstance(each, str) else each for each in results]
    outcomes = [outcome for each in results if isinstance(each, dict) for outcome in each["outcomes"]]
    return [plain(event["data"]) for each in outcomes for event in each["events"] if event["type"] == "intermediate"]


def _last(name: object) -> str:
    return str(name).rpartition(".")[2]
