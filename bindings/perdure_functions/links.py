"""The URLs at which an instance is managed, as clients of an app receive them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

ROUTE = "durabletask"
"""Where the management API's routes begin, below the app's route prefix."""

_LOCAL_HOST = "localhost:7071"
"""The port of the Functions hosts for development, ours included."""
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_KEY = "code"


class ManagementLinks:
    """Makes the URLs.

    Args:
        route_prefix: host.json's `extensions.http.routePrefix`.
        query: query parameters that every URL must carry.
    """

    def __init__(self, route_prefix: str, query: Mapping[str, str] | None = None) -> None:
        self._root = "/".join(part for part in (route_prefix, ROUTE) if part)
        self._query = dict(query or {})

    @property
    def required_query(self) -> str:
        """The query parameters that every URL must carry, encoded."""
        return urlencode(self._query)

    def payload(self, request: Any, instance_id: str) -> dict[str, str]:
        """Return the check-status payload: the id, and what can be done with the instance by which URL.

        Args:
            request: the HTTP request being answered: its address, as the caller sees it, is that of the URLs, and the
                function key in its query goes with them. None takes the app's own address.
            instance_id: the instance.
        """
        instance = f"{origin(request)}/{self._root}/instances/{quote(instance_id, safe='')}"
        key = _function_key(request)
        query = urlencode(self._query | ({_KEY: key} if key else {}))
        plain, more = (f"?{query}", f"&{query}") if query else ("", "")
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}{plain}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}{plain}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}{more}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}{more}",
            "resumePostUri": f"{instance}/resume?reason={{text}}{more}",
            "restartPostUri": f"{instance}/restart{plain}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}{more}",
            "purgeHistoryDeleteUri": f"{instance}{plain}",
        }


def origin(request: Any) -> str:
    """Return scheme and host as the caller wrote them, even if proxies stand between."""
    if request is None or not request.url:
        host = os.environ.get("WEBSITE_HOSTNAME") or _LOCAL_HOST
        return f"{'http' if _is_local(host) else 'https'}://{host}"
    url = urlsplit(str(request.url))
    scheme = _forwarded(request, "X-Forwarded-Proto").lower()
    host = _forwarded(request, "X-Forwarded-Host")
    return f"{scheme if scheme in ('http', 'https') else url.scheme}://{host if _HOST.fullmatch(host) else url.netloc}"


def _forwarded(request: Any, header: str) -> str:
    """Return the header's first value: the one that the proxy nearest to the caller has set."""
    return str(request.headers.get(header) or "").split(",")[0].strip()


def _is_local(host: str) -> bool:
    return host.partition(":")[0] in ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - compared only


def _function_key(request: Any) -> str | None:
    if request is None:
        return None
    given = getattr(request, "params", None) or {}
    in_url = parse_qs(urlsplit(str(request.url)).query).get(_KEY, [])
    return given.get(_KEY) or next(iter(in_url), None)
