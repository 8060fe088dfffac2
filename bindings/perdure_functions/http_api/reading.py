"""Reading requests: query, route and body."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

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

AnyQuery = TypeVar("AnyQuery", bound=Query)


class BadRequest(PerdureError):
    """The request makes no sense; the caller is told why, with 400."""


def read_query(request: func.HttpRequest, model: type[AnyQuery]) -> AnyQuery:
    """Read the query's parameters; their case is ignored, and those of other users are left alone."""
    spelling = {str(field.alias).casefold(): str(field.alias) for field in model.model_fields.values()}
    given = {spelling[name.casefold()]: value for name, value in request.params.items() if name.casefold() in spelling}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "missing":
            raise BadRequest(f"query parameter {first['loc'][0]} is required") from error
        what = f"query parameter {first['loc'][0]}: {first['input']!r}"
        raise BadRequest(f"{what} can't be used: {first['msg']}") from error


def read_body(request: func.HttpRequest) -> Any:
    """Return the JSON of the body; None for an empty one."""
    body = request.get_body()
    if not body.strip():
        return None
    try:
        return json.loads(body, parse_constant=_no_such_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {error}") from error


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
