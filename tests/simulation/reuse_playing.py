"""Instance ids that are used again and again, while clients purge, replace and restart what has ended: nothing of one
execution may reach another, and nothing of any may be left behind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

from perdure.client import Client
from perdure.core.context import OrchestrationContext
from perdure.core.data import payload_of
from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.errors import InstanceExistsError, InstanceNotEndedError, InstanceNotFoundError
from perdure.storage.protocol import PayloadMissing
from perdure.testing import Faults, Simulation
from perdure.testing.virtual_time import VirtualClock
from tests.simulation.corpus import LARGE, Ledger, registry_of
from tests.simulation.observer import Observer
from tests.simulation.playing import SETTINGS

IDS = ("again-a", "again-b", "again-c")
STARTERS = 2
"""Clients that start each id, each of its own accord."""
ROUNDS = 6
LIMIT = 3_000.0
FAULTS = Faults(crash=0.004, lost_answer=0.03, stalled=0.02, quiet_after=600)

_UNSEEN = 40.0
"""Seconds for which a stalled worker may not know what history has."""


def again(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    """Large data everywhere, a history in several segments, a child whose id is used again, too."""
    token, ballast = context.get_input()
    context.set_custom_status(token * LARGE)
    total = 0
    for step in range(6):
        total = yield context.call_activity("add", [total, step])
    echoed = yield context.call_sub_orchestrator("echoing", token, f"{context.instance_id}-child")
    copies = yield context.call_activity("repeat", token)
    context.set_custom_status(copies)
    assert set(ballast) == {token}
    assert set(copies) == {token}
    return [token, total, echoed]


def echoing(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    yield context.call_activity("add", [1, 1])
    return context.get_input()


class ReusePlay:
    """One seed's run."""

    def __init__(self, seed: int, faults: Faults = FAULTS) -> None:
        self.ledger = Ledger(unseen=_UNSEEN)
        self.simulation = Simulation(seed, self._registry, settings=SETTINGS, faults=faults, invisibility=10.0)
        self.ledger.sent_twice = self.simulation.sent_twice
        self.observer = Observer(self.simulation.store, self.ledger)
        self.simulation.after_call += [self.observer, self._look]
        self.wrong: list[str] = []
        self.tokens: dict[str, str] = {}
        """What each execution was started with, by its id."""
        self.ended: set[str] = set()
        self._purging = True

    def run(self) -> list[str]:
        """Return what went wrong."""
        self.simulation.run(self._clients())
        return [*self.wrong, *self.observer.wrong, *self.ledger.unexplained]

    def _registry(self, simulation: Simulation) -> Registry:
        registry = registry_of(simulation, self.ledger)
        registry.orchestrators.add("again", again)
        registry.orchestrators.add("echoing", echoing)
        return registry

    # ---- the clients -----------------------------------------------------------------------------------------------

    async def _clients(self) -> None:
        simulation = self.simulation
        purging = [asyncio.create_task(self._purge(each)) for each in IDS]
        starting = [
            asyncio.create_task(self._start(each, chr(ord("a") + number))) for each in IDS for number in range(STARTERS)
        ]
        await asyncio.wait(starting, timeout=LIMIT)
        self._purging = False
        await asyncio.gather(*purging)
        while simulation.loop.time() < LIMIT and not (self.wrong or self._quiet()):
            await asyncio.sleep(10)
        for task in starting:
            if task.done():
                await task
            task.cancel()
        await self._check()

    async def _ask(self, ask: Callable[[Client], Awaitable[object]]) -> None:
        """Have some worker's client do it, unless what it is to be done to is not there or not in its place."""

        async def serve(worker: Worker) -> None:
            client = Client(worker.storage, worker=worker, clock=worker.clock, new_id=worker.new_id)
            try:
                await ask(client)
            except (InstanceExistsError, InstanceNotEndedError, InstanceNotFoundError, PayloadMissing):
                return

        await self.simulation.request(serve)

    async def _start(self, instance_id: str, letter: str) -> None:
        """Start the id, or restart what it has been, time and again: whatever has ended gives way."""
        for _ in range(ROUNDS):
            await asyncio.sleep(self.simulation.random.uniform(0, 20))
            if self.simulation.random.random() < 0.3:
                await self._ask(lambda client: client.restart(instance_id, restart_with_new_instance_id=False))
            else:
                await self._ask(partial(_begin, instance_id=instance_id, letter=letter))

    async def _purge(self, instance_id: str) -> None:
        """Purge the id, and its child's, whenever it may have ended."""
        while self._purging:
            await asyncio.sleep(self.simulation.random.uniform(0, 4))
            row = self.simulation.store.hubs["simulated"].rows.get(instance_id)
            if row is not None and row.instance.status in ENDED:
                await self._ask(partial(_purge, instance_id=instance_id))

    # ---- what is to hold -------------------------------------------------------------------------------------------

    def _look(self, method: str) -> None:
        """Note what executions are started with, and whether each comes to what that demands."""
        if method not in ("insert", "merge", "replace"):
            return
        hub = self.simulation.store.hubs["simulated"]
        for instance_id, row in hub.rows.items():
            instance = row.instance
            if instance_id not in IDS:
                continue
            if instance.execution_id not in self.tokens:
                self.tokens[instance.execution_id] = self._token(instance_id, instance.input)
            if instance.status in ENDED and instance.execution_id not in self.ended:
                self.ended.add(instance.execution_id)
                token = self.tokens[instance.execution_id]
                if instance.status != "Completed" or json.loads(instance.output or "null") != [token, 15, token]:
                    self.wrong.append(f"{instance_id} ({token}) {instance.status} with {instance.output}")

    def _token(self, instance_id: str, datum: str | None) -> str:
        payloads = self.simulation.store.hubs["simulated"].payloads
        stored = payloads.get((instance_id, payload_of(datum) or ""))
        if stored is None:
            self.wrong.append(f"{instance_id} begins without its input")
            return ""
        token: str = json.loads(stored)[0]
        return token

    def _quiet(self) -> bool:
        rows = self.simulation.store.hubs["simulated"].rows
        ended = all(row.instance.status in ENDED for row in rows.values())
        return ended and not any(self.simulation.store.queues.values())

    async def _check(self) -> None:
        hub = self.simulation.store.hubs["simulated"]
        for row in hub.rows.values():
            if row.instance.status not in ENDED or row.instance.deleting:
                self.wrong.append(f"{row.instance.instance_id} is {row.instance.status}")
        for queue, messages in self.simulation.store.queues.items():
            self.wrong += [f"left in {queue}: {message.body[:200]}" for message in messages.values()]
        # so late that what a client that died has left is known as such
        client = Client(self.simulation.storage, clock=VirtualClock(self.simulation.loop, skew=7_200))
        for instance_id in [*hub.rows, *IDS, *(f"{each}-child" for each in IDS)]:
            await _purge(client, instance_id)
        self.wrong += [f"a row of {each} is left" for each in hub.rows]
        self.wrong += [f"segment {name} of {each} is left" for each, name in hub.segments]
        self.wrong += [f"payload {name} of {each} is left" for each, name in hub.payloads]


async def _purge(client: Client, instance_id: str) -> None:
    await client.purge_instance_history(instance_id)


async def _begin(client: Client, instance_id: str, letter: str) -> None:
    await client.start_new("again", instance_id, [letter, letter * LARGE])
