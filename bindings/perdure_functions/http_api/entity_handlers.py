"""What the operations of the management API on entities do."""

from __future__ import annotations

from typing import Any

import azure.functions as func

from perdure.client import EntityMetadata
from perdure.client.status import time_text
from perdure.core.entity_id import EntityId
from perdure.errors import UnknownFunctionError
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.handlers import complaint
from perdure_functions.http_api.models import NamedEntityListQuery, SignalQuery
from perdure_functions.http_api.paging import continued, next_page
from perdure_functions.http_api.reading import parameter, read_body, read_query


async def state(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET entities/{entityName}/{entityKey}."""
    entity = _entity(request)
    found = await client.read_entity_state(entity)
    return json_response(200, found.entity_state) if found else complaint(404, f"entity '{entity}' has no state")


async def list_entities(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET entities/{entityName?}."""
    name = parameter(request, "entityName")
    query = read_query(request, NamedEntityListQuery)
    found: list[EntityMetadata] = []
    continuation = continued(request, query, name.lower())
    while True:
        page = await client.list_entities(
            name or None,
            query.key_prefix,
            last_modified_from=query.last_operation_time_from,
            last_modified_to=query.last_operation_time_to,
            include_state=query.fetch_state,
            top=query.top - len(found),
            continuation=continuation,
        )
        found += page.entities
        continuation = page.continuation
        if continuation is None or len(found) >= query.top:
            break
    return json_response(200, [_content_of(entity) for entity in found], next_page(continuation, query, name.lower()))


async def signal(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST entities/{entityName}/{entityKey}: the body is the operation's input."""
    query = read_query(request, SignalQuery)
    entity, data = _entity(request), read_body(request)
    try:
        await client.signal_entity(entity, query.op, data, signal_time=query.signal_time)
    except UnknownFunctionError as error:
        return complaint(404, str(error))
    return func.HttpResponse(status_code=202)


async def delete(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """DELETE entities/{entityName}/{entityKey}."""
    try:
        await client.delete_entity(_entity(request))
    except UnknownFunctionError as error:
        return complaint(404, str(error))
    return func.HttpResponse(status_code=202)


def _entity(request: func.HttpRequest) -> EntityId:
    return EntityId(parameter(request, "entityName"), parameter(request, "entityKey"))


def _content_of(entity: EntityMetadata) -> dict[str, Any]:
    content: dict[str, Any] = {
        "entityId": {"name": entity.id.name, "key": entity.id.key},
        "lastOperationTime": time_text(entity.last_modified),
    }
    if entity.includes_state:
        content["state"] = entity.state
    return content if entity.reason is None else content | {"reason": entity.reason}
