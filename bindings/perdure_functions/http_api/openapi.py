"""The OpenAPI document of the management API, made of its models."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from perdure.local.version import installed_version
from perdure_functions.http_api.handlers import CONTINUATION
from perdure_functions.http_api.models import (
    CheckStatus,
    ListQuery,
    Problem,
    Purged,
    PurgeManyQuery,
    PurgeQuery,
    Query,
    ReasonQuery,
    RestartQuery,
    StartQuery,
    Status,
    StatusQuery,
    TerminateQuery,
)
from perdure_functions.links import ROUTE, origin

_SCHEMAS = "#/components/schemas/{model}"
_PROBLEMS = {
    400: "The request makes no sense, or does not fit.",
    404: "There is no such instance.",
    409: "The instance is in a state that does not allow it.",
    410: "The instance has ended.",
    503: "The hub's store can't be reached.",
}
_EMPTY = "Accepted; it takes effect with the instance's next turn."


@dataclass(frozen=True, kw_only=True)
class _Operation:
    path: str
    method: str
    id: str
    summary: str
    query: type[Query]
    answers: dict[int, tuple[str, Any]]
    """By code: what it means, and the schema of its body; None for none."""
    problems: tuple[int, ...] = (400, 503)
    body: str | None = None
    """What the body is, if there may be one."""
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers and what they are."""


def _of(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS.format(model=model.__name__)}


