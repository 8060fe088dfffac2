"""Reading requests: query, route and body."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import azure.functions as func
from pydantic import ValidationError

from perdure.errors import PerdureError
from perdure_functions.http_api.models import Query
from perdure_functions.links import ROUTE

_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)
_PARAMETERS = {
    "orchestrators": ["functionName", "instanceId"],
    "instances": ["instanceId", "operation", "eventName"],
    "entities": ["entityName", "entityKey"],
    "poison": ["messageId", "operation"],
}
"""What follows in a path, in this order."""

_LISTS = {"runtimeStatus", "tags"}
"""Parameters that may be given more than once: the host joins what they say with commas."""
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNKNOWN = "\ufffd"
"""What decoding puts in place of bytes that are no UTF-8."""

AnyQuery = TypeVar("AnyQuery", bound=Query)


class BadRequest(PerdureError):
    """The request makes no sense; the caller is told why, with 400."""


class NoSuchOperation(PerdureError):
    """The URL leads to nothing; the caller is told what there is, with 404."""


def check_url(request: func.HttpRequest) -> None:
    """Refuse a URL that can't be decoded: what stands for its bytes would stand for others just as well.

    Raises:
        BadRequest: it is no URL, or not percent-encoded UTF-8.
    """
    try:
        url = urlsplit(request.url)
    except ValueError as error:
        raise BadRequest(f"the request's URL can't be read: {error}") from error
    for what, written in (("path", url.path), ("query", url.query)):
        broken = _BROKEN_ESCAPE.search(written)
        if broken is not None:
            start = broken.start()
            raise BadRequest(f"the {what} is not percent-encoded: {written[start : start + 3]!r} means no byte")
    if any(_UNKNOWN in value for value in (*request.route_params.values(), *request.params.values())):
        try:
            unquote(request.url, errors="strict")
        except UnicodeDecodeError as error:
            raise BadRequest(f"the URL is no percent-encoded UTF-8: {quote(error.object)} is none") from error


def read_query(request: func.HttpRequest, model: type[AnyQuery]) -> AnyQuery:
    """Read the query's parameters; their case is ignored, and those of other users are left alone."""
    spelling = {str(field.alias).casefold(): str(field.alias) for field in model.model_fields.values()}
    given = {spelling[name.casefold()]: value for name, value in request.params.items() if name.casefold() in spelling}
    names = [name.casefold() for name, _ in parse_qsl(urlsplit(request.url).query)]
    for name, times in Counter(names).items():
        if times > 1 and name in spelling and spelling[name] not in _LISTS:
            raise BadRequest(f"query parameter {spelling[name]} is given {times} times")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "missing":
            raise BadRequest(f"query parameter {first['loc'][0]} is required") from error
        what = f"query parameter {first['loc'][0]}: {first['input']!r:.200}"
        raise BadRequest(f"{what} can't be used: {first['msg']}") from error


def read_body(request: func.HttpRequest) -> Any:
    """Return the JSON of the body; None for an empty one."""
    body = request.get_body()
    if not body.strip():
        return None
    try:
        # json.loads takes bytes of other encodings, and halves of characters, too
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_such_number, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is no JSON: it is no UTF-8 text at byte {error.start}") from error
    except RecursionError as error:
        raise BadRequest("the body is no JSON: it is nested too deep") from error
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what one reader would take for one thing and another for another."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} more than once")
    return content


def _no_such_number(name: str) -> None:
    raise ValueError(f"JSON has no number {name}")


def parameter(request: func.HttpRequest, name: str) -> str:
    """Return a parameter of the route. The Functions host decodes everything in it but slashes, so that `%2F` and
    `%252F` look alike: the URL, where it is the caller's own, tells which was meant.
    """
    value = _ENCODED_SLASH.sub("/", request.route_params.get(name) or "")
    written = _written(request.url).get(name, value)
    return written if _ENCODED_SLASH.sub("/", written) == value else value


def _written(url: str) -> dict[str, str]:
    """Return the parameters as they stand in the URL; none if it is not the API's."""
    path = [unquote(segment) for segment in urlsplit(url).path.split("/")]
    for place, (root, collection) in enumerate(pairwise(path)):
        if root.casefold() == ROUTE and collection.casefold() in _PARAMETERS:
            return dict(zip(_PARAMETERS[collection.casefold()], path[place + 2 :], strict=False))
    return {}
