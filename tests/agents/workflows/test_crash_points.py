"""A workflow whose worker dies at the n-th storage call, for every n, or loses the call's answer: what has been
answered and stored is never asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from agent_framework import Content, Message, WorkflowBuilder, tool

from perdure.agents.workflows import register_workflow
from perdure.client import Client
from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.testing import Simulation
from perdure.testing.faults import NO_FAULTS, Fate
from tests.agents.workflows import functions
from tests.agents.workflows.comparing import without_made_up
from tests.agents.workflows.corpus import Reviews
from tests.agents.workflows.scripted import agent
from tests.simulation.playing import SETTINGS

FATES = (Fate.CRASH_BEFORE, Fate.CRASH_AFTER, Fate.ANSWER_LOST)
BEGUN: list[str] = []


def research() -> Any:
    """An agent that looks up two pages, one after the other, and an executor after it."""

    @tool
    def look_up(page: int) -> str:
        """Look a page up."""
        BEGUN.append(f"tool {page}")
        return f"page {page}"

    def script(messages: Sequence[Message], _: Any) -> str | Content:
        found = sum(content.type == "function_result" for each in messages for content in each.contents)
        BEGUN.append(f"model {found}")
        if found == 2:
            return "two pages"
        return Content.from_function_call(f"c{found}", "look_up", arguments={"page": found})

    researcher = agent("researcher", script, tools=[look_up])
    return WorkflowBuilder(name="played", start_executor=researcher).add_edge(researcher, Reviews()).build()


@functions.step
async def noted(number: int) -> int:
    BEGUN.append(f"step {number}")
    return number + 1


@functions.workflow
async def counting(text: str) -> str:
    number = 0
    for _ in range(4):
        number = await noted(number)
    return f"{text} {number}"


class Played:
    """One run under faults."""

    def __init__(self, workflow: Any, script: dict[int, Fate], options: dict[str, Any]) -> None:
        BEGUN.clear()
        self._workflow = workflow
        self._options = options
        self.simulation = Simulation(1, self._registry, workers=1, faults=NO_FAULTS, script=script, settings=SETTINGS)
        self.status: Any = None
        self.simulation.run(self._client())
        self.begun = list(BEGUN)

    def _registry(self, _: Simulation) -> Registry:
        registry = Registry()
        register_workflow(registry, self._workflow(), name="played", events=False, **self._options)
        return registry

    async def _client(self) -> None:
        client = Client(self.simulation.storage, clock=self.simulation.clock)
        await client.start_new("dafx-played", "one", "look")
        while self.simulation.loop.time() < 2_000:
            self.status = await client.get_status("one")
            if self.status.runtime_status in ENDED:
                return
            await asyncio.sleep(1)


@pytest.mark.filterwarnings(functions.EXPERIMENTAL)
@pytest.mark.parametrize(
    ("workflow", "options"),
    [(research, {}), (research, {"agent_mode": "steps", "model_retry": None}), (lambda: counting, {})],
    ids=["agent", "agent in steps", "function"],
)
def test_every_storage_call(workflow: Any, options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    undisturbed = Played(workflow, {}, options)
    assert undisturbed.status.runtime_status.name == "Completed", undisturbed.status.to_json()
    assert len(undisturbed.begun) == len(set(undisturbed.begun)) >= 4
    for number in range(undisturbed.simulation.tries):
        for fate in FATES:
            played = Played(workflow, {number: fate}, options)
            where = f"call {number}, {fate}: {played.begun}"
            assert without_made_up(played.status.output) == without_made_up(undisturbed.status.output), where
            again = [each for each in played.begun if played.begun.count(each) > 1]
            assert len(played.begun) - len(undisturbed.begun) <= (0 if fate is Fate.ANSWER_LOST else 1), where
            assert played.begun == sorted(played.begun, key=undisturbed.begun.index), f"{where}, {again} ran again"
