"""Human interaction: an expense has to be approved by a person, who may need a reminder, or a deputy.

The claim waits for the answer as long as it takes; a wait costs nothing, and no restart forgets it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df
from perdure.errors import DataError, InstanceEndedError, InstanceNotFoundError

app = df.DFApp()

WORLD = Path(__file__).parent / ".perdure" / "world.db"
"""Stands for the mail service and the bank."""


class Expense(BaseModel):
    """What somebody wants to have back."""

    employee: str
    what: str
    amount: Decimal = Field(gt=0, decimal_places=2)


class Patience(BaseModel):
    """How long who may take to answer, in seconds."""

    remind_after: float
    escalate_after: float
    """Counted from the reminder."""
    give_up_after: float
    """Counted from the escalation."""


class Claim(BaseModel):
    """The input of `claim_expense`."""

    expense: Expense
    patience: Patience


class Decision(BaseModel):
    """The answer: the data of the event `decision`."""

    approved: bool
    by: str
    comment: str = ""


class Letter(BaseModel):
    """A mail."""

    to: str
    text: str


class Outcome(BaseModel):
    """How it ended."""

    state: Literal["paid", "rejected", "unanswered"]
    decision: Decision | None = None


# ---- the API ----------------------------------------------------------------------------------------------------


@app.route(route="expenses", methods=["POST"])
@app.durable_client_input(client_name="client")
async def hand_in(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Hand in an expense.

    How long the waits are stands in the settings. It is read here, and travels in the input: an orchestrator that read
    it itself would see another value after a change of the settings, and no longer do what its history says.
    """
    try:
        expense = Expense.model_validate_json(req.get_body())
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    patience = Patience.model_validate({name: os.environ[name.upper()] for name in Patience.model_fields})
    claim = Claim(expense=expense, patience=patience)
    return client.create_check_status_response(req, await client.start_new(claim_expense, client_input=claim))


@app.route(route="expenses/{id}/decision", methods=["POST"])
@app.durable_client_input(client_name="client")
async def decide(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Answer a claim; the body is a `Decision`."""
    try:
        decision = Decision.model_validate_json(req.get_body())
        await client.raise_event(req.route_params["id"], "decision", decision)
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    except InstanceNotFoundError as error:
        return func.HttpResponse(f"{error}\n", status_code=404)
    except InstanceEndedError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return func.HttpResponse(status_code=202)


@app.route(route="expenses", methods=["GET"])
@app.durable_client_input(client_name="client")
async def list_waiting(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """List the claims that wait for somebody; `?for=lead` only those that wait for the lead."""
    running = await client.get_status_by(runtime_status=[df.OrchestrationRuntimeStatus.Running])
    wanted = req.params.get("for")
    waiting = [
        {"id": status.instance_id, **status.custom_status}
        for status in running
        if status.custom_status and wanted in {None, status.custom_status["waitsFor"]}
    ]
    return func.HttpResponse(json.dumps(waiting), mimetype="application/json")


# ---- the claim ----------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def claim_expense(context: df.OrchestrationContext, claim: Claim) -> Generator[Any, Any, Outcome]:
    """Ask, remind, escalate; pay what is approved. Silence ends in `unanswered`."""
    expense, patience = claim.expense, claim.patience
    question = f"{expense.employee} spent {expense.amount} on {expense.what}: approve {context.instance_id}?"
    rounds = [
        (Letter(to="lead", text=question), patience.remind_after),
        (Letter(to="lead", text=f"Reminder: {question}"), patience.escalate_after),
        (Letter(to="manager", text=f"The lead does not answer: {question}"), patience.give_up_after),
    ]
    for letter, seconds in rounds:
        yield context.call_activity(send, letter)
        context.set_custom_status({"waitsFor": letter.to, "question": question})
        decision = yield from wait_for_decision(context, timedelta(seconds=seconds))
        if decision is not None:
            break
    else:
        yield context.call_activity(send, Letter(to=expense.employee, text="Nobody has answered: ask them."))
        return Outcome(state="unanswered")
    context.set_custom_status(None)
    if decision.approved:
        yield context.call_activity(pay, expense)
    state: Literal["paid", "rejected"] = "paid" if decision.approved else "rejected"
    news = f"Your {expense.what} is {state} ({decision.by}: {decision.comment or 'no comment'})."
    yield context.call_activity(send, Letter(to=expense.employee, text=news))
    return Outcome(state=state, decision=decision)


def wait_for_decision(context: df.OrchestrationContext, wait: timedelta) -> Generator[Any, Any, Decision | None]:
    """Wait for a decision, None if none comes in time. A part of an orchestrator: called with `yield from`.

    Whoever uses the management API can send anything as an event. What is no decision is ignored here, and the wait
    goes on.
    """
    until = context.current_utc_datetime + wait
    while (left := until - context.current_utc_datetime) > timedelta(0):
        try:
            decision: Decision = yield context.wait_for_external_event("decision", Decision, timeout=left)
        except DataError as error:
            context.set_custom_status({**context.custom_status, "ignored": str(error)})
        except TimeoutError:
            break
        else:
            return decision
    return None


# ---- the outside: here the real thing would call a mail service and a bank ------------------------------------------


@app.activity_trigger(input_name="letter")
def send(letter: Letter) -> None:
    """Send a mail; the service drops a repeated one by its key."""
    with closing(world()) as connection, connection:
        row = (df.activity_context().idempotency_key, letter.to, letter.text)
        connection.execute("INSERT OR IGNORE INTO mails VALUES (?, ?, ?)", row)


@app.activity_trigger(input_name="expense")
def pay(expense: Expense) -> None:
    """Pay it back; the bank drops a repeated order by its key."""
    with closing(world()) as connection, connection:
        row = (df.activity_context().idempotency_key, expense.employee, str(expense.amount))
        connection.execute("INSERT OR IGNORE INTO payments VALUES (?, ?, ?)", row)


def world() -> sqlite3.Connection:
    """Open the file that stands for the outside."""
    WORLD.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(WORLD)
    connection.execute("CREATE TABLE IF NOT EXISTS mails (key TEXT PRIMARY KEY, recipient TEXT, text TEXT)")
    connection.execute("CREATE TABLE IF NOT EXISTS payments (key TEXT PRIMARY KEY, employee TEXT, amount TEXT)")
    return connection
