"""Durable HTTP: what an orchestrator asks for, and how it goes on with the answer. The exchange itself is an activity.

An answer 202 with a Location means that the work goes on elsewhere: the orchestration asks there again, with durable
timers in between, until the answer is another one. The request itself is never repeated for that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from perdure.core.tasks import Task, TimerTask, _Composite

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
"""The activity that makes one exchange; Durable Functions' own name."""
DEFAULT_TIMEOUT = timedelta(seconds=100)
"""What Durable Functions waits for an answer."""
_POLL_AFTER = timedelta(seconds=30)
"""Between two questions, if the answer does not say; Durable Functions' default."""
_SHORTEST_POLL = timedelta(seconds=1)
_LONGEST_POLL = timedelta(days=1)
_PORTS = {"http": 80, "https": 443}
CREDENTIALS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-functions-key",
        "x-api-key",
        "api-key",
        "ocp-apim-subscription-key",
        "x-ms-client-secret",
    }
)
"""Headers, in lower case, that are not sent on to another origin."""


class ManagedIdentityTokenSource:
    """Has the activity add a token of the app's identity to the request; the token itself enters no history.

    Args:
        resource: the application id URI of what is called, such as `https://management.core.windows.net`.
    """

    def __init__(self, resource: str) -> None:
        self.resource = resource


def http_request(
    method: str,
    uri: str,
    content: Any,
    headers: Mapping[str, str] | None,
    token_source: ManagedIdentityTokenSource | None,
    *,
    is_raw_str: bool,
    timeout: timedelta,
    retries: bool,
) -> dict[str, Any]:
    """Return the input of the activity. Raises TypeError and ValueError for what can't be sent."""
    if is_raw_str and not isinstance(content, str):
        raise TypeError(f"is_raw_str is for content that is a str, not {type(content).__name__}")
    if not isinstance(method, str) or not method.isalpha():
        raise ValueError(f"call_http: {method!r} is no HTTP method")
    _checked(uri)
    given = {str(name): str(value) for name, value in (headers or {}).items()}
    if content is not None and header(given, "Content-Type") is None:
        given["Content-Type"] = "text/plain; charset=utf-8" if is_raw_str else "application/json"
    return {
        "method": method.upper(),
        "uri": uri,
        "content": content if content is None or is_raw_str else json.dumps(content),
        "headers": given,
        "tokenSource": None if token_source is None else {"resource": token_source.resource},
        "timeout": timeout.total_seconds(),
        "retries": retries,
    }


def following(request: Mapping[str, Any], location: str) -> dict[str, Any]:
    """Return the request that asks at the location that an answer names.

    Credentials don't go to another origin (scheme, host or port).
    """
    uri = urljoin(request["uri"], location)
    headers = {name: value for name, value in request["headers"].items() if not name.lower().startswith("content-")}
    asked = {**request, "method": "GET", "uri": uri, "content": None, "headers": headers}
    return asked if origin(_checked(uri)) == origin(urlsplit(request["uri"])) else without_credentials(asked)


def without_credentials(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request without anything that shows who asks."""
    headers = {name: value for name, value in request["headers"].items() if name.lower() not in CREDENTIALS}
    return {**request, "headers": headers, "tokenSource": None}


def origin(parts: SplitResult) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URI."""
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header's value, whatever the case of its name."""
    return next((value for each, value in headers.items() if each.lower() == name.lower()), None)


class HttpCall(_Composite[dict[str, Any]]):
    """A request, and the questions that follow an answer 202.

    Args:
        request: what `http_request` returned.
        exchange: schedules one exchange.
        timer: sets a durable timer.
        now: the orchestration's time.
        follow: whether to ask on after 202.
    """

    def __init__(
        self,
        request: dict[str, Any],
        exchange: Callable[[dict[str, Any]], Task[Any]],
        timer: Callable[[timedelta], Task[None]],
        now: Callable[[], datetime],
        *,
        follow: bool,
    ) -> None:
        super().__init__()
        self._request = request
        self._exchange = exchange
        self._timer = timer
        self._now = now
        self._follows = follow
        self._ask()

    def _ask(self) -> None:
        task = self._exchange(self._request)
        self.id = self.id if self.id is not None else task.id
        self._watch([task])

    def _child_finished(self, child: Task[Any]) -> None:
        if isinstance(child, TimerTask):
            self._ask()
            return
        if child.get_exception() is not None:
            self._follow(child)
            return
        response = child.get_result()
        location = header(response["headers"], "Location")
        if not self._follows or response["statusCode"] != HTTPStatus.ACCEPTED or location is None:
            self._succeed(response)
            return
        try:
            self._request = following(self._request, location)
        except ValueError as error:
            self._fail(error)
            return
        self._watch([self._timer(_wait(header(response["headers"], "Retry-After"), self._now()))])


def _wait(retry_after: str | None, now: datetime) -> timedelta:
    """Return how long to wait: seconds, or until a date, within bounds."""
    if retry_after is None:
        return _POLL_AFTER
    if retry_after.strip().isdecimal():
        wait = timedelta(seconds=min(int(retry_after), round(_LONGEST_POLL.total_seconds())))
    else:
        try:
            at = parsedate_to_datetime(retry_after)
        except ValueError:
            return _POLL_AFTER
        wait = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - now
    return min(max(wait, _SHORTEST_POLL), _LONGEST_POLL)


def _checked(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"call_http: {uri!r} is no URI: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise ValueError(f"call_http: {uri!r} is no absolute URI that begins with http:// or https://")
    return parts
