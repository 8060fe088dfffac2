"""Half of the corpus at once, durably, while workers crash, answers get lost and messages come twice."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest

from perdure.agents.workflows import register_workflow
from perdure.client import Client
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.testing import Faults, Simulation
from tests.agents.workflows.comparing import Told, in_order, in_process, told_by
from tests.agents.workflows.corpus import EXAMPLES, Example
from tests.agents.workflows.functions import EXPERIMENTAL, FUNCTIONS
from tests.agents.workflows.playing import answer_until_ended
from tests.agents.workflows.teams import TEAMS

pytestmark = pytest.mark.filterwarnings(EXPERIMENTAL)

SETTINGS = EngineSettings(tail_turns=4, cached_sessions=4, anchor_budget=20, safety_net_delay=15)
FAULTS = Faults(crash=0.02, quiet_after=600.0)
_FIRST, _, _END = os.environ.get("PERDURE_SEEDS", "0:4").partition(":")


def examples() -> dict[str, Example]:
    return EXAMPLES | FUNCTIONS | {name: make() for name, make in TEAMS.items()}


@pytest.fixture(scope="module")
def expected() -> dict[str, Told]:
    async def all_of_them() -> dict[str, Told]:
        return {name: await in_process(example) for name, example in examples().items()}

    logging.getLogger("agent_framework").setLevel(logging.CRITICAL)
    return asyncio.run(all_of_them())


def registry_of(simulation: Simulation) -> Registry:
    """A worker's functions: each life of a worker has built its own workflows. Some runs tell their events, and in some
    agents run in steps.
    """
    registry = Registry()
    for name, example in examples().items():
        options = {"types": example.types, "tasks_per_generation": 5, "events": simulation.seed % 4 == 3}
        if simulation.seed % 4 == 1 and name not in FUNCTIONS:
            register_workflow(registry, example.build, name=name, agent_mode="steps", **options)
        else:
            register_workflow(registry, example.build(), name=name, **options)
    return registry


@pytest.mark.parametrize("seed", range(int(_FIRST), int(_END or int(_FIRST) + 1)))
def test_seed(seed: int, expected: dict[str, Told], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    simulation = Simulation(seed, registry_of, settings=SETTINGS, faults=FAULTS)
    told: dict[str, Told] = {}
    every = examples()
    played = {name: every[name] for name in simulation.random.sample(sorted(every), k=len(every) // 2)}

    async def play(name: str, example: Example) -> None:
        client = Client(simulation.storage, clock=simulation.clock)
        await asyncio.sleep(simulation.random.uniform(0, 30))
        await client.start_new(f"dafx-{name}", name, example.given)
        status = await answer_until_ended(client, name, example, pause=20.0, dice=simulation.random)
        told[name] = told_by(status)

    async def clients() -> None:
        await asyncio.gather(*(play(name, example) for name, example in played.items()))

    simulation.run(clients())
    assert simulation.crashes > 0
    for name, example in played.items():
        assert in_order(example, told[name].outputs) == in_order(example, expected[name].outputs), name
        assert told[name].failure == expected[name].failure, name
