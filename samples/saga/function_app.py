"""A saga: a trip is booked with three companies that know nothing of each other, or not at all.

No transaction spans the three. So each step has a compensation, and when a step fails for good, the compensations of
all steps that may have happened run, the last one first. A compensation has to succeed in the end: it is retried, and
then a person is asked for.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import bookings
import perdure_functions as df
from perdure.errors import InstanceExistsError

app = df.DFApp()

Kind = Literal["flight", "hotel", "car"]

QUICKLY = df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=3, non_retryable=[bookings.FullyBookedError])


class Trip(BaseModel):
    """The input of `book_trip`."""

    traveller: str
    to: str
    flight: Decimal = Field(gt=0)
    hotel: Decimal = Field(gt=0)
    car: Decimal = Field(gt=0)
    """What each may cost."""
    full: Kind | None = None
    """Which company has no place left: to see the saga go back."""
    patience: float = Field(default=300, gt=0)
    """Seconds for which a compensation is retried before a person is asked for; in earnest this would be days."""


class Booking(BaseModel):
    """One reservation."""

    kind: Kind
    reference: str
    traveller: str
    price: Decimal
    full: bool = False


class Outcome(BaseModel):
    """How it ended."""

    booked: bool
    references: dict[Kind, str] = {}
    why: str | None = None
    """Why it is not booked."""
    by_hand: list[Kind] = []
    """What a person has cancelled, because the program could not."""


@app.route(route="trips/{id}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def book(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Book a trip. The caller names it, so that a repeated request can't book a second one meanwhile."""
    try:
        trip = Trip.model_validate_json(req.get_body())
        instance_id = await client.start_new(book_trip, req.route_params["id"], trip)
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    except InstanceExistsError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
async def book_trip(context: df.OrchestrationContext, trip: Trip) -> Outcome:
    """Book flight, hotel and car; if one can't be had, cancel what is booked.

    The references are made here and not by the companies. They are the same in every replay and every retry, so a
    repeated reservation is recognised; and a reservation whose answer was lost can be cancelled all the same. That is
    why the compensation is noted *before* the step: a step that failed may have happened.
    """
    begun: list[Booking] = []
    for kind, price in wanted(trip):
        context.set_custom_status(f"books the {kind}")
        reference = f"{kind}-{context.new_uuid()}"
        booking = Booking(kind=kind, reference=reference, traveller=trip.traveller, price=price, full=trip.full == kind)
        begun.append(booking)
        try:
            await context.call_activity(reserve, booking, retry_policy=QUICKLY)
        except df.TaskFailedError as error:
            why = f"{kind}: {error.message}"
            break
    else:
        context.set_custom_status("is booked")
        return Outcome(booked=True, references={booking.kind: booking.reference for booking in begun})
    by_hand = [booking.kind for booking in reversed(begun) if not await cancelled(context, booking, trip.patience)]
    context.set_custom_status("is cancelled")
    return Outcome(booked=False, why=why, by_hand=by_hand)


def wanted(trip: Trip) -> list[tuple[Kind, Decimal]]:
    """Return what a trip consists of, in the order in which it is booked: what is hardest to get comes first."""
    return [("flight", trip.flight), ("hotel", trip.hotel), ("car", trip.car)]


async def cancelled(context: df.OrchestrationContext, booking: Booking, patience: float) -> bool:
    """Cancel a booking, however long it takes; False if a person has done it. A part of an orchestrator.

    When the retries are used up, the custom status says what is wrong, and the instance waits for an event:
    `"retry"` once the system works again, `"done"` if somebody has cancelled the booking by telephone. The event's name
    says which company it is about, so that an answer that comes twice is not taken for one about the next.
    """
    retrying = df.RetryPolicy(
        timedelta(seconds=1),
        max_number_of_attempts=1_000,
        backoff_coefficient=2,
        max_retry_interval=timedelta(hours=1),
        retry_timeout=timedelta(seconds=patience),
    )
    while True:
        context.set_custom_status(f"cancels the {booking.kind}")
        try:
            await context.call_activity(cancel, booking, retry_policy=retrying)
        except df.TaskFailedError as error:
            event = f"{booking.kind}-attention"
            context.set_custom_status({"waitsFor": event, "why": error.message, "reference": booking.reference})
            if await context.wait_for_external_event(event) == "done":
                return False
        else:
            return True


@app.activity_trigger(input_name="booking")
def reserve(booking: Booking) -> None:
    """Reserve with the company. It takes our reference as the key by which it drops repeats."""
    if booking.full:
        raise bookings.FullyBookedError(f"no {booking.kind} is left")
    bookings.reserve(booking.kind, booking.reference, booking.traveller, str(booking.price))


@app.activity_trigger(input_name="booking")
def cancel(booking: Booking) -> None:
    """Cancel with the company. Cancelling twice, or what was never booked, does no harm."""
    bookings.cancel(booking.kind, booking.reference)
