"""Fan-out and fan-in: many invoices are read side by side, a few at a time, and what they say is added up.

An invoice that can't be read does not spoil the sum: the failures are part of the result.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df

app = df.DFApp()

HERE = Path(__file__).parent


class Job(BaseModel):
    """What is to be added up."""

    folder: str = "invoices"
    at_once: int = Field(default=3, ge=1, le=100)
    """How many invoices are read at the same time: the service behind may not like all of them at once."""


class Invoice(BaseModel):
    """What counts of an invoice."""

    number: str
    currency: str = Field(pattern="[A-Z]{3}")
    amount: Decimal = Field(ge=0)


class Statement(BaseModel):
    """What the invoices come to."""

    totals: dict[str, Decimal] = {}
    """By currency."""
    invoices: int = 0
    unread: dict[str, str] = {}
    """Why, by file."""


@app.route(route="statements", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_statement(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start adding up; the body is a `Job`, or empty."""
    try:
        job = Job.model_validate_json(req.get_body() or b"{}")
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    return client.create_check_status_response(req, await client.start_new(add_up, client_input=job))


@app.orchestration_trigger(context_name="context")
async def add_up(context: df.OrchestrationContext, job: Job) -> Statement:
    """Read all invoices of a folder, at most `at_once` at the same time, and add them up.

    Where there is no need to hold back, one line does it, and fails with the first that fails:
    `invoices = await context.task_all([context.call_activity(read_invoice, file) for file in files])`.
    """
    waiting = deque(await context.call_activity(list_invoices, job.folder))
    running: dict[Any, str] = {}
    statement, files = Statement(), len(waiting)
    while waiting or running:
        while waiting and len(running) < job.at_once:
            file = waiting.popleft()
            running[context.call_activity(read_invoice, file)] = file
        done = await context.task_any(list(running))
        file = running.pop(done)
        try:
            invoice: Invoice = await done
        except df.TaskFailedError as error:
            statement.unread[file] = error.message
        else:
            statement.invoices += 1
            statement.totals[invoice.currency] = statement.totals.get(invoice.currency, Decimal()) + invoice.amount
        context.set_custom_status({"files": files, "read": statement.invoices, "unread": len(statement.unread)})
    return statement


@app.activity_trigger(input_name="folder")
def list_invoices(folder: str) -> list[str]:
    """List the files of a folder; here the real thing would list a container of blobs."""
    root = (HERE / folder).resolve()
    if not root.is_relative_to(HERE):
        raise df.NonRetryableError(f"'{folder}' is not in the app's folder")
    return sorted(path.relative_to(HERE).as_posix() for path in root.glob("*.json"))


@app.activity_trigger(input_name="file")
async def read_invoice(file: str) -> Invoice:
    """Read one invoice; here the real thing would have a service recognise what was scanned."""
    await asyncio.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    try:
        return Invoice.model_validate_json((HERE / file).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "it"
        raise df.NonRetryableError(f"{field}: {first['msg']}") from error
