"""A workflow with an agent that looks up a page, and an executor that counts its words."""

import os
import pathlib
import time
from typing import Any, Never

from agent_framework import (
    Agent,
    AgentExecutorResponse,
    Executor,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    handler,
    tool,
)
from scripted_models import ScriptedModel, calls

LEDGER = os.environ.get("LEDGER")
PACE = float(os.environ.get("PACE", "0"))


def note(what: str) -> None:
    """Write down that something happened, at once."""
    if LEDGER is not None:
        with pathlib.Path(LEDGER).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {what}\n")
    time.sleep(PACE)


@tool
def look_up(page: int) -> str:
    """Look a page up."""
    note(f"tool {page}")
    return f"page {page}"


def research(messages: Any, _: Any) -> Any:
    """Ask for a page, then say what is on it."""
    found = [part.result for message in messages for part in message.contents if part.type == "function_result"]
    note(f"model {len(found)}")
    return f"I found {found[0]}" if found else [calls("look_up", "call-0", page=0)]


class Counts(Executor):
    @handler
    async def count(self, answer: AgentExecutorResponse, ctx: WorkflowContext[Never, dict]) -> None:  # type: ignore[type-arg]
        note("count 0")
        text = answer.agent_response.text
        await ctx.yield_output({"text": text, "words": len(text.split()), "heard": len(answer.full_conversation)})


def build() -> Workflow:
    researcher = Agent(ScriptedModel(research), "You look pages up.", name="researcher", id="r", tools=[look_up])
    return WorkflowBuilder(name="study", start_executor=researcher).add_edge(researcher, Counts("counts")).build()
