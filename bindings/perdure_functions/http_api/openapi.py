"""The OpenAPI document of the management API, made of its models."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from perdure.local.version import installed_version
from perdure_functions.http_api.models import (
    CheckStatus,
    ItemPage,
    ListedEntity,
    ListedPoison,
    Poison,
    Problem,
    Purged,
    Query,
    Status,
)
from perdure_functions.http_api.operations import OPERATIONS, SCHEMAS, TROUBLE, Operation, schema_of
from perdure_functions.links import ROUTE, origin

_PROBLEMS = {
    400: "The request makes no sense, or does not fit.",
    404: "There is no such instance, entity or message.",
    409: "The instance is in a state that does not allow it.",
    410: "The instance has ended.",
    500: "What is stored of it is damaged or gone, or the app's settings or its hub are not as they should be.",
    503: "The hub's store can't be reached.",
}
_PATH_PARAMETERS = {
    "functionName": {"description": "Name of the orchestrator.", "schema": {"type": "string", "minLength": 1}},
    "instanceId": {
        "description": "The instance; slashes in it are written as %2F.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    },
    "entityName": {
        "description": "The entity's name; its case is ignored.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^@]+$"},
    },
    "entityKey": {
        "description": "Its key; slashes in it are written as %2F. Name and key have at most 254 characters together.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 253},
    },
    "messageId": {
        "description": "The id of a parked message.",
        "schema": {"type": "string", "minLength": 1},
    },
    "streamName": {
        "description": "Name of the stream.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"},
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
    answers: list[type[BaseModel]] = [
        CheckStatus,
        ItemPage,
        ListedEntity,
        ListedPoison,
        Poison,
        Problem,
        Purged,
        Status,
    ]
    _, schemas = models_json_schema([(model, "serialization") for model in answers], ref_template=SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Perdure: management of orchestrations and entities", "version": installed_version()},
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


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [*_in_path(operation.path), *_in_query(operation.query), *_in_headers(operation.headers)],
        "responses": _answers(operation),
    }
    if operation.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": {}}}
        described["requestBody"] = {"description": operation.body, "required": False, "content": content}
    return described


def _answers(operation: Operation) -> dict[str, Any]:
    answers = dict(operation.answers)
    for code in (*operation.problems, *TROUBLE):
        meaning = _PROBLEMS[code]
        schema: dict[str, Any] = {**schema_of(Problem)}
        if code in answers:
            expected, other = answers[code]
            meaning, schema = f"{expected} Or: {meaning}", {"anyOf": [other, schema]}
        answers[code] = (meaning, schema)
    described = {str(code): _answer(meaning, schema) for code, (meaning, schema) in answers.items()}
    if operation.media_type is not None:
        described["200"]["content"][operation.media_type] = {"schema": {"type": "string"}}
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
    content = model.model_json_schema(ref_template=SCHEMAS)
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
