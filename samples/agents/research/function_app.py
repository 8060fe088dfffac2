"""A research agent that works for long, and whose steps cost money: kill its host as often as you like.

It works in `steps`: each call of the model and of a tool is an activity of its own, whose answer is recorded. What has
been paid for is not paid for again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent_framework import Agent, Content, Message, tool
from models import chat_client, tool_call

import perdure_functions as df

app = df.agents.AgentFunctionApp()

NIGHT = timedelta(seconds=3)
"""How long the archive takes."""

BILL = Path(__file__).parent / ".perdure" / "bill.jsonl"
"""What the model, the search service and the archive have done for us: a line each."""

PAGES = {"amber": ["amber-of-the-baltic", "amber-in-science"]}


# ---- what costs money: here the real thing would call services ------------------------------------------------------


def bill(what: str, key: str | None = None) -> None:
    """Have a service put something on the bill.

    One that is told a call's key charges a repeated call nothing. That is for a process that dies between what a
    service does and the record of it: the call is made once more.
    """
    BILL.parent.mkdir(exist_ok=True)
    BILL.touch()
    known = [json.loads(line)["key"] for line in BILL.read_text(encoding="utf-8").splitlines()]
    with BILL.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "charged": key is None or key not in known, "key": key}) + "\n")


def take_time() -> None:
    """Take as long as the setting STEP_SECONDS says, so that there is time to kill the host."""
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))


# ---- what the agent can do ------------------------------------------------------------------------------------------


@tool
def search(subject: str) -> list[str]:
    """Find pages about a subject."""
    take_time()
    bill(f"search {subject}", df.activity_context().idempotency_key)
    return PAGES.get(subject, [])


@tool
def read(page: str) -> str:
    """Read a page."""
    take_time()
    bill(f"read {page}", df.activity_context().idempotency_key)
    return f"({page})"


@app.orchestration_trigger(context_name="context")
async def ask_archive(context: df.OrchestrationContext, order: dict[str, str]) -> str:
    """Order something of the archive, and wait for it without a process. To the agent this is a tool."""
    await context.call_activity(send_order, order["subject"])
    await context.create_timer(NIGHT)
    return f"(the archive on {order['subject']})"


@app.activity_trigger(input_name="subject")
def send_order(subject: str) -> None:
    """Order something of the archive."""
    bill(f"archive {subject}", df.activity_context().idempotency_key)


# ---- the agent ------------------------------------------------------------------------------------------------------


def script(messages: Sequence[Message], _: Mapping[str, Any]) -> str | list[Content]:
    """Search; read all that is found, and ask the archive meanwhile; read a summary; write the report."""
    question = max(number for number, each in enumerate(messages) if each.role == "user")
    subject = messages[question].text.split()[-1].strip(".?")
    since = messages[question:]
    bill(f"model {1 + sum(each.role == 'assistant' for each in since)}")
    results = [str(part.result) for each in since for part in each.contents if part.type == "function_result"]
    pages = PAGES.get(subject, [])
    match len(results) - len(pages):
        case _ if not results:
            return [tool_call("search", "search", subject=subject)]
        case 2:
            return [tool_call("read", "summary", page=f"summary-of-{subject}")]
        case 3:
            return f"What is known of {subject}: {' '.join(results[1:])}"
        case _:
            reading = [tool_call("read", f"read-{page}", page=page) for page in pages]
            return [*reading, tool_call("ask_archive", "archive", subject=subject)]


app.add_agent(
    Agent(
        chat_client(script),
        "Search, read what you find, ask the archive, and write a report.",
        name="researcher",
        tools=[
            search,
            read,
            df.agents.orchestration_tool(
                ask_archive,
                description="Have the archive look for a subject. It takes a night.",
                parameters={"type": "object", "properties": {"subject": {"type": "string"}}, "required": ["subject"]},
            ),
        ],
    ),
    mode="steps",
    model_retry=df.RetryPolicy(timedelta(seconds=2), max_number_of_attempts=5, backoff_coefficient=2),
    tool_retry={"search": df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=3)},
)
