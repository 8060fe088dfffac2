"""What the operations of the management API on poison messages do."""

from __future__ import annotations

from typing import Any

import azure.functions as func

from perdure.client import PoisonMessage
from perdure.client.status import time_text
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.models import PoisonListQuery
from perdure_functions.http_api.paging import continued, next_page
from perdure_functions.http_api.reading import parameter, read_query


async def list_messages(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET poison."""
    query = read_query(request, PoisonListQuery)
    page = await client.list_poison_messages(query.instance_id, top=query.top, continuation=continued(request, query))
    found = [content_of(message) for message in page.messages]
    return json_response(200, found, next_page(page.continuation, query))


async def show(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET poison/{messageId}."""
    message = await client.get_poison_message(parameter(request, "messageId"))
    return json_response(200, content_of(message) | {"body": message.body})


async def retry(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST poison/{messageId}/retry."""
    await client.retry_poison_message(parameter(request, "messageId"))
    return func.HttpResponse(status_code=202)


async def discard(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """DELETE poison/{messageId}."""
    return json_response(200, content_of(await client.discard_poison_message(parameter(request, "messageId"))))


def content_of(message: PoisonMessage) -> dict[str, Any]:
    """Return a message as the API shows it, without its body."""
    return {
        "id": message.id,
        "kind": message.kind,
        "instanceId": message.instance_id,
        "reason": message.reason,
        "parkedTime": time_text(message.parked_at),
        "queue": message.queue,
    }
