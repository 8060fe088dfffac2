"""Many sessions at once on two workers; `PERDURE_AGENT_SESSIONS=100` has as many, with ten turns each."""

from __future__ import annotations

import asyncio
import os

from agent_framework import tool

from tests.agents.models import calls

SESSIONS = int(os.environ.get("PERDURE_AGENT_SESSIONS", "12"))
TURNS = 10 if SESSIONS >= 100 else 4


@tool
async def square(number: int) -> int:
    """Square a number."""
    await asyncio.sleep(0)
    return number * number


def script(messages, options):
    if messages[-1].role == "tool":
        return f"{messages[-1].contents[0].result}, after {sum(m.role == 'user' for m in messages)} questions"
    return [calls("square", f"c{len(messages)}", number=int(messages[-1].text.split()[-1]))]


async def test_all_transcripts_are_right(agents):
    model = agents.scripted(script, mode="steps", tools=[square])
    await agents.hub.add_worker()
    await agents.hub.add_worker()

    async def talk(number):
        for turn in range(TURNS):
            result = await agents.ask(f"square {number * 100 + turn}", f"session-{number}")
            assert result["response"] == f"{(number * 100 + turn) ** 2}, after {turn + 1} questions"

    await asyncio.gather(*map(talk, range(SESSIONS)))
    for number in range(SESSIONS):
        texts = await agents.texts(f"session-{number}")
        assert [text for role, text in texts if role == "user"] == [
            f"square {number * 100 + turn}" for turn in range(TURNS)
        ]
        assert [role for role, _ in texts] == ["user", "assistant", "tool", "assistant"] * TURNS
    assert len(model.asked) == 2 * SESSIONS * TURNS
    await agents.hub.quiet()
