"""The simulation as users meet it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.client import Client
from perdure.engine.registry import Registry
from perdure.testing import Simulation


def registry_of(_simulation: Simulation) -> Registry:
    registry = Registry()

    def sleeps(context):
        yield context.create_timer(timedelta(minutes=1))

    registry.orchestrators.add("sleeps", sleeps)
    return registry


async def start_and_wait(simulation: Simulation) -> None:
    client = Client(simulation.storage, clock=simulation.clock)
    await client.start_new("sleeps", "one")
    await client.wait_for_completion("one")


def test_a_client_that_waits_looks_at_the_same_moments_each_time() -> None:
    ends = []
    for _ in range(2):
        simulation = Simulation(3, registry_of)
        simulation.run(start_and_wait(simulation))
        ends.append(simulation.loop.time())
    assert ends[0] == ends[1]


def test_functions_that_can_not_be_registered_end_the_run() -> None:
    def broken(_simulation: Simulation) -> Registry:
        raise LookupError("no such function")

    simulation = Simulation(3, broken)
    with pytest.raises(LookupError, match="no such function"):
        simulation.run(start_and_wait(simulation))
