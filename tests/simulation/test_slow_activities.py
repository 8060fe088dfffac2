"""Activities in place that take longer than anybody keeps their message: worker after worker takes it over.

Trap b: a session whose anchor another has taken over commits nothing, but hands over what it ran. Otherwise each of
them would run the activity to its end in vain, until one ends while nobody else has taken over: 12 to more than 99 runs
in these seeds, and one seed does not come to its end at all.
"""

from __future__ import annotations

import asyncio

import pytest

from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.testing import Faults, Simulation

SEEDS = 5
FAULTS = Faults(crash=0, lost_answer=0, unrenewed=1.0)
SETTINGS = EngineSettings(safety_net_delay=4, anchor_budget=1_000)
TAKES = 30.0
LIMIT = 1_000.0
WORKERS = 4


def runs_of(seed: int) -> tuple[int, float]:
    """Return how often the activity was run in a seed's run, and after how many seconds the orchestration ended."""
    runs = 0

    def slow(context):
        return (yield context.call_activity("slow"))

    async def take_long(_):
        nonlocal runs
        runs += 1
        await asyncio.sleep(TAKES)
        return "done"

    def registry(_):
        functions = Registry()
        functions.orchestrators.add("slow", slow)
        functions.activities.add("slow", take_long)
        return functions

    simulation = Simulation(seed, registry, workers=WORKERS, faults=FAULTS, settings=SETTINGS, invisibility=4.0)

    async def start(worker):
        row = worker.starting.row("one", "slow", execution_id="e", input_=None)
        await worker.starting.insert(row)
        await worker.dispatch.start(row)

    ended = 0.0

    async def client():
        nonlocal ended
        await simulation.request(start)
        while (await simulation.storage.read_instance("one")).status != "Completed" and simulation.loop.time() < LIMIT:
            await asyncio.sleep(1)
        ended = simulation.loop.time()

    simulation.run(client())
    return runs, ended


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_first_that_comes_to_its_end_counts(seed):
    runs, seconds = runs_of(seed)
    assert runs <= WORKERS
    assert seconds < TAKES + 10
