"""Reading requests: query, route and body."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import azure.functions as func
from pydantic import ValidationError

from perdure.errors import PerdureError
from perdure_functions.http_api.models import Query

_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)

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
    """Return a parameter of the route. The Functions host decodes everything in it but slashes; where the URL shows
    that `%2F` was meant as such, it stays.
    """
    value = request.route_params.get(name) or ""
    return value if "%252f" in request.url.casefold() else _ENCODED_SLASH.sub("/", value)
