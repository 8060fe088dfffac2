"""Whatever answers is an agent: an async function, one that streams, a LangChain runnable. And a page that shows how a
stream survives a lost connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import azure.functions as func
from agent_framework import Message

import perdure_functions as df


async def parrot(messages: list[Message]) -> str:
    """Repeat what was said. The whole conversation is there, the newest message last."""
    said = [message.text for message in messages if message.role == "user"]
    return f"{said[-1]} (You have said {len(said)} things.)"


async def storyteller(messages: list[Message]) -> AsyncIterator[str]:
    """Tell a story, word by word: an async generator streams."""
    for number in range(1, 21):
        await asyncio.sleep(float(os.environ.get("STEP_SECONDS", "0")))
        yield f"{messages[-1].text} went {number} {'mile' if number == 1 else 'miles'}. "


class Concierge:
    """Stands for a LangChain runnable, so that this sample needs no LangChain: all that counts is `ainvoke`.

    A real one is `prompt | ChatOpenAI(model="gpt-4.1-mini")`, or a LangGraph graph.
    """

    async def ainvoke(self, conversation: list[tuple[str, str]]) -> str:
        """Answer (role, text) pairs, as LangChain's chat models do."""
        role, text = conversation[-1]
        return f"The {role} wishes: {text}"


app = df.agents.AgentFunctionApp(
    agents=[
        df.agents.as_agent(parrot, name="parrot", description="Repeats what it hears."),
        df.agents.as_agent(storyteller, name="storyteller"),
        df.agents.as_agent(Concierge(), name="concierge"),
    ]
)


@app.route(route="page", methods=["GET"])
def page(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the host hands it over
    """A page that asks the storyteller, and shows the answer as it comes."""
    return func.HttpResponse((Path(__file__).parent / "page.html").read_bytes(), mimetype="text/html")
