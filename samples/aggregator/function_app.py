"""An aggregator: measurements come in one by one, in no order, from many devices; totals are there at any time.

Each device has an entity that adds up what it is told. Nobody locks anything: what comes for one device is taken in one
after the other, and devices don't wait for each other.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated

import azure.functions as func
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import perdure_functions as df

app = df.DFApp()

TOO_HOT = 80.0


class Measurement(BaseModel):
    """What a device has measured."""

    device: Annotated[str, Field(min_length=1, max_length=100)]
    celsius: float


class Totals(BaseModel):
    """What is known of a device."""

    count: int = 0
    total: float = 0.0
    lowest: float | None = None
    highest: float | None = None
    last: datetime | None = None

    @property
    def mean(self) -> float:
        """The average."""
        return self.total / self.count if self.count else 0.0


class Alarm(BaseModel):
    """A device was too hot for the first time."""

    device: str
    celsius: float


MEASUREMENTS = TypeAdapter(list[Measurement])


# ---- the entities -------------------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context", expires_after=timedelta(days=30))
class Device(df.DurableEntity):
    """Adds up what one device measures; a device that is silent for a month is forgotten."""

    state: Totals

    def record(self, celsius: float) -> None:
        """Take a measurement in."""
        totals = self.state
        first_alarm = celsius > TOO_HOT and (totals.highest is None or totals.highest <= TOO_HOT)
        totals.count += 1
        totals.total += celsius
        totals.lowest = celsius if totals.lowest is None else min(totals.lowest, celsius)
        totals.highest = celsius if totals.highest is None else max(totals.highest, celsius)
        totals.last = self.entity_context.current_utc_datetime
        if first_alarm:
            alarm = Alarm(device=self.entity_id.key, celsius=celsius)
            self.signal_entity(df.EntityId("Alarms", "all"), "ring", alarm)


@app.entity_trigger(context_name="context")
class Alarms(df.DurableEntity):
    """Keeps the alarms; told by the devices' entities."""

    state: list[Alarm]

    def ring(self, alarm: Alarm) -> None:
        """Take an alarm in."""
        self.state.append(alarm)


# ---- the API ------------------------------------------------------------------------------------------------------


@app.route(route="measurements", methods=["POST"])
@app.durable_client_input(client_name="client")
async def take_in(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Take measurements in: a list of `Measurement`. An event hub or queue trigger would do the same."""
    try:
        measurements = MEASUREMENTS.validate_json(req.get_body())
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    for each in measurements:
        await client.signal_entity(df.EntityId("Device", each.device), "record", each.celsius)
    return func.HttpResponse(status_code=202)


@app.route(route="devices/{device}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def totals_of(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Tell what is known of a device."""
    entity = df.EntityId("Device", req.route_params["device"])
    found = await client.read_entity_state(entity, expected_type=Totals)
    if not found:
        return func.HttpResponse("nothing is known of it\n", status_code=404)
    return func.HttpResponse(found.entity_state.model_dump_json(), mimetype="application/json")


@app.route(route="devices", methods=["GET"])
@app.durable_client_input(client_name="client")
async def all_means(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Tell the mean of each device; `?prefix=` those whose names begin so."""
    means: dict[str, float] = {}
    continuation: str | None = None
    while True:
        page = await client.list_entities(
            "Device", req.params.get("prefix", ""), include_state=True, continuation=continuation
        )
        means |= {entity.id.key: entity.get_state(Totals).mean for entity in page}
        continuation = page.continuation
        if continuation is None:
            return func.HttpResponse(json.dumps(means), mimetype="application/json")


@app.route(route="alarms", methods=["GET"])
@app.durable_client_input(client_name="client")
async def all_alarms(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:  # noqa: ARG001 - the host hands it over
    """Tell the alarms."""
    found = await client.read_entity_state(df.EntityId("Alarms", "all"))
    return func.HttpResponse(json.dumps(found.entity_state or []), mimetype="application/json")
