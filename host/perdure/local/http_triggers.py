"""The ASGI application that serves HTTP-triggered functions."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from perdure.local.catalog import LocalFunction
from perdure.local.conversions import NO_CONTENT, HttpReply, http_reply, http_request
from perdure.local.invocation import InvocationError, Invoker, Outcome
from perdure.local.logs import HOST_LOGGER
from perdure.local.outputs import Outputs, http_value
from perdure.local.routing import HttpRoute, Router

_logger = logging.getLogger(HOST_LOGGER)

MAX_BODY_BYTES = 100 * 1024 * 1024
"""Azure's limit (210 MB on some plans); a larger request is answered 413."""

_REASON = "This function was programmatically called via the host APIs."


class HttpTriggers:
    """Answers requests with the functions that they match, 404 and 405 where none does.

    Args:
        router: Finds the function.
        invoker: Runs it.
        outputs: Takes its queue outputs.
    """

    def __init__(self, router: Router, invoker: Invoker, outputs: Outputs) -> None:
        self._router = router
        self._invoker = invoker
        self._outputs = outputs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (the ASGI interface)."""
        response = await self._respond(scope, receive)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        method = str(scope["method"])
        match = self._router.find(method, _raw_path(scope))
        if match.route is not None:
            return await self._run(match.route, dict(match.route_params), scope, receive)
        if not match.allowed:
            return Response(status_code=404)
        allow = {"allow": ", ".join(match.allowed)}
        return Response(status_code=204 if method == "OPTIONS" else 405, headers=allow)

    async def _run(self, route: HttpRoute, route_params: dict[str, str], scope: Scope, receive: Receive) -> Response:
        function = route.function
        native = _native_request_type(function)
        if native is not None:
            argument: Any = native({**scope, "path_params": route_params}, receive)
        else:
            body = await _read_body(receive)
            if isinstance(body, Response):
                return body
            argument = _functions_request(scope, route_params, body)

        async def finish(outcome: Outcome) -> Response:
            await self._outputs.send(function, outcome)
            return _response(function, outcome)

        trace_parent = _header(scope, b"traceparent")
        try:
            return await self._invoker.invoke(
                function, argument, reason=_REASON, finish=finish, trace_parent=trace_parent
            )
        except InvocationError:
            return Response(status_code=500)


def _response(function: LocalFunction, outcome: Outcome) -> Response:
    value = http_value(function, outcome)
    if isinstance(value, Response):
        return value
    if value is None:
        if function.return_binding is not None:
            _logger.warning(
                "Function %s returned None: answered 204 here, but Azure answers 500. Return an HttpResponse.",
                function.name,
            )
        return _to_starlette(NO_CONTENT)
    return _to_starlette(http_reply(value))


def _to_starlette(reply: HttpReply) -> Response:
    response = Response(reply.body, status_code=reply.status)
    for name, value in reply.headers:
        if name.lower() not in {"content-length", "transfer-encoding"}:
            response.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    return response


def _functions_request(scope: Scope, route_params: dict[str, str], body: bytes) -> Any:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        key = name.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    query: dict[str, str] = {}
    for key, value in parse_qsl(scope["query_string"].decode("latin-1")):
        # like the Functions host: values of one name are joined, empty ones left out
        query[key] = f"{query[key]},{value}" if key in query else value
    return http_request(
        method=str(scope["method"]),
        url=_url(scope),
        headers=headers,
        query=query,
        route_params=route_params,
        body=body,
    )


def _raw_path(scope: Scope) -> str:
    return bytes(scope["raw_path"]).decode("latin-1").partition("?")[0]


def _url(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    host = _header(scope, b"host") or "{}:{}".format(*(scope.get("server") or ("localhost", 80)))
    return f"{scope['scheme']}://{host}{_raw_path(scope)}{'?' if query else ''}{query}"


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


async def _read_body(receive: Receive) -> bytes | Response:
    """Return the whole body, or the answer to a request without a proper one."""
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Response(status_code=400)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return Response("The request body is larger than 100 MB.", status_code=413)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _native_request_type(function: LocalFunction) -> type[Request] | None:
    """Return the request class of a function written for azurefunctions-extensions-http-fastapi, else None."""
    annotation = function.annotations.get(function.trigger.name)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Request) else None
