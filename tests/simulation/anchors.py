"""Chains alone, whose activities run in place, under more faults than usual: this is where traps about anchors show."""

from __future__ import annotations

import asyncio
import json
from functools import partial

from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.testing import Faults, Simulation
from tests.simulation.corpus import Ledger, registry_of
from tests.simulation.observer import Observer

CHAINS = 4
FAULTS = Faults(crash=0.015, lost_answer=0.1, unrenewed=0.7, quiet_after=300.0)
SETTINGS = EngineSettings(tail_turns=4, cached_sessions=2, anchor_budget=1_000, safety_net_delay=8)


class AnchorPlay:
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger()
        self.simulation = Simulation(seed, self._registry, faults=FAULTS, settings=SETTINGS, invisibility=4.0)
        self.ledger.sent_twice = self.simulation.sent_twice
        self.observer = Observer(self.simulation.store, self.ledger)
        self.simulation.after_call.append(self.observer)
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Return what went wrong."""
        self.simulation.run(self._clients())
        return [*self.wrong, *self.observer.wrong, *self.ledger.unexplained]

    def _registry(self, simulation: Simulation) -> Registry:
        return registry_of(simulation, self.ledger)

    async def _clients(self) -> None:
        simulation = self.simulation
        for number in range(CHAINS):
            await simulation.request(partial(_start, number=number))
        rows = simulation.store.hubs["simulated"].rows
        while simulation.loop.time() < 1_000:
            await asyncio.sleep(10)
            ended = all(row.instance.status in ENDED for row in rows.values())
            if ended and not any(simulation.store.queues.values()):
                break
        for instance_id, row in rows.items():
            if json.loads(row.instance.output or "null") != 15:
                self.wrong.append(f"{instance_id}: {row.instance.status} with {row.instance.output}")
        for queue, messages in simulation.store.queues.items():
            self.wrong += [f"left in {queue}: {message.body[:200]}" for message in messages.values()]


async def _start(worker: Worker, number: int) -> None:
    row = worker.starting.row(f"chain-{number}", "chain", execution_id=f"e{number}", input_=None)
    await worker.starting.insert(row)
    await worker.dispatch.start(row)
