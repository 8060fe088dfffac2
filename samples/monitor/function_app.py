"""A monitor: a film is being rendered elsewhere, and somebody has to look again and again until it is done.

The looks come further and further apart, and there is an end to the patience. Between two looks nothing runs, and the
wait outlives the host.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Literal

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df

app = df.DFApp()

FARM = Path(__file__).parent / ".perdure" / "farm"
"""Stands for a render farm: a file a job."""


class Film(BaseModel):
    """What is to be rendered, and how it is to be watched. Times are in seconds."""

    title: str
    takes: float = Field(default=20, ge=0)
    """How long the pretended farm works on it."""
    breaks: bool = False
    """Whether the farm fails to render it."""
    first_look: float = Field(default=1, gt=0)
    """When to look for the first time; every further wait is twice as long ..."""
    longest_wait: float = Field(default=8, gt=0)
    """... up to this."""
    patience: float = Field(default=60, gt=0)
    """After this time the job is called off."""


class Outcome(BaseModel):
    """How it ended."""

    job: str
    state: Literal["done", "broken", "called off"]
    looks: int
    """How often somebody looked."""


State = Literal["rendering", "done", "broken", "unknown"]


@app.route(route="films", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_film(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Have a film rendered; the body is a `Film`."""
    try:
        film = Film.model_validate_json(req.get_body())
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    return client.create_check_status_response(req, await client.start_new(render, client_input=film))


@app.orchestration_trigger(context_name="context")
async def render(context: df.OrchestrationContext, film: Film) -> Outcome:
    """Submit a film, and look at longer and longer intervals until it is done, broken, or has taken too long."""
    job: str = await context.call_activity(submit, film)
    expires = context.current_utc_datetime + timedelta(seconds=film.patience)
    wait, looks = timedelta(seconds=film.first_look), 0
    while True:
        next_look = min(context.current_utc_datetime + wait, expires)
        context.set_custom_status({"job": job, "looks": looks, "nextLook": next_look})
        await context.create_timer(next_look)
        state, looks = await look_at(context, job), looks + 1
        if state in {"done", "broken"}:
            return Outcome(job=job, state=state, looks=looks)
        if context.current_utc_datetime >= expires:
            await context.call_activity(call_off, job)
            return Outcome(job=job, state="called off", looks=looks)
        wait = min(wait * 2, timedelta(seconds=film.longest_wait))


async def look_at(context: df.OrchestrationContext, job: str) -> State:
    """Look at a job. A farm that does not answer is no reason to give up the film: there is another look."""
    try:
        state: State = await context.call_activity(state_of, job)
    except df.TaskFailedError:
        return "unknown"
    return state


# ---- the farm: here the real thing would call its HTTP API --------------------------------------------------------


@app.activity_trigger(input_name="film")
def submit(film: Film) -> str:
    """Hand in a job; return its id. The call's key names it, so that a repeated call does not render it twice."""
    FARM.mkdir(parents=True, exist_ok=True)
    job = df.activity_context().idempotency_key.replace("/", "-")
    path = FARM / f"{job}.json"
    if not path.exists():
        path.write_text(json.dumps({"ready": time.time() + film.takes, "breaks": film.breaks}), encoding="utf-8")
    return job


@app.activity_trigger(input_name="job")
def state_of(job: str) -> State:
    """Ask how a job is doing."""
    if (FARM / "closed").exists():
        raise ConnectionError("the farm does not answer")
    found = json.loads((FARM / f"{job}.json").read_text(encoding="utf-8"))
    if time.time() < found["ready"]:
        return "rendering"
    return "broken" if found["breaks"] else "done"


@app.activity_trigger(input_name="job")
def call_off(job: str) -> None:
    """Have the farm forget a job; one that it has forgotten already does no harm."""
    (FARM / f"{job}.json").unlink(missing_ok=True)
