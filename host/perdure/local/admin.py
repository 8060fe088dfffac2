"""The host's own HTTP API under /admin, with the answers of the Functions host that tools look at."""

from __future__ import annotations

import json
import platform
import time
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from perdure.local.catalog import Binding, LocalFunction
from perdure.local.host import HTTP_TRIGGER, FunctionsHost
from perdure.local.request_checks import RequestChecks
from perdure.local.settings import LocalHostOptions


def admin_routes(host: FunctionsHost, functions: list[LocalFunction], version: str) -> list[Route]:
    """Return the routes for the host's status, the list of functions and running one by hand.

    Args:
        host: Runs the functions.
        functions: All functions of the app.
        version: Perdure's version.
    """
    started = time.monotonic()
    by_name = {function.name.lower(): function for function in functions}

    async def status(_request: Request) -> Response:
        return JSONResponse(
            {
                "id": platform.node().lower(),
                "state": "Running",
                "version": version,
                "versionDetails": f"perdure {version}",
                "platformVersion": platform.python_version(),
                "computerName": platform.node(),
                "processUptime": round((time.monotonic() - started) * 1000),
            }
        )

    async def ping(_request: Request) -> Response:
        return Response()

    async def listing(request: Request) -> Response:
        return JSONResponse([_describe(function, request) for function in functions])

    async def one(request: Request) -> Response:
        function = by_name.get(request.path_params["name"].lower())
        if function is None:
            return Response(status_code=404)
        if request.method in {"GET", "HEAD"}:
            return JSONResponse(_describe(function, request))
        return await _run_by_hand(host, function, request)

    return [
        Route("/admin/host/status", status, methods=["GET"]),
        Route("/admin/host/ping", ping, methods=["GET", "POST"]),
        Route("/admin/functions", listing, methods=["GET"]),
        Route("/admin/functions/{name}", one, methods=["GET", "POST"]),
    ]


def host_application(
    host: FunctionsHost, functions: list[LocalFunction], version: str, local: LocalHostOptions
) -> ASGIApp:
    """Return the whole HTTP side of the host: /admin, a word at the root, and the functions.

    Args:
        host: Runs the functions.
        functions: All functions of the app.
        version: Perdure's version.
        local: `Host` of local.settings.json, for its CORS: origins separated by commas, `*` for all.
    """
    root_is_taken = host.router.find("GET", "/").route is not None
    home = [] if root_is_taken else [Route("/", _home, methods=["GET"])]
    starlette = Starlette(routes=[*admin_routes(host, functions, version), *home])
    starlette.router.default = host.http  # a mount takes no path with a line break in it
    application: ASGIApp = RequestChecks(starlette)
    if not local.cors:
        return application
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        application,
        allow_origins=[origin.strip() for origin in local.cors.split(",")],
        allow_methods=["*"],
        allow_headers=["*"],
        allow_credentials=local.cors_credentials,
        expose_headers=["*"],
    )


async def _home(_request: Request) -> Response:
    return PlainTextResponse("Your function app is up and running on the local host of Perdure.\n")


async def _run_by_hand(host: FunctionsHost, function: LocalFunction, request: Request) -> Response:
    if function.trigger.type == HTTP_TRIGGER:
        return PlainTextResponse(f"{function.name} has an HTTP trigger: call its own URL.", status_code=400)
    run = host.manual_run(function.name)
    if run is None:
        return PlainTextResponse(f"This host does not run {function.name}.", status_code=400)
    try:
        content = json.loads(await request.body() or b"{}")
        given = content.get("input", "")
    except (ValueError, AttributeError, RecursionError):
        return PlainTextResponse('Send a JSON object such as {"input": "text"}.', status_code=400)
    text = given if isinstance(given, str) else json.dumps(given)
    host.run_in_background(run(text))
    return Response(status_code=202)


def _describe(function: LocalFunction, request: Request) -> dict[str, Any]:
    base = f"{request.url.scheme}://{request.url.netloc}/admin/functions/{function.name}"
    return {
        "name": function.name,
        "href": base,
        "language": "python",
        "isDisabled": function.disabled,
        "isDirect": True,
        "isProxy": False,
        "config": {"name": function.name, "bindings": [_fields(binding) for binding in function.bindings]},
    }


def _fields(binding: Binding) -> dict[str, Any]:
    return {**binding.fields, "direction": "out" if binding.is_output else "in"}
