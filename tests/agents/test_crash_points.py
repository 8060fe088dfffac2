"""A turn in steps, with a worker that dies at the n-th storage call, for every n, or loses the call's answer."""

from __future__ import annotations

import asyncio
import json

import pytest
from agent_framework import Agent, tool

from perdure.agents import DurableAgentDefinition
from perdure.agents.naming import turn_id
from perdure.agents.requests import RunRequest
from perdure.client import Client
from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.testing import Simulation
from perdure.testing.faults import NO_FAULTS, Fate, Faults
from tests.agents.models import ScriptedModel, calls
from tests.simulation.playing import SETTINGS

FATES = (Fate.CRASH_BEFORE, Fate.CRASH_AFTER, Fate.ANSWER_LOST)
EXPECTED = "2 of 2: page 0, page 1"


class Played:
    """One turn under faults: what ran, and what came of it."""

    def __init__(self, *, seed=1, workers=1, faults=NO_FAULTS, script=None, turns=1):
        self.begun: list[str] = []
        self.turns = turns
        self.simulation = Simulation(
            seed, self._registry, workers=workers, faults=faults, script=script, settings=SETTINGS
        )

    def run(self):
        self.simulation.run(self._clients())
        return self

    @property
    def client(self):
        return Client(self.simulation.storage)

    def _registry(self, simulation):
        @tool
        def look_up(page: int) -> str:
            """Look a page up."""
            self.begun.append(f"tool {page}")
            return f"page {page}"

        def script(messages, options):
            turn = sum(message.role == "user" for message in messages)
            results = [part.result for part in messages[-1].contents] if messages[-1].role == "tool" else []
            self.begun.append(f"model {turn}.{bool(results):d}")
            if not results:
                return [calls("look_up", f"c{turn}-{page}", page=page) for page in range(2)]
            return f"{len(results)} of 2: {', '.join(results)}"

        async def client():
            return self.client

        registry = Registry()
        agent = Agent(ScriptedModel(script), name="w", tools=[look_up])
        DurableAgentDefinition(agent, client, mode="steps", model_retry=None, expires_after=None).register(registry)
        return registry

    async def _clients(self):
        self.results = []
        for number in range(self.turns):
            sessions = DurableAgentDefinition(Agent(ScriptedModel(None), name="w"), None).sessions(self.client)
            await sessions.start("s", RunRequest(message="look", correlationId=f"c{number}"))
            while True:
                status = await self.client.get_status(turn_id("w", "s", f"c{number}"))
                if status.runtime_status in ENDED or self.simulation.loop.time() > 2_000:
                    break
                await asyncio.sleep(1)
            self.results.append(status.output)
        while self.simulation.loop.time() < 3_000 and any(map(len, self.simulation.store.queues.values())):
            await asyncio.sleep(1)
        self.left = [body for queue in self.simulation.store.queues.values() for body in queue.values()]
        self.state = await sessions.transcript("s")

    def check(self):
        assert [result["response"] for result in self.results] == [EXPECTED] * self.turns
        roles = [message["role"] for message in self.state.messages]
        assert roles == ["user", "assistant", "tool", "assistant"] * self.turns
        assert self.left == []
        assert json.dumps(self.state.messages).count('"page 1"') == self.turns
        stages = [{"model": 0, "tool": 1}[each.split()[0]] + 2 * each.endswith(".1") for each in self.begun]
        if self.turns == 1:
            assert stages == sorted(stages), f"a step ran again after its result was recorded: {self.begun}"


def test_every_storage_call():
    undisturbed = Played().run()
    undisturbed.check()
    assert len(undisturbed.begun) == 4
    for number in range(undisturbed.simulation.tries):
        for fate in FATES:
            played = Played(script={number: fate}).run()
            try:
                played.check()
                # a crash repeats what was under way, two tools at most; a work item whose send was repeated comes twice
                assert len(played.begun) - 4 <= (1 if fate is Fate.ANSWER_LOST else 2)
            except AssertionError as error:
                raise AssertionError(f"call {number}, {fate}: {error}") from error


@pytest.mark.parametrize("seed", range(20))
def test_seeds(seed):
    faults = Faults(crash=0.02, lost_answer=0.03, unrenewed=0.2, clocks_differ=2)
    Played(seed=seed, workers=3, faults=faults, turns=3).run().check()
