"""From the messages of one superstep to the deliveries of the next: pure, in the order of the framework's own runner.

The runner has one task for each source and edge group, which hands over the source's messages one after the other.
A group that spreads a message over several targets waits for all of them before it goes on to the next message, so
deliveries of its second message come after everybody's first. For executors that never wait this is the very order in
which the framework runs them; for others, which the framework runs in the order of chance, it is one of the possible
orders, and always the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perdure.agents.workflows.graph import Graph
from perdure.agents.workflows.wire import Delivery, Json, Message, Route

Buffers = dict[str, dict[str, list[Json]]]
"""Messages that wait at fan-ins: by the edge group's place, then by source."""


class BrokenRouteError(Exception):
    """A condition or a selection function raised, so that this superstep fails."""

    def __init__(self, source: str, error_type: str, message: str) -> None:
        super().__init__(source, error_type, message)
        self.source, self.error_type, self.message = source, error_type, message


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery and whom it is for."""

    target: str
    delivery: Delivery


def plan(graph: Graph, sent: dict[str, list[Message]], buffers: Buffers) -> list[Planned]:
    """Return the deliveries that messages lead to, in order; what has to wait at a fan-in goes into `buffers`.

    Args:
        graph: the workflow.
        sent: the messages of the superstep before by their source, in the order of each source's first message.
        buffers: what waits at fan-ins; changed.

    Raises:
        BrokenRouteError: a message could not be routed.
    """
    found: list[tuple[int, Planned]] = []
    for source, messages in sent.items():
        for group in graph.groups_of.get(source, ()):
            rank = 0
            for message in messages:
                route = next((each for each in message["routes"] if each["group"] == group), None)
                if route is None:
                    continue
                if route["way"] == "spread":
                    rank += 1
                found.extend((rank, planned) for planned in _deliveries(graph, source, message, route, buffers))
    found.sort(key=lambda each: each[0])
    return [planned for _, planned in found]


def _deliveries(graph: Graph, source: str, message: Message, route: Route, buffers: Buffers) -> list[Planned]:
    if route["way"] == "broken":
        raise BrokenRouteError(source, *route["error"])
    if route["way"] == "fan-in":
        return _through_fan_in(graph, source, message, route["group"], buffers)
    delivery: Delivery = {"kind": "message", "sources": [source], "data": message["data"]}
    return [Planned(target, delivery) for target in route["targets"]]


def _through_fan_in(graph: Graph, source: str, message: Message, group: int, buffers: Buffers) -> list[Planned]:
    fan_in = graph.fan_ins[group]
    buffer = buffers.setdefault(str(group), {})
    buffer.setdefault(source, []).append(message["data"])
    if not all(buffer.get(each) for each in fan_in.sources):
        return []
    gathered = [data for each in fan_in.sources for data in buffer[each]]
    del buffers[str(group)]
    return [Planned(fan_in.target, {"kind": "message", "sources": list(fan_in.sources), "data": gathered})]


def goes_nowhere(sent: Iterable[Message]) -> bool:
    """Whether messages were sent, and nothing takes them."""
    routes = [message["routes"] for message in sent]
    return bool(routes) and not any(routes)
