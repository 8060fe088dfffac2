"""Requests that are refused before any function sees them, as the web server under the Functions host refuses them."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_URL_BYTES = 64 * 1024
"""Of a path and its query; Azure's front ends take less."""
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
"""Of all names and values. Both are Kestrel's limits:
https://learn.microsoft.com/dotnet/api/microsoft.aspnetcore.server.kestrel.core.kestrelserverlimits
"""

_HOST = re.compile(rb"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class RequestChecks:
    """Answers 400, 414 or 431 in place of an application.

    Args:
        application: Gets everything else.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (the ASGI interface)."""
        refusal = _refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._application)(scope, receive, send)


def _refusal(scope: Scope) -> Response | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    url_bytes = len(scope["raw_path"]) + len(scope["query_string"])
    if url_bytes > MAX_URL_BYTES:
        return _told(414, f"the URL has {url_bytes} bytes, {MAX_URL_BYTES} are allowed")
    if len(headers) > MAX_HEADERS:
        return _told(431, f"the request has {len(headers)} headers, {MAX_HEADERS} are allowed")
    largest = max(headers, key=lambda header: len(header[1]), default=(b"", b""))[0].decode("latin-1")
    header_bytes = sum(len(name) + len(value) for name, value in headers)
    if header_bytes > MAX_HEADER_BYTES:
        return _told(
            431,
            f"the request's headers have {header_bytes} bytes, {MAX_HEADER_BYTES} are allowed; the largest is "
            f"{largest[:100]}",
        )
    host = next((value for name, value in headers if name == b"host"), b"")
    if host and not _HOST.fullmatch(host):
        return _told(400, f"header Host: {host.decode('latin-1')[:100]!r} is no host")
    return None


def _told(code: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=code)
