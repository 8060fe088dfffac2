"""One HTTP exchange, redirects included."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from perdure.core.http_calls import header, origin, without_credentials
from perdure.durable_http.identity import Credential, default_credential
from perdure.engine.registry import activity_context
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

LARGEST_ANSWER = 10 * 1024 * 1024
"""Bytes of content that an answer may have."""
_MOST_REDIRECTS = 10
_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_KEEP_METHOD = {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_NOT_IDEMPOTENT = {"POST", "PATCH"}
_KEY = "Idempotency-Key"


class HttpCallError(PerdureError):
    """An HTTP call got no answer that it can return."""


class HttpStatusError(HttpCallError):
    """An HTTP call that is retried was answered with a status that may pass: 408, 429 or 5xx."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class HttpExchange:
    """Makes the exchanges of one app.

    Args:
        credential: makes what gets tokens for requests with a token source.
    """

    def __init__(self, credential: Callable[[], Credential] = default_credential) -> None:
        self._make_credential = credential
        self._credential: Credential | None = None

    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, follow redirects, and return the answer.

        The answer is `{"statusCode": ..., "headers": {...}, "content": text}`; content that is no text is base64, and
        `contentEncoding` says so then. A POST or PATCH without an Idempotency-Key gets that of the activity: it may be
        sent again.

        Raises:
            HttpCallError: no answer: the host is not found, does not answer in time, closes the connection, answers
                with too much or redirects for ever.
            HttpStatusError: the answer may pass, and the call has a retry policy.
        """
        from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

        if request["method"] in _NOT_IDEMPOTENT and header(request["headers"], _KEY) is None:
            request = {**request, "headers": {**request["headers"], _KEY: activity_context().idempotency_key}}
        timeout = ClientTimeout(total=request["timeout"])
        try:
            async with ClientSession(timeout=timeout, cookie_jar=DummyCookieJar()) as session:
                answer = await self._follow(session, request)
        except TimeoutError as error:
            raise HttpCallError(f"{_shown(request)}: no answer within {request['timeout']:g} s") from error
        except (ClientError, OSError, ValueError) as error:
            raise HttpCallError(f"{_shown(request)}: {type(error).__name__}: {error}") from error
        status = answer["statusCode"]
        if request["retries"] and (status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR):
            raise HttpStatusError(f"{_shown(request)} was answered with {status}", status)
        return answer

    async def _follow(self, session: ClientSession, request: dict[str, Any]) -> dict[str, Any]:
        for _ in range(_MOST_REDIRECTS + 1):
            headers = dict(request["headers"])
            if request["tokenSource"] is not None:
                headers["Authorization"] = f"Bearer {await self._token(request['tokenSource']['resource'])}"
            content = None if request["content"] is None else request["content"].encode()
            async with session.request(
                request["method"], request["uri"], data=content, headers=headers, allow_redirects=False
            ) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    return await _answer(request, response)
            request = _redirected(request, response.status, location)
        raise HttpCallError(f"{_shown(request)}: more than {_MOST_REDIRECTS} redirects")

    async def _token(self, resource: str) -> str:
        if self._credential is None:
            self._credential = self._make_credential()
        return str((await self._credential.get_token(f"{resource}/.default")).token)


def _redirected(request: Mapping[str, Any], status: int, location: str) -> dict[str, Any]:
    """Return the request that a redirect asks for: RFC 9110, section 15.4."""
    uri = urljoin(request["uri"], location)
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HttpCallError(f"{_shown(request)} redirects to what is no address: {location[:200]!r}")
    following = {**request, "uri": uri}
    if status not in _KEEP_METHOD and request["method"] not in ("GET", "HEAD"):
        headers = {name: text for name, text in request["headers"].items() if not name.lower().startswith("content-")}
        following |= {"method": "GET", "content": None, "headers": headers}
    return following if origin(parts) == origin(urlsplit(request["uri"])) else without_credentials(following)


async def _answer(request: Mapping[str, Any], response: ClientResponse) -> dict[str, Any]:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise HttpCallError(f"{_shown(request)}: the answer has more than {LARGEST_ANSWER:,} bytes")
        await asyncio.sleep(0)
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    answer: dict[str, Any] = {"statusCode": response.status, "headers": headers}
    try:
        return answer | {"content": content.decode(response.charset or "utf-8")}
    except (UnicodeDecodeError, LookupError):
        return answer | {"content": base64.b64encode(content).decode(), "contentEncoding": "base64"}


def _shown(request: Mapping[str, Any]) -> str:
    """Return what an error shows of a request: not its query, which may hold a key."""
    parts = urlsplit(request["uri"])
    port = f":{parts.port}" if parts.port else ""
    return f"{request['method']} {parts.scheme}://{parts.hostname}{port}{parts.path}"
