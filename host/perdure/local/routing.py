"""Which function answers a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from perdure.local.catalog import LocalFunction
from perdure.local.errors import HostError
from perdure.local.routes import RouteTemplate, parse_template, split_path
from perdure.local.settings import resolve_expressions

_RESERVED = ("admin", "runtime")
_WEBHOOK_ALIAS = ("runtime", "webhooks", "durabletask")
"""Where the Durable Task extension of the Functions host serves its HTTP API; clients have such addresses built in."""


@dataclass(frozen=True)
class HttpRoute:
    """An HTTP-triggered function with its template and methods."""

    function: LocalFunction
    template: RouteTemplate
    methods: tuple[str, ...]
    """Empty: any."""

    def answers(self, method: str) -> bool:
        """Whether it takes the method. Whoever answers GET answers HEAD: the server leaves out the body."""
        return not self.methods or method in self.methods or (method == "HEAD" and "GET" in self.methods)

    def rivals(self, other: HttpRoute) -> bool:
        """Whether both answer some request that only one of them can get."""
        share_a_method = not self.methods or not other.methods or set(self.methods) & set(other.methods)
        return self.template.shape == other.template.shape and bool(share_a_method)


@dataclass(frozen=True)
class Match:
    """What was found for a request: a route with its parameters, or else the methods that the path allows."""

    route: HttpRoute | None = None
    route_params: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()


def http_route(function: LocalFunction, environ: Mapping[str, str]) -> HttpRoute:
    """Read the route of an HTTP-triggered function.

    Raises:
        HostError: The route is malformed or reserved.
    """
    fields = function.trigger.fields
    text = resolve_expressions(str(fields.get("route") or function.name), environ, f"The route of {function.name}")
    if text.strip("/").lower().startswith(_RESERVED):
        raise HostError(
            f"The route {text!r} of function {function.name} begins with {' or '.join(_RESERVED)}, which the Functions "
            "host keeps for itself: choose another."
        )
    try:
        template = parse_template(text)
    except ValueError as error:
        raise HostError(f"The route {text!r} of function {function.name} can't be read: {error}.") from error
    methods = tuple(str(method).upper() for method in fields.get("methods") or ())
    return HttpRoute(function, template, methods)


def rivals(routes: list[HttpRoute]) -> list[tuple[HttpRoute, HttpRoute]]:
    """Return the pairs of routes that answer the same requests; the first of each gets them."""
    return [(first, second) for first, second in combinations(routes, 2) if first.rivals(second)]


class Router:
    """Finds the route for a path, the most specific first.

    Args:
        routes: All HTTP-triggered functions.
        prefix: `extensions.http.routePrefix` of host.json.
    """

    def __init__(self, routes: list[HttpRoute], prefix: str) -> None:
        self._routes = sorted(routes, key=lambda route: route.template.precedence)
        self._prefix = split_path(prefix)

    def find(self, method: str, raw_path: str) -> Match:
        """Return the best route for a percent-encoded path."""
        path = self._without_prefix(split_path(raw_path))
        if path is None:
            return Match()
        allowed: dict[str, None] = {}
        for route in self._routes:
            route_params = route.template.match(path)
            if route_params is None:
                continue
            if route.answers(method):
                return Match(route, route_params)
            allowed.update(dict.fromkeys(route.methods))
        return Match(allowed=tuple(allowed))

    def _without_prefix(self, path: list[str]) -> list[str] | None:
        if _starts_with(path, _WEBHOOK_ALIAS):
            return path[len(_WEBHOOK_ALIAS) - 1 :]
        return path[len(self._prefix) :] if _starts_with(path, self._prefix) else None


def _starts_with(path: list[str], start: list[str] | tuple[str, ...]) -> bool:
    return [segment.lower() for segment in path[: len(start)]] == [segment.lower() for segment in start]
