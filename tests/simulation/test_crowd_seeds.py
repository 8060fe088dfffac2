"""Many short activities at once, under faults: in place side by side, in shared work items, put back when one of them
takes long; while generations end, somebody pauses, rewinds, terminates or purges, and outcomes are told again.

A failing seed is in the test's name; `PERDURE_SEEDS=17:18` runs that one alone.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from perdure.core.context import OrchestrationContext
from perdure.engine.registry import Registry
from perdure.engine.succession import purge
from perdure.engine.worker import Worker
from perdure.errors import InstanceNotEndedError
from perdure.testing import Simulation
from tests.simulation.corpus import LARGE, Orchestrator
from tests.simulation.playing import Play

_FIRST, _, _END = os.environ.get("PERDURE_SEEDS", "0:30").partition(":")
_CHILDREN = [f"child-{number}" for number in range(5)]


def crowds(context: OrchestrationContext) -> Orchestrator:
    """One crowd after the other, then a new generation with large results."""
    generation = context.get_input()
    few = yield context.task_all([context.call_activity("quick", number) for number in range(8)])
    many = yield context.task_all([context.call_activity("quick", number) for number in range(40)])
    texts = yield context.task_all([context.call_activity("big", number) for number in range(3)])
    if generation < 2:
        context.continue_as_new(generation + 1)
        return None
    return [sum(few), sum(many), [len(text) for text in texts]]


def leaving(context: OrchestrationContext) -> Orchestrator:
    """Waits for the first of a crowd only: the outcomes of the others come to a generation that is over."""
    generation = context.get_input()
    tasks = [context.call_activity("quick", number) for number in range(10)]
    yield context.task_any(tasks)
    if generation < 6:
        context.continue_as_new(generation + 1)
        return None
    return generation


def selecting(context: OrchestrationContext) -> Orchestrator:
    """Takes one outcome after the other, and asks for one more for each."""
    waiting = [context.call_activity("quick", number) for number in range(6)]
    total = left = 12
    while waiting:
        done = yield context.task_any(waiting)
        waiting.remove(done)
        total += done.result
        if left:
            left -= 1
            waiting.append(context.call_activity("quick", 1))
    return total


def mending(context: OrchestrationContext) -> Orchestrator:
    """Fails in the middle of a crowd, until somebody rewinds it."""
    first = yield context.task_all([context.call_activity("brittle", number) for number in range(8)])
    second = yield context.task_all([context.call_activity("brittle", number) for number in range(30)])
    done = yield context.wait_for_external_event("done")
    return [sum(first), sum(second), done]


def pausing(context: OrchestrationContext) -> Orchestrator:
    """Is suspended and resumed again and again."""
    total = 0
    for _ in range(8):
        total += sum((yield context.task_all([context.call_activity("quick", number) for number in range(8)])))
    return total


def doomed(context: OrchestrationContext) -> Orchestrator:
    """Has one crowd after the other, and children that do, until somebody terminates it."""
    context.call_sub_orchestrator("forlorn", None, "forlorn-0")
    while True:
        yield context.task_all([context.call_activity("slow", number) for number in range(8)])


def forlorn(context: OrchestrationContext) -> Orchestrator:
    while True:
        yield context.task_all([context.call_activity("slow", number) for number in range(3)])


def family(context: OrchestrationContext) -> Orchestrator:
    """Its children's large outcomes are told once more when these are purged, in whatever company."""
    texts = yield context.task_all([context.call_sub_orchestrator("child", None, name) for name in _CHILDREN])
    yield context.wait_for_external_event("purged")
    one = yield context.call_activity("quick", 1)
    return [len(text) + one for text in texts]


def child(context: OrchestrationContext) -> Orchestrator:
    yield context.call_activity("quick", 0)
    return "x" * LARGE


class CrowdPlay(Play):
    """One seed's run."""

    starts = {  # noqa: RUF012 - as in `Play`, and nobody changes it
        "crowds": ("crowds", 0, [28, 780, [LARGE] * 3]),
        "leaving": ("leaving", 0, 6),
        "selecting": ("selecting", None, 12 + 15 + 12),
        "mending": ("mending", None, [28, 435, "done"]),
        "pausing": ("pausing", None, 8 * 28),
        "family": ("family", None, [LARGE + 1] * len(_CHILDREN)),
    }

    async def _clients(self) -> None:
        simulation = self.simulation
        await asyncio.gather(*(self._start(instance_id) for instance_id in self.starts))
        meddling = (
            self._mend("mending"),
            self._pause("pausing"),
            self._doom("doomed"),
            self._scale(),
            self._purge_family(),
        )
        tasks = [asyncio.create_task(each) for each in meddling]
        while simulation.loop.time() < self.limit and not await self._quiet():
            await asyncio.sleep(10)
        for task in tasks:
            if task.done():
                await task
            task.cancel()
        await self._check()

    async def _purge_family(self) -> None:
        """Purge the children at once when all of them have ended, and tell their parent."""
        storage, simulation = self.simulation.storage, self.simulation
        rows = simulation.store.hubs["simulated"].rows
        while not all(name in rows and rows[name].instance.status == "Completed" for name in _CHILDREN):
            await asyncio.sleep(simulation.random.uniform(0, 5))

        async def serve(worker: Worker) -> None:
            await asyncio.gather(*(self._purge_one(worker, name) for name in _CHILDREN))

        while any([await storage.read(name) is not None for name in _CHILDREN]):
            await simulation.request(serve)
            await asyncio.sleep(simulation.random.uniform(0, 5))
        await self._raise("family", "purged", None, "purged")

    async def _purge_one(self, worker: Worker, name: str) -> None:
        row = await worker.storage.read(name)
        if row is None:
            return
        try:
            await purge(worker.storage, worker.dispatch, row)
        except InstanceNotEndedError:
            return  # the parent has not taken in its outcome yet

    def _registry(self, simulation: Simulation) -> Registry:
        ledger, registry = self.ledger, Registry()

        async def quick(number: int) -> int:
            ledger.write()
            slow = simulation.random.random() < 0.01
            await asyncio.sleep(8.0 if slow else simulation.random.uniform(0, 0.01))
            return number

        async def slow(number: int) -> int:
            ledger.write()
            await asyncio.sleep(simulation.random.uniform(0, 0.02) if number else 3.0)
            return number

        async def big(number: int) -> str:
            await quick(number)
            return "x" * LARGE

        async def brittle(number: int) -> int:
            await quick(number)
            if simulation.random.random() < 0.03 and simulation.loop.time() < 3_000:
                raise ValueError("not yet")
            return number

        for orchestrator in (crowds, leaving, selecting, mending, pausing, doomed, forlorn, family, child):
            registry.orchestrators.add(orchestrator.__name__, orchestrator)
        for activity in (quick, slow, big, brittle):
            registry.activities.add(activity.__name__, activity)
        return registry


@pytest.mark.parametrize("seed", range(int(_FIRST), int(_END or int(_FIRST) + 1)))
def test_seed(seed: int) -> None:
    assert CrowdPlay(seed).run() == []
