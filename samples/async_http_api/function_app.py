"""An asynchronous HTTP API: a report that takes its time is asked for, watched, fetched or cancelled over HTTP.

The API is the app's own, in the terms of its callers: they need not know that an orchestration stands behind it.
"""

from __future__ import annotations

import calendar
import json
import os
import time
from collections.abc import Generator
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df
from perdure.errors import InstanceExistsError, InstanceNotFoundError

app = df.DFApp()

POLL_AFTER = "2"
"""Seconds after which a caller is told to look again."""


class Month(BaseModel):
    """The month that a report is about."""

    year: int = Field(ge=2000, le=2100)
    month: int = Field(ge=1, le=12)


class Week(BaseModel):
    """A part of a month: what one step of the report looks at."""

    first: date
    last: date


class Report(BaseModel):
    """The report."""

    turnover: Decimal
    best_week: Week


# ---- the API ----------------------------------------------------------------------------------------------------


@app.route(route="reports", methods=["POST"])
@app.durable_client_input(client_name="client")
async def ask_for_report(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Accept a report: 202, and where to look. A caller who asks again for a report in the making gets the same one."""
    try:
        month = Month.model_validate_json(req.get_body())
    except ValidationError as error:
        return answer(400, {"problems": [each["msg"] for each in error.errors()]})
    report_id = f"report-{month.year}-{month.month:02}"
    with suppress(InstanceExistsError):  # it is in the making
        await client.start_new(make_report, report_id, month)
    return answer(202, {"id": report_id}, Location=location(req, report_id), Retry_After=POLL_AFTER)


@app.route(route="reports/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def look_at_report(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Answer with the progress (202), the report (200), or why there is none."""
    report_id = req.route_params["id"]
    status = await client.get_status(report_id)
    match status.runtime_status if status else None:
        case None:
            return answer(404, {"problem": f"nobody has asked for '{report_id}'"})
        case df.OrchestrationRuntimeStatus.Completed:
            return answer(200, status.output)
        case df.OrchestrationRuntimeStatus.Terminated:
            return answer(410, {"problem": f"cancelled: {status.output}"})
        case df.OrchestrationRuntimeStatus.Failed:
            return answer(500, {"problem": status.output})
        case _:
            return answer(202, {"progress": status.custom_status}, Retry_After=POLL_AFTER)


@app.route(route="reports/{id}", methods=["DELETE"])
@app.durable_client_input(client_name="client")
def cancel_report(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    """Cancel a report in the making; one that has ended stays as it is. Functions that are not async get a client
    whose methods are not either.
    """
    try:
        client.terminate(req.route_params["id"], req.params.get("why", "nobody wants it any more"))
    except InstanceNotFoundError as error:
        return answer(404, {"problem": str(error)})
    return answer(202, {})


def location(req: func.HttpRequest, report_id: str) -> str:
    """Return the URL of a report, as the caller sees this app."""
    return f"{req.url.partition('?')[0].rstrip('/')}/{report_id}"


def answer(code: int, content: Any, **headers: str) -> func.HttpResponse:
    """Return an HTTP response in JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpResponse(json.dumps(content), status_code=code, headers=named, mimetype="application/json")


# ---- the work behind it -----------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def make_report(context: df.OrchestrationContext, month: Month) -> Generator[Any, Any, Report]:
    """Add up the turnover week by week, and say after each how far it is."""
    weeks = weeks_of(month)
    found: list[Decimal] = []
    for done, week in enumerate(weeks):
        context.set_custom_status({"weeks": len(weeks), "done": done, "turnover": f"{sum(found):.2f}"})
        turnover = yield context.call_activity(turnover_of, week)
        found.append(turnover)
    best = found.index(max(found))
    return Report(turnover=sum(found, Decimal()), best_week=weeks[best])


def weeks_of(month: Month) -> list[Week]:
    """Divide a month into parts of seven days. A pure function: an orchestrator may call it as it likes."""
    days = calendar.monthrange(month.year, month.month)[1]
    firsts = [date(month.year, month.month, day) for day in range(1, days + 1, 7)]
    end = date(month.year, month.month, days)
    return [Week(first=first, last=min(first + timedelta(days=6), end)) for first in firsts]


@app.activity_trigger(input_name="week")
def turnover_of(week: Week) -> Decimal:
    """Add up the turnover of a week: here the real thing would ask a database, and take its time."""
    work()
    days = (week.last - week.first).days + 1
    sales = [Decimal((week.first + timedelta(days=day)).toordinal() * 7919 % 100_000) / 100 for day in range(days)]
    return sum(sales, Decimal())


def work() -> None:
    """Take as long as the setting STEP_SECONDS says."""
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