_INSTANCE = "/instances/{instanceId}"
_OPERATIONS = [
    *(
        _Operation(
            path=f"/orchestrators/{{functionName}}{rest}",
            method="post",
            id=name,
            summary=summary,
            query=StartQuery,
            answers={
                202: ("Started.", _of(CheckStatus)),
                200: ("It has completed, or been terminated, within `timeout`: its output, or its status.", {}),
                500: ("It has failed within `timeout`: its status.", _of(Status)),
            },
            problems=(400, 409, 503),
            body="The input.",
        )
        for rest, name, summary in (
            ("", "start", "Start an orchestration."),
            ("/{instanceId}", "startWithId", "Start an orchestration under a given instance id."),
        )
    ),
    _Operation(
        path="/instances",
        method="get",
        id="list",
        summary="List instances.",
        query=ListQuery,
        answers={200: ("One page of them.", {"type": "array", "items": _of(Status)})},
        headers={CONTINUATION: "The same header of the page before."},
    ),
    _Operation(
        path="/instances",
        method="delete",
        id="purgeMany",
        summary="Delete ended instances, with everything that is stored of them.",
        query=PurgeManyQuery,
        answers={200: ("Deleted.", _of(Purged))},
        problems=(400, 404, 503),
    ),
    _Operation(
        path=_INSTANCE,
        method="get",
        id="status",
        summary="Ask for the status of an instance.",
        query=StatusQuery,
        answers={
            200: ("It has ended.", _of(Status)),
            202: ("It has not ended; ask again later.", _of(Status)),
            500: ("It has failed, and `returnInternalServerErrorOnFailure` is set.", _of(Status)),
        },
        problems=(400, 404, 503),
    ),
    _Operation(
        path=_INSTANCE,
        method="delete",
        id="purge",
        summary="Delete an ended instance, with everything that is stored of it.",
        query=PurgeQuery,
        answers={200: ("Deleted.", _of(Purged))},
        problems=(400, 404, 409, 503),
    ),
    _Operation(
        path=f"{_INSTANCE}/raiseEvent/{{eventName}}",
        method="post",
        id="raiseEvent",
        summary="Send an instance an external event.",
        query=Query,
        answers={202: (_EMPTY, None)},
        problems=(400, 404, 410, 503),
        body="The event's data.",
    ),
    *(
        _Operation(
            path=f"{_INSTANCE}/{name}",
            method="post",
            id=name,
            summary=summary,
            query=query,
            answers={202: (_EMPTY, None)},
            problems=(400, 404, 410, 503),
        )
        for name, summary, query in (
            ("terminate", "End an instance.", TerminateQuery),
            ("suspend", "Pause an instance.", ReasonQuery),
            ("resume", "End the pause of an instance.", ReasonQuery),
        )
    ),
    _Operation(
        path=f"{_INSTANCE}/rewind",
        method="post",
        id="rewind",
        summary="Have a failed instance go back to before what failed it, and on from there.",
        query=ReasonQuery,
        answers={202: (_EMPTY, None)},
        problems=(400, 404, 409, 410, 503),
    ),
    _Operation(
        path=f"{_INSTANCE}/restart",
        method="post",
        id="restart",
        summary="Start an instance's orchestrator once more, with the same input.",
        query=RestartQuery,
        answers={202: ("Started.", _of(CheckStatus))},
        problems=(400, 404, 409, 503),
    ),
]
_PATH_PARAMETERS = {
    "functionName": {"description": "Name of the orchestrator.", "schema": {"type": "string", "minLength": 1}},
    "instanceId": {
        "description": "The instance; slashes in it are written as %2F.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    },
    "eventName": {
        "description": "The event's name; its case is ignored.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 1_000},
    },
}


def document(request: func.HttpRequest, route_prefix: str) -> dict[str, Any]:
    """Return the document, with the address at which the caller has found the API."""
    base = "/".join(part for part in (origin(request), route_prefix, ROUTE) if part)
    return {**_document(), "servers": [{"url": base or urlsplit(request.url).path}]}


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    answers: list[type[BaseModel]] = [CheckStatus, Problem, Purged, Status]
    _, schemas = models_json_schema([(model, "serialization") for model in answers], ref_template=_SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Perdure: management of orchestrations", "version": installed_version()},
        "paths": paths,
        "components": {
            "schemas": _with_optional_fields(schemas["$defs"]),
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "functionKeyInQuery": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
        "security": [{"functionKey": []}, {"functionKeyInQuery": []}],
    }


def _with_optional_fields(schemas: dict[str, Any]) -> dict[str, Any]:
    """Fields with a default are left out of an answer that has nothing to say there."""
    for schema in schemas.values():
        optional = {name for name, each in schema.get("properties", {}).items() if "default" in each}
        if optional:
            schema["required"] = [name for name in schema["required"] if name not in optional]
    return schemas


def _described(operation: _Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [*_in_path(operation.path), *_in_query(operation.query), *_in_headers(operation.headers)],
        "responses": {
            **{str(code): _answer(meaning, schema) for code, (meaning, schema) in operation.answers.items()},
            **{str(code): _answer(_PROBLEMS[code], _of(Problem)) for code in operation.problems},
        },
    }
    if operation.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": {}}}
        described["requestBody"] = {"description": operation.body, "required": False, "content": content}
    return described


def _answer(meaning: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": meaning}
    return answer if schema is None else answer | {"content": {"application/json": {"schema": schema}}}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, **deepcopy(described)}
        for name, described in _PATH_PARAMETERS.items()
        if f"{{{name}}}" in path
    ]


def _in_query(model: type[Query]) -> list[dict[str, Any]]:
    content = model.model_json_schema(ref_template=_SCHEMAS)
    definitions = content.get("$defs", {})
    parameters = []
    for name, schema in content["properties"].items():
        plain = _without_null(_inlined(schema, definitions))
        description = plain.pop("description", "")
        parameter = {"name": name, "in": "query", "required": name in content.get("required", [])}
        if plain.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append({**parameter, "description": description, "schema": plain})
    return parameters


def _in_headers(headers: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in headers.items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items() if key != "title"}
    return [_inlined(each, definitions) for each in schema] if isinstance(schema, list) else schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is given or not; it is never null."""
    options = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    if len(options) == 1:
        schema = {key: value for key, value in schema.items() if key not in ("anyOf", "default")} | options[0]
    if schema.get("type") == "string":
        schema = {key: value for key, value in schema.items() if key != "additionalProperties"}
        if not isinstance(schema.get("default"), str):
            schema.pop("default", None)
    return schema
