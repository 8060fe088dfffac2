"""The HTTP transport that all clients of an account share, and what its requests are called when they are counted."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import aiohttp
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from yarl import URL

from perdure.storage.connection import Service

Observer = Callable[[str], None]
"""Told the kind of each request sent, e.g. `table:merge`; every try counts."""

_CONNECT_SECONDS = 10
_READ_SECONDS = 30
_CONNECTIONS = 100
_STREAMED_BYTES = 512 * 1024
_TIMEOUT = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS)
_NOT_SENT_UNASKED = ("Accept", "Accept-Encoding", "Content-Type")


class Answer(NamedTuple):
    """What a service has answered, whatever it says."""

    status: int
    headers: Mapping[str, str]
    """Their names in any case."""
    body: bytes


class Transport(AioHttpTransport):  # type: ignore[misc] # the SDK loads it lazily, untyped
    """One aiohttp session for all services of an account."""

    def __init__(self, observer: Observer | None = None) -> None:
        super().__init__(connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS)
        self._observer = observer
        self._urls: Mapping[Service, str] = {}

    def observe(self, urls: Mapping[Service, str]) -> None:
        """Say which services stand behind which addresses, so that requests can be named."""
        self._urls = urls

    async def open(self) -> None:
        if self.session is None and not self._has_been_opened:
            self.session: aiohttp.ClientSession | None = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                # the SDKs decompress themselves
                auto_decompress=False,
                # aiohttp looks for a proxy in a thread, for each request: only where there is one
                trust_env=bool(urllib.request.getproxies()),
            )
        await super().open()

    async def send(self, request: Any, **options: Any) -> Any:
        self.note(request.method, request.url)
        return await super().send(request, **options)

    def note(self, method: str, url: str) -> None:
        """Tell the observer of a request."""
        if self._observer is not None:
            self._observer(request_kind(self._urls, method, url))

    async def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request as it stands, once, and return the answer. The URL is encoded already.

        Raises:
            ServiceRequestError: the service can't be reached, or has hung up.
            ServiceResponseError: its answer did not come in time, or makes no sense.
        """
        self.note(method, url)
        await self.open()
        assert self.session is not None  # noqa: S101 - it has just been opened
        try:
            async with self.session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=_streamed(body),
                timeout=_TIMEOUT,
                allow_redirects=False,
                skip_auto_headers=_NOT_SENT_UNASKED,
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except aiohttp.ClientResponseError as error:
            raise ServiceResponseError(str(error), error=error) from error
        except TimeoutError as error:
            raise ServiceResponseError(str(error) or f"no answer in {_READ_SECONDS} s", error=error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ServiceRequestError(str(error), error=error) from error

    def _get_request_data(self, request: Any) -> Any:
        data = super()._get_request_data(request)
        return _streamed(data.encode() if isinstance(data, str) else data)


def _streamed(data: Any) -> Any:
    # aiohttp sends a stream piece by piece, but bytes in one go, which holds up the event loop
    return io.BytesIO(data) if isinstance(data, bytes) and len(data) > _STREAMED_BYTES else data


def request_kind(urls: Mapping[Service, str], method: str, url: str) -> str:
    """Return the service and the operation of a request, e.g. `queue:put`; the URLs are those of the services."""
    for service, base in urls.items():
        if url.startswith(base):
            parsed = urlsplit(url[len(base) :])
            operation = _OPERATIONS[service](method, parsed.path.strip("/"), parse_qs(parsed.query))
            return f"{service}:{operation}"
    return f"other:{method.lower()}"


def _table_operation(method: str, path: str, _query: Mapping[str, list[str]]) -> str:
    if path.startswith("Tables"):
        return {"POST": "create", "DELETE": "drop"}.get(method, "tables")
    if method == "GET":
        return "read" if path.endswith("')") else "query"
    return {"POST": "insert", "PATCH": "merge", "MERGE": "merge", "PUT": "replace"}.get(method, method.lower())


def _queue_operation(method: str, path: str, _query: Mapping[str, list[str]]) -> str:
    parts = path.split("/")
    if len(parts) == 1:
        return {"PUT": "create", "DELETE": "drop"}.get(method, "length")
    if len(parts) == 2:  # noqa: PLR2004 - queue/messages
        return {"POST": "put", "GET": "get"}.get(method, "clear")
    return {"PUT": "update"}.get(method, method.lower())


def _blob_operation(method: str, _path: str, query: Mapping[str, list[str]]) -> str:
    if query.get("comp") == ["list"]:
        return "list"
    if query.get("restype") == ["container"]:
        return {"PUT": "create", "DELETE": "drop"}.get(method, "container")
    return method.lower()


_OPERATIONS = {"table": _table_operation, "queue": _queue_operation, "blob": _blob_operation}
