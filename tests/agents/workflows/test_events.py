"""The stream of a durable run tells what the framework's own stream tells, superstep by superstep."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from agent_framework import WorkflowConvergenceException, WorkflowEvent, WorkflowRunState

from perdure.agents.workflows import WorkflowRuns, register_workflow
from perdure.agents.workflows.definition import define
from perdure.agents.workflows.options import Options
from perdure.agents.workflows.plain import plain
from perdure.client import Client
from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.agents.workflows.corpus import EXAMPLES, Example
from tests.agents.workflows.playing import answer_until_ended
from tests.agents.workflows.teams import TEAMS
from tests.scenarios.hub import Hub

STATES = {"started", "status", "failed"}
"""Events of the framework about the whole run: its instance's status and the stream's end tell these."""
STREAMED = {"failing", "loop"}
"""Workflows that may fail; the framework's other way to run one does not tell what came before. Agents answer in pieces
when they are streamed, so theirs are run the other way."""
MARKS = ("superstep_started", "superstep_completed")


class Supersteps:
    """Events, apart by superstep; those of one superstep in any order, since its executors run side by side."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._events: list[str] | None = None

    def add(self, kind: str, iteration: int | None, executor_id: str | None) -> None:
        if kind not in MARKS:
            assert self._events is not None, f"{kind} of {executor_id} stands between two supersteps"
            self._events.append(f"{kind} {executor_id}")
            return
        self.close()
        self.told.append((kind, iteration))
        self._events = [] if kind == MARKS[0] else None

    def close(self) -> None:
        if self._events is not None:
            self.told.append(sorted(self._events))


async def in_process(example: Example) -> list[Any]:
    """Return what the framework tells."""
    workflow: Any = example.build()
    codec = define(lambda: workflow, workflow.name, Options(types=example.types)).codec
    found, pending, idle = Supersteps(), {}, False
    given: dict[str, Any] = {"message": example.given}
    while not idle:
        for event in await told_by_framework(workflow, given):
            if event.type == "request_info":
                pending[event.request_id] = event
            if event.type == "status":
                idle = event.state in {WorkflowRunState.IDLE, WorkflowRunState.FAILED}
            if event.type not in STATES:
                source = event.source_executor_id if event.type == "request_info" else event.executor_id
                found.add(event.type, event.iteration, source)
        if not idle:
            assert example.answers is not None
            asked = [(each, plain(codec.encode(event.data))) for each, event in pending.items()]
            given = {"responses": dict(example.answers(asked))}
            for each in given["responses"]:
                del pending[each]
    found.close()
    return found.told


async def told_by_framework(workflow: Any, given: dict[str, Any]) -> list[WorkflowEvent[Any]]:
    if workflow.name not in STREAMED:
        result = await workflow.run(**given, include_status_events=True)
        return [*result, *(WorkflowEvent.status(state.state) for state in result.status_timeline()[-1:])]
    events = []
    with contextlib.suppress(ValueError, WorkflowConvergenceException):
        async for event in workflow.run(**given, stream=True):
            events.append(event)  # noqa: PERF401 - what came before the exception counts
    return events


async def durably(hub: Hub, example: Example, **options: Any) -> list[Any]:
    """Return what the durable stream tells."""
    definition = register_workflow(
        hub.registry, example.build if options else example.build(), types=example.types, **options
    )
    await hub.add_worker()
    instance_id = await hub.start(definition.orchestration, example.given)
    client = Client(hub.storage)
    await answer_until_ended(client, instance_id, example)
    found, cursor = Supersteps(), None
    async with asyncio.timeout(30):
        while True:
            page = await WorkflowRuns(definition, client).events(instance_id, cursor=cursor, wait=1)
            for item in page.items:
                if item.event != "end":
                    found.add(item.event, item.data.get("iteration"), item.data.get("executorId"))
            if page.ended:
                found.close()
                return found.told
            cursor = page.items[-1].cursor if page.items else cursor


NAMES = [
    "chain",
    "conditions",
    "uneven-fan-in",
    "addressed",
    "fan-out-and-in",
    "mixed-edges",
    "loop",
    "limit",
    "shared-state",
    "designated",
    "events",
    "failing",
    "questions",
    "two-that-ask",
    "wrapped",
    "wrapped-direct",
    "wrapped-asking",
    "intercepted",
    "agent-in-a-loop",
]


@pytest.fixture
async def quick():
    """A hub in memory."""
    store = MemoryStore()
    hub = Hub(lambda: MemoryStorage("hub", store=store))
    yield hub
    await hub.close()


@pytest.mark.parametrize("name", NAMES)
async def test_events_as_in_process(quick, name):
    example = EXAMPLES[name]
    assert await durably(quick, example) == await in_process(example)


@pytest.mark.parametrize("name", ["agent-in-a-loop", "wrapped-agents"])
async def test_events_of_agents_in_steps_as_in_process(quick, name):
    assert await durably(quick, EXAMPLES[name], agent_mode="steps") == await in_process(EXAMPLES[name])


@pytest.mark.parametrize("name", ["concurrent", "group-chat", "reviewed-sequence"])
async def test_events_of_teams_as_in_process(quick, name):
    assert await durably(quick, TEAMS[name]()) == await in_process(TEAMS[name]())


@pytest.mark.parametrize("name", ["loop", "shared-state"])
async def test_events_of_runs_that_continue_as_new(quick, name):
    assert await durably(quick, EXAMPLES[name], tasks_per_generation=2) == await in_process(EXAMPLES[name])


@pytest.mark.parametrize(("name", "activities"), [("chain", 4), ("agents-in-a-chain", 3), ("fan-out-and-in", 6)])
async def test_what_it_costs(quick, name, activities):
    """A superstep of one executor is told of in passing, that of several by an activity before it."""
    definition = register_workflow(quick.registry, EXAMPLES[name].build())
    await quick.add_worker()
    instance_id = await quick.start(definition.orchestration, "x")
    await quick.ended(instance_id)
    status = await Client(quick.storage).get_status(instance_id, show_history=True)
    assert sum(event["EventType"] == "TaskCompleted" for event in status.history) == activities


async def test_nothing_is_told_if_nobody_wants_to_know(quick):
    definition = register_workflow(quick.registry, EXAMPLES["fan-out-and-in"].build(), events=False)
    await quick.add_worker()
    instance_id = await quick.start(definition.orchestration, "x")
    await quick.ended(instance_id)
    status = await Client(quick.storage).get_status(instance_id, show_history=True)
    assert sum(event["EventType"] == "TaskCompleted" for event in status.history) == 5
    page = await WorkflowRuns(definition, Client(quick.storage)).events(instance_id)
    assert [item.event for item in page.items] == ["end"]
