"""Who answers first: of all that answer one request, and its running out of time, exactly one counts.

Each request has a stream of its turn's that says nothing but how the request ended. Its one step is finished once,
whoever tries, so that is where it is decided; the event that is raised afterwards only brings the answer to the turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from perdure.agents.human import event_name
from perdure.client.client import Client

_STEP, _ANSWER = "settle", "answer"
_REQUEST_ID = re.compile(r"[0-9]+-[0-9]+")


@dataclass(frozen=True, slots=True)
class Settled:
    """How a request has ended."""

    by_this: bool
    """Whether the call that returns this has ended it; another one had been faster, if not."""
    answer: dict[str, Any] | None
    """The answer that counts; None if its time was over before one came."""


async def settle(client: Client, turn: str, request_id: str, answer: dict[str, Any] | None) -> Settled:
    """End a request, unless it has ended already.

    Args:
        client: the hub's client.
        turn: instance id of the turn.
        request_id: the request's id.
        answer: what is answered; None if its time is over.

    Raises:
        InstanceNotFoundError: there is no such turn.
        StreamUnavailable: the store has been away for more than a minute.
    """
    async with client.open_stream(turn, event_name(request_id), step=_STEP) as stream:
        by_this = await stream.finish({_ANSWER: answer})
        return Settled(by_this, answer if by_this else stream.result[_ANSWER])


async def settled(client: Client, turn: str, request_id: str) -> Settled | None:
    """Return how a request has ended, which may show in the turn no more; None if nothing has ended such a one.

    Args:
        client: the hub's client.
        turn: instance id of the turn.
        request_id: what somebody takes for the id of a request.

    Raises:
        InstanceNotFoundError: there is no such turn.
        StoredDataError: what is stored of the request is damaged.
    """
    if not _REQUEST_ID.fullmatch(request_id):
        return None
    said = (await client.read_stream(turn, event_name(request_id))).items
    result = said[-1].data.get("result") if said else None  # a stream that nobody wrote to ends with its turn, empty
    return None if result is None else Settled(by_this=False, answer=result[_ANSWER])
