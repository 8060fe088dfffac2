"""A workflow means the same durably as in process: the same outputs, intermediate outputs and failures."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.agents.workflows import register_workflow
from perdure.client import Client
from tests.agents.workflows.comparing import in_order, in_process, intermediates_in, told_by, without_made_up
from tests.agents.workflows.corners import AGENT_CORNERS, CORNERS
from tests.agents.workflows.corpus import EXAMPLES, Example
from tests.agents.workflows.functions import EXPERIMENTAL, FUNCTIONS
from tests.agents.workflows.playing import answer_until_ended
from tests.agents.workflows.teams import TEAMS
from tests.scenarios.hub import Hub

in_memory = pytest.mark.parametrize("open_hub", ["memory"], indirect=True)
quickly = pytest.mark.parametrize("open_hub", ["memory", "sqlite"], indirect=True)
everywhere = pytest.mark.parametrize(
    "open_hub", ["memory", "sqlite", pytest.param("azurite", marks=pytest.mark.azurite)], indirect=True
)
AGENTS = ["agents-in-a-chain", "agent-in-a-loop", "approving-agent", "wrapped-agents"]
AZURITE = {"fan-out-and-in", "shared-state", "wrapped-asking", "intercepted", "failing"}
"""Examples that are played on Azurite, too: what differs between stores is none of a workflow's business."""


@quickly
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in AZURITE])
async def test_durably_as_in_process(hub, name):
    await compared(hub, EXAMPLES[name], EXAMPLES[name])


@everywhere
@pytest.mark.parametrize("name", sorted(AZURITE))
async def test_durably_as_in_process_on_every_store(hub, name):
    await compared(hub, EXAMPLES[name], EXAMPLES[name])


@quickly
@pytest.mark.parametrize("name", [*CORNERS, *AGENT_CORNERS])
async def test_corners_durably_as_in_process(hub, name):
    example = (CORNERS | AGENT_CORNERS)[name]
    await compared(hub, example, example)


@in_memory
@pytest.mark.parametrize("name", AGENT_CORNERS)
async def test_corners_in_steps_as_in_process(hub, name):
    await compared(hub, AGENT_CORNERS[name], AGENT_CORNERS[name], agent_mode="steps", model_retry=None)


@in_memory
@pytest.mark.parametrize("name", [*EXAMPLES, *CORNERS])
async def test_runs_that_continue_as_new_after_each_activity_as_in_process(hub, name):
    example = (EXAMPLES | CORNERS)[name]
    await compared(hub, example, example, tasks_per_generation=1)


@in_memory
@pytest.mark.parametrize("name", AGENT_CORNERS)
async def test_steps_that_continue_as_new_after_each_activity_as_in_process(hub, name):
    await compared(
        hub, AGENT_CORNERS[name], AGENT_CORNERS[name], agent_mode="steps", model_retry=None, tasks_per_generation=1
    )


@quickly
@pytest.mark.filterwarnings(EXPERIMENTAL)
@pytest.mark.parametrize("name", FUNCTIONS)
async def test_functions_durably_as_in_process(hub, name):
    await compared(hub, FUNCTIONS[name], FUNCTIONS[name])


@quickly
@pytest.mark.parametrize("name", TEAMS)
async def test_teams_durably_as_in_process(hub, name):
    await compared(hub, TEAMS[name](), TEAMS[name]())


@quickly
@pytest.mark.parametrize("name", TEAMS)
async def test_teams_in_steps_as_in_process(hub, name):
    await compared(hub, TEAMS[name](), TEAMS[name](), agent_mode="steps")


@quickly
@pytest.mark.parametrize("name", AGENTS[:-1])
async def test_agents_in_steps_as_in_process(hub, name):
    await compared(hub, EXAMPLES[name], EXAMPLES[name], agent_mode="steps")


@everywhere
async def test_agents_in_steps_as_in_process_on_every_store(hub):
    await compared(hub, EXAMPLES[AGENTS[-1]], EXAMPLES[AGENTS[-1]], agent_mode="steps")


async def compared(hub: Hub, one: Example, other: Example, **options: Any) -> None:
    """Run an example in process and the same one durably."""
    expected = await in_process(one)
    built = other.build if options else other.build()
    definition = register_workflow(hub.registry, built, types=other.types, **options)
    await hub.add_worker()
    instance_id = await hub.start(definition.orchestration, other.given)
    status = await answer_until_ended(Client(hub.storage), instance_id, other)
    told = told_by(status)
    assert in_order(one, told.outputs) == in_order(one, expected.outputs)
    assert told.failure == expected.failure
    if expected.intermediates is not None and "tasks_per_generation" not in options:  # history is the last generation's
        seen = [without_made_up(each) for each in intermediates_in(status.history or [])]
        assert sorted(seen, key=str) == sorted(expected.intermediates, key=str)
