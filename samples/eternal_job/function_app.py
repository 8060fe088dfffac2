"""An eternal job: old uploads are deleted again and again, for years if need be.

Every sweep is a generation of its own (continue-as-new), so the history never grows. The sweeps keep to their times:
each is due so long after the one before it *was due*, not after it had ended.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import datetime, timedelta
from math import floor
from pathlib import Path
from typing import Any

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df
from perdure.errors import InstanceEndedError, InstanceExistsError, InstanceNotFoundError

app = df.DFApp()

UPLOADS = Path(__file__).parent / ".perdure" / "uploads"
CLEANER = "cleaner"
"""There is one such job, and this is its instance id."""
PATIENTLY = df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=5, backoff_coefficient=2)


class Cleaning(BaseModel):
    """The input of a generation: what to do, and what has come of it so far. Times are in seconds."""

    every: float = Field(gt=0)
    lives: float = Field(ge=0)
    """How old an upload gets."""
    due: datetime | None = None
    """When this sweep is due; None means now."""
    sweeps: int = 0
    deleted: int = 0


@app.route(route="cleaner", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def start_cleaner(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start the job unless it runs; the body is a `Cleaning`."""
    try:
        cleaning = Cleaning.model_validate_json(req.get_body())
        await client.start_new(keep_clean, CLEANER, cleaning)
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    except InstanceExistsError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return client.create_check_status_response(req, CLEANER)


@app.route(route="cleaner", methods=["DELETE"])
@app.durable_client_input(client_name="client")
async def stop_cleaner(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Stop the job. It ends a sweep that it has begun; to terminate it would leave it where it is."""
    try:
        await client.raise_event(CLEANER, "stop")
    except (InstanceNotFoundError, InstanceEndedError) as error:
        return func.HttpResponse(f"{error}\n", status_code=404)
    return client.create_check_status_response(req, CLEANER)


@app.orchestration_trigger(context_name="context")
def keep_clean(context: df.OrchestrationContext, cleaning: Cleaning) -> Generator[Any, Any, Cleaning | None]:
    """Sweep, wait, begin anew. The output, once it is stopped, says what has been done.

    An event that comes during the sweep is kept until the wait, and one that comes too late for this generation is kept
    for the next: nobody who says `stop` is overheard.
    """
    due = cleaning.due or context.current_utc_datetime
    done = cleaning.model_copy(update={"sweeps": cleaning.sweeps + 1})
    try:
        done.deleted += yield context.call_activity(sweep, cleaning.lives, retry_policy=PATIENTLY)
        trouble = None
    except df.TaskFailedError as error:  # the next sweep may do better: no failure ends this job
        trouble = error.message
    done.due = following(due, timedelta(seconds=cleaning.every), context.current_utc_datetime)
    context.set_custom_status(
        {"sweeps": done.sweeps, "deleted": done.deleted, "due": due, "next": done.due, "trouble": trouble}
    )
    timer = context.create_timer(done.due)
    stop = context.wait_for_external_event("stop")
    if (yield context.task_any([timer, stop])) is stop:
        timer.cancel()
        return done
    context.continue_as_new(done)
    return None


def following(due: datetime, every: timedelta, now: datetime) -> datetime:
    """Return the next time on the schedule that is yet to come; times that were missed are left out."""
    return due + every * (max(0, floor((now - due) / every)) + 1)


@app.activity_trigger(input_name="lives")
def sweep(lives: float) -> int:
    """Delete the uploads that are too old; return how many."""
    UPLOADS.mkdir(parents=True, exist_ok=True)
    old = [path for path in UPLOADS.iterdir() if time.time() - path.stat().st_mtime > lives]
    for path in old:
        path.unlink()
    return len(old)
