"""What the operations of the management API on durable streams do."""

from __future__ import annotations

import azure.functions as func

from perdure_functions.client import DurableOrchestrationClient
from perdure_functions.http_api.models import StreamQuery
from perdure_functions.http_api.reading import parameter, read_query
from perdure_functions.stream_answers import answer_stream


async def read(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET instances/{instanceId}/streams/{streamName}."""
    query = read_query(request, StreamQuery)
    return await answer_stream(
        request,
        client,
        parameter(request, "instanceId"),
        parameter(request, "streamName"),
        cursor=query.cursor,
        wait=query.wait,
    )
