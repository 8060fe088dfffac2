"""People in an agent's loop: a tool whose calls somebody has to approve, and a question that only a person can answer.

The agent waits for them without a process, for days if need be. Who does not answer in time is passed over; when nobody
has answered, the call counts as refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from agent_framework import Agent, Content, Message, tool
from models import chat_client, tool_call
from pydantic import Field

import perdure_functions as df

BANK = Path(__file__).parent / ".perdure" / "refunds.jsonl"
"""Stands for the bank."""

INVOICES = {"1001": "a kettle, 40", "1002": "a samovar, 1500"}


@tool
def look_up(invoice: Annotated[str, Field(description="number of an invoice")]) -> str:
    """Tell what an invoice is about, and what it came to."""
    return INVOICES.get(invoice, "There is no such invoice.")


@tool(approval_mode="always_require")
def refund(invoice: str, amount: float) -> str:
    """Pay money back: here the real thing would ask a bank, which drops an order that comes twice by its key."""
    key = df.activity_context().idempotency_key
    BANK.parent.mkdir(exist_ok=True)
    BANK.touch()
    if key not in [json.loads(line)["key"] for line in BANK.read_text(encoding="utf-8").splitlines()]:
        with BANK.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "invoice": invoice, "amount": amount}) + "\n")
    return f"{amount:g} refunded"


def clerk(messages: Sequence[Message], _: Mapping[str, Any]) -> str | list[Content]:
    """The agent's script: look the invoice up, ask why, refund, report."""
    question = max(number for number, each in enumerate(messages) if each.role == "user")
    results = [part for each in messages[question:] for part in each.contents if part.type == "function_result"]
    number = messages[question].text.split()[-1].strip(".")
    match results:
        case []:
            return [tool_call("look_up", f"look-{question}", invoice=number)]
        case [found] if "," not in str(found.result):
            return str(found.result)
        case [found]:
            return [tool_call("ask_human", f"ask-{question}", question=f"Why is {found.result} to be refunded?")]
        case [found, _]:
            amount = float(str(found.result).rpartition(" ")[2])
            return [tool_call("refund", f"refund-{question}", invoice=number, amount=amount)]
        case [*_, why, outcome]:
            return f"Because of '{why.result}': {outcome.result}"
    raise AssertionError


app = df.agents.AgentFunctionApp(
    agents=[
        Agent(
            chat_client(clerk),
            "Refund what customers want to have back. Ask why, if you don't know.",
            name="clerk",
            tools=[look_up, refund, df.agents.ask_human_tool()],
        )
    ],
    mode="steps",
    human=df.agents.HumanPolicy(
        ask=["team lead", "manager"],
        timeout=timedelta(seconds=float(os.environ.get("ANSWER_WITHIN", "3600"))),
        on_timeout="reject",
    ),
)
