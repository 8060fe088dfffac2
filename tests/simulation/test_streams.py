"""Durable streams while workers crash, answers get lost and activities run twice, at once or one after the other.

Whatever a reader's connection does, what it has got in the end, superseded items left out, is what the attempts said
whose results the orchestration has.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from perdure.core.status import ENDED
from perdure.engine.registry import Registry, activity_context
from perdure.engine.settings import EngineSettings
from perdure.streaming import StreamReader
from perdure.testing import Faults, Simulation
from tests.simulation.starting import start

SEEDS = 40
ITEMS = 12
INSTANCE = "talking"


class Talk:
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        faults = Faults(crash=0.02, lost_answer=0.05, refused=0.02 if seed % 3 == 1 else 0.0, quiet_after=600)
        settings = EngineSettings(tail_turns=4, anchor_budget=20, safety_net_delay=15)
        self.simulation = Simulation(seed, self._registry, faults=faults, settings=settings, invisibility=3.0)
        self.random = self.simulation.random
        self.restarts = 0
        self.attempts: Counter[int] = Counter()
        self.output: list[str] = []

    def _registry(self, _: Simulation) -> Registry:
        registry = Registry()

        def talk(context):
            first = yield context.call_activity("say", 0)
            second = yield context.call_activity("say", 1)
            said = [first, second, *(yield context.task_all([context.call_activity("say", each) for each in (2, 3)]))]
            return [*said, (yield context.call_activity("end", said))]

        async def say(number):
            self.attempts[number] += 1
            word = f"{self.random.getrandbits(64):016x}"
            async with activity_context().stream("talk") as stream:
                if stream.finished:
                    return stream.result
                for place in range(ITEMS):
                    await stream.write([number, word, place])
                    await asyncio.sleep(self.random.uniform(0, 0.4))
                return await stream.complete(word)

        async def end(said):
            async with activity_context().stream("talk") as stream:
                await stream.finish(said)
            return "end"

        registry.orchestrators.add("talk", talk)
        registry.activities.add("say", say)
        registry.activities.add("end", end)
        return registry

    def run(self):
        """Return what the readers have got, each in its own way."""
        readings = []
        self.simulation.run(self._clients(readings))
        return readings

    async def _clients(self, readings):
        simulation = self.simulation
        execution_id = f"{self.random.getrandbits(128):032x}"

        async def serve(worker):
            row = worker.starting.row(INSTANCE, "talk", execution_id=execution_id, input_="null")
            await start(worker, row)

        await simulation.request(serve)
        readings += await asyncio.gather(*(self._read() for _ in range(3)))
        while True:
            instance = await simulation.storage.read_instance(INSTANCE)
            if instance is not None and instance.status in ENDED:
                break
            await asyncio.sleep(1)
        self.output = json.loads(instance.output)
        readings.append(await self._read())

    async def _read(self):
        """Read to the end, over a connection that is often cut: what was on its way is lost, and read again."""
        items, cursor = [], None
        while True:
            reader = StreamReader(self.simulation.storage, INSTANCE, "talk")
            page = await reader.read(cursor, wait=self.random.choice([0, 1, 30]), limit=self.random.randint(1, 20))
            if self.random.random() < 0.3:
                got = page.items[: self.random.randint(0, len(page.items))]
                items += got
                cursor = got[-1].cursor if got else cursor
                continue
            items, cursor = items + page.items, page.cursor
            if page.ended:
                return items
            await asyncio.sleep(self.random.uniform(0, 2))

    def heard(self, items):
        """What a reader has got of each step, superseded items left out."""
        steps: dict[str, list] = {}
        for item in items:
            if item.event == "restart":
                self.restarts += 1
                said = steps[item.step]
                assert item.data == {"step": item.step, "superseded": len(said)}
                said.clear()
            elif item.event == "message":
                steps.setdefault(item.step, []).append(item.data)
        return sorted(steps.values())


@pytest.mark.parametrize("seed", range(SEEDS))
def test_seed(seed):
    talk = Talk(seed)

    readings = talk.run()

    *said, end = talk.output
    assert end == "end"
    expected = [[[number, word, place] for place in range(ITEMS)] for number, word in enumerate(said)]
    for items in readings:
        assert items[-1].event == "end"
        assert items[-1].data["result"] == said
        assert len({item.cursor for item in items}) == len(items)
        assert talk.heard(items) == expected
    assert readings[1:] == readings[:-1]


def test_there_is_something_to_see():
    """Activities do run again in these runs, and readers are told."""
    talks = [Talk(seed) for seed in range(8)]
    for talk in talks:
        for items in talk.run():
            talk.heard(items)

    assert sum(talk.simulation.crashes for talk in talks) > 8
    assert sum(talk.restarts for talk in talks) > 8
    assert any(times > 1 for talk in talks for times in talk.attempts.values())
