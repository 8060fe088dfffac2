"""How the routes of agents and workflows read requests and tell what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import azure.functions as func

from perdure_functions.agents.host_functions import add_function
from perdure_functions.app import DFApp
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.error_codes import CODES, code_of
from perdure_functions.http_api.reading import BadRequest, check_url, read_body

Handler = Callable[[func.HttpRequest, DurableOrchestrationClient], Awaitable[func.HttpResponse]]

_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)
_YES = {"true", "1", "yes", "y", "on"}
_NO = {"false", "0", "no", "n", "off"}


def add_route(
    app: DFApp, name: str, method: str, route: str, *, handler: Handler, codes: Mapping[type[Exception], int]
) -> None:
    """Add a route whose errors are answered as `{"error": text}`.

    Args:
        app: the Function app.
        name: the function's name.
        method: the one that it answers to.
        route: below the app's prefix.
        handler: answers.
        codes: the status for errors of its own; other errors have that of the management API.
    """
    all_codes = {**codes, **CODES, **codes}  # its own come first, and count

    async def function(req: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
        try:
            check_url(req)
            return await handler(req, client)
        except tuple(all_codes) as error:
            return json_response(code_of(error, all_codes), {"error": str(error)})

    add_function(app, name, app.route(route=route, methods=[method]), function)


def in_route(request: func.HttpRequest, name: str) -> str:
    """Return a parameter of the route. The Functions host decodes everything in it but slashes, so that `%2F` and
    `%252F` look alike: the URL, where it is the caller's own, tells which was meant.
    """
    value = _ENCODED_SLASH.sub("/", request.route_params[name])
    written = {unquote(segment) for segment in urlsplit(request.url).path.split("/")}
    meant = {each for each in written if _ENCODED_SLASH.sub("/", each) == value}
    return meant.pop() if len(meant) == 1 else value


def object_body(request: func.HttpRequest) -> dict[str, Any]:
    """Return the JSON object of the body. Raises BadRequest."""
    body = read_body(request)
    if not isinstance(body, dict):
        raise BadRequest("the body is to be a JSON object")
    return body


def text_body(request: func.HttpRequest) -> str:
    """Return the text of the body. Raises BadRequest."""
    try:
        return request.get_body().decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is no UTF-8 text at byte {error.start}") from error


def media_type(header: str | None) -> str:
    """Return what a `Content-Type`, or a part of `Accept`, names, without parameters."""
    return (header or "").partition(";")[0].strip().lower()


def truth(value: Any) -> bool | None:
    """Return what a text or a JSON value says about yes and no; None if it says neither."""
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower() if value is not None else ""
    return True if said in _YES else False if said in _NO else None


def said_truth(name: str, value: Any) -> bool | None:
    """Return what is said about yes and no; None if nothing is. Raises BadRequest if that can't be understood.

    Args:
        name: of the header, parameter or field.
        value: its text or JSON value.
    """
    said = truth(value)
    if said is None and value is not None and str(value).strip():
        raise BadRequest(f"{name} is true or false, not {value!r}")
    return said
