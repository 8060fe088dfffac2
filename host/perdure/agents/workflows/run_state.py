"""Where a run of a workflow stands between two supersteps: all of it, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from perdure.agents.workflows.framework import INTERNAL_SOURCE_ID, RUN_KWARGS_KEYS
from perdure.agents.workflows.planning import Buffers, Planned
from perdure.agents.workflows.wire import Delivery, Json, Mark, Message, Outcome, Request

_REMEMBERED = 100
"""Answered requests that an instance's status tells of."""


@dataclass(slots=True)
class RunState:
    """What the framework's runner keeps in memory."""

    run: str
    """Names the run: its instance's id, and the executors on the way down to a nested workflow."""
    stream_to: str | None = None
    """The instance to whose stream events go, if they go anywhere."""
    superstep: int = 0
    """Supersteps since the last input: what the framework's limit counts."""
    arrivals: list[tuple[str, Delivery]] = field(default_factory=list)
    """Inputs and answers that the next superstep delivers, by executor."""
    sent: dict[str, list[Message]] = field(default_factory=dict)
    """Messages that the next superstep delivers, by source."""
    buffers: Buffers = field(default_factory=dict)
    executors: dict[str, Json] = field(default_factory=dict)
    """State of the executors that have run."""
    shared: dict[str, Json] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    """What has been asked and not answered."""
    outputs: list[Json] = field(default_factory=list)
    intermediates: list[Json] = field(default_factory=list)
    """Kept for a parent only."""
    asked: list[Request] = field(default_factory=list)
    """Requests made since the last input or answer; kept for a parent only."""
    answered: list[str] = field(default_factory=list)
    """Ids of the requests answered last."""
    people: dict[str, Any] = field(default_factory=dict)
    """When time is over for requests that have a policy, and how often they were passed on."""
    untold: list[Mark] = field(default_factory=list)
    """Beginnings and ends of supersteps that the stream does not tell of yet."""
    told_beyond: bool = False
    """Whether it tells of the next superstep already, in which nothing is delivered."""

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> RunState:
        """Return what `written` wrote."""
        return cls(**data)

    def written(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @property
    def busy(self) -> bool:
        """Whether there is something to deliver."""
        return bool(self.sent or self.arrivals)

    def receive(self, start: str, delivery: Delivery) -> None:
        """Take an input; the superstep limit counts from here."""
        self.superstep = 0
        for key in RUN_KWARGS_KEYS:
            self.shared[key] = {}
        self.arrivals.append((start, {**delivery, "sources": [INTERNAL_SOURCE_ID(start)]}))

    def answer(self, request: Request, data: Json) -> None:
        """Take an answer to an open request."""
        del self.requests[request["id"]]
        self.answered = [*self.answered, request["id"]][-_REMEMBERED:]
        executor = request["executor"]
        sources = [INTERNAL_SOURCE_ID(executor)]
        self.arrivals.append((executor, {"kind": "answer", "sources": sources, "data": data, "request": request}))

    def take_arrivals(self) -> list[Planned]:
        """Return the inputs and answers to deliver."""
        taken, self.arrivals = self.arrivals, []
        return [Planned(target, delivery) for target, delivery in taken]

    def take_sent(self) -> dict[str, list[Message]]:
        """Return the messages to deliver."""
        taken, self.sent = self.sent, {}
        return taken

    def merge(self, executor_id: str, outcome: Outcome) -> None:
        """Add what one delivery led to; outcomes are merged in the order of their deliveries, so the last one wins."""
        if outcome["sent"]:
            self.sent.setdefault(executor_id, []).extend(outcome["sent"])
        for key, *value in outcome["shared"]:
            if value:
                self.shared[key] = value[0]
            else:
                self.shared.pop(key, None)
        for request in outcome["requests"]:
            # a function that runs anew asks again what is open
            known = self.requests.get(request["id"])
            asked = self.superstep if known is None else known.get("asked", 0)
            self.requests[request["id"]] = {**request, "asked": asked}
            self.asked.append(request)
        for event in outcome["events"]:
            if event["type"] == "output":
                self.outputs.append(event["data"])
            elif event["type"] == "intermediate":
                self.intermediates.append(event["data"])
