"""Machines that are lost where a received message stays hidden for ten minutes, as it does under the Functions host."""

from __future__ import annotations

import asyncio
import dataclasses
import os

import pytest

from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.testing import Faults, Simulation
from tests.simulation.playing import SETTINGS, Play

_FIRST, _, _END = os.environ.get("PERDURE_SEEDS", "0:8").partition(":")
TEN_MINUTES = 600.0
DELAY = 30.0
LOOKING = 5.0
"""Seconds that may pass until a worker looks into the queue, and until somebody looks at what it has done."""


@pytest.mark.parametrize("seed", range(int(_FIRST), int(_END or int(_FIRST) + 1)))
def test_safety_nets_break_no_promise(seed):
    settings = dataclasses.replace(SETTINGS, recovery_delay=DELAY)
    play = Play(
        seed, settings=settings, invisibility=60
    )  # the corpus has a timer of 200 s that must not win a race, though two machines are lost
    assert play.run() == []


def lose_a_machine(delay: float | None, placement: str) -> float:
    """Run an activity that takes long on a machine that is lost meanwhile; return when it began again, in seconds."""
    began: list[float] = []

    def registry(simulation):
        async def slow(_):
            began.append(simulation.loop.time())
            await asyncio.sleep(60 if len(began) == 1 else 0)

        async def orchestrator(context):
            await context.call_activity("slow", placement=placement)

        functions = Registry()
        functions.activities.add("slow", slow)
        functions.orchestrators.add("orchestrator", orchestrator)
        return functions

    quiet = Faults(crash=0, lost_answer=0, unrenewed=0)
    simulation = Simulation(
        1,
        registry,
        workers=2,
        faults=quiet,
        settings=EngineSettings(recovery_delay=delay),
        invisibility=TEN_MINUTES,
    )
    lost: list[float] = []

    async def scenario():
        # no start that a worker begins itself: its safety net is another one
        async def start(worker):
            row = worker.starting.row("one", "orchestrator", execution_id="x", input_=None)
            await worker.starting.insert(row)
            await worker.dispatch.start(row)

        await simulation.request(start)
        while not began:
            await asyncio.sleep(0.1)
        await asyncio.sleep(10)
        lost.append(simulation.loop.time())
        for life in simulation._lives:
            simulation._kill(life)
        simulation.add_worker("other")
        while (row := await simulation.storage.read("one")) is not None and row.instance.status not in ENDED:
            await asyncio.sleep(1)
        while any(simulation.store.queues.values()):
            await asyncio.sleep(10)

    simulation.run(scenario())
    assert len(began) == 2
    return began[1] - lost[0]


@pytest.mark.parametrize("placement", [None, "queue"])
def test_long_work_of_a_lost_machine_is_taken_up_after_the_delay(placement):
    assert lose_a_machine(DELAY, placement) < DELAY + LOOKING


@pytest.mark.parametrize("placement", [None, "queue"])
def test_without_it_the_queue_alone_shows_the_message_again(placement):
    assert TEN_MINUTES / 2 - LOOKING < lose_a_machine(None, placement) < TEN_MINUTES + LOOKING
