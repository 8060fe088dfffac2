"""What each operation of the management API does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func

from perdure.client import Client
from perdure.client.arguments import instance_query
from perdure.client.status import DurableOrchestrationStatus, time_text
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api.models import (
    ListQuery,
    PurgeManyQuery,
    PurgeQuery,
    ReasonQuery,
    RestartQuery,
    StartQuery,
    StatusQuery,
    TerminateQuery,
)
from perdure_functions.http_api.paging import continued, next_page
from perdure_functions.http_api.reading import parameter, read_body, read_query

RETRY_AFTER = "5"
"""Seconds after which a caller is told to ask for the status again."""

_LONGEST_MESSAGE = 2_000
"""Characters: what a request says is repeated to it, however much that is."""

Handler = Callable[[func.HttpRequest, DurableOrchestrationClient], Awaitable[func.HttpResponse]]


async def start(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST orchestrators/{functionName}/{instanceId?}: the body is the input."""
    query = read_query(request, StartQuery)
    instance_id = await client.start_new(
        parameter(request, "functionName"),
        parameter(request, "instanceId") or None,
        read_body(request),
        query.version,
    )
    if query.timeout is None:
        return client.create_check_status_response(request, instance_id)
    try:
        ended = await client.wait_for_completion(instance_id, query.timeout, show_input=True)
    except TimeoutError:
        return client.create_check_status_response(request, instance_id)
    if ended.runtime_status is OrchestrationRuntimeStatus.Completed:
        return json_response(200, ended.output)
    failed = ended.runtime_status is OrchestrationRuntimeStatus.Failed
    return json_response(500 if failed else 200, content_of(ended))


async def status(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET instances/{instanceId}."""
    query = read_query(request, StatusQuery)
    instance_id = parameter(request, "instanceId")
    status = await client.get_status(instance_id, query.show_history, query.show_history_output, query.show_input)
    if not status:
        return complaint(404, f"there is no instance '{instance_id}'")
    content = content_of(status)
    if status.runtime_status not in ENDED:
        location = client.get_client_response_links(request, instance_id)["statusQueryGetUri"]
        return json_response(202, content, {"Location": location, "Retry-After": RETRY_AFTER})
    failed = status.runtime_status is OrchestrationRuntimeStatus.Failed
    return json_response(500 if failed and query.return_internal_server_error_on_failure else 200, content)


async def list_instances(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """GET instances."""
    query = read_query(request, ListQuery)
    wanted = instance_query(
        query.created_time_from, query.created_time_to, query.runtime_status, query.instance_id_prefix, query.tags
    )
    found: list[DurableOrchestrationStatus] = []
    continuation = continued(request, query)
    while True:
        page = await client.query(
            wanted, top=query.top - len(found), continuation=continuation, show_input=query.show_input
        )
        found += page.instances
        continuation = page.continuation
        if continuation is None or len(found) >= query.top:
            break
    return json_response(200, [content_of(status) for status in found], next_page(continuation, query))


async def purge(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """DELETE instances/{instanceId}."""
    query = read_query(request, PurgeQuery)
    instance_id = parameter(request, "instanceId")
    purged = await client.purge_instance_history(instance_id, recursive=query.recursive)
    if not purged.instances_deleted:
        return complaint(404, f"there is no instance '{instance_id}'")
    return json_response(200, purged.to_json())


async def raise_event(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST instances/{instanceId}/raiseEvent/{eventName}: the body is the event's data."""
    data = read_body(request)
    await client.raise_event(parameter(request, "instanceId"), parameter(request, "eventName"), data)
    return func.HttpResponse(status_code=202)


async def terminate(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST instances/{instanceId}/terminate."""
    query = read_query(request, TerminateQuery)
    await Client.terminate(client, parameter(request, "instanceId"), query.reason, recursive=query.recursive)
    return func.HttpResponse(status_code=202)


async def suspend(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST instances/{instanceId}/suspend."""
    query = read_query(request, ReasonQuery)
    await Client.suspend(client, parameter(request, "instanceId"), query.reason)
    return func.HttpResponse(status_code=202)


async def resume(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST instances/{instanceId}/resume."""
    query = read_query(request, ReasonQuery)
    await Client.resume(client, parameter(request, "instanceId"), query.reason)
    return func.HttpResponse(status_code=202)


async def rewind(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST instances/{instanceId}/rewind."""
    query = read_query(request, ReasonQuery)
    await client.rewind(parameter(request, "instanceId"), query.reason)
    return func.HttpResponse(status_code=202)


async def restart(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """POST instances/{instanceId}/restart."""
    query = read_query(request, RestartQuery)
    new_id = await client.restart(parameter(request, "instanceId"), query.restart_with_new_instance_id)
    return client.create_check_status_response(request, new_id)


async def purge_many(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    """DELETE instances."""
    query = read_query(request, PurgeManyQuery)
    purged = await client.purge_instance_history_by(
        query.created_time_from,
        query.created_time_to,
        [OrchestrationRuntimeStatus(status) for status in query.runtime_status],
        tags=query.tags,
        recursive=query.recursive,
    )
    if not purged.instances_deleted:
        return complaint(404, "there are no such instances")
    return json_response(200, purged.to_json())


def complaint(code: int, message: str) -> func.HttpResponse:
    """Return the answer to a request that can't be granted."""
    shown = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} ..."
    return json_response(code, {"message": shown})


def content_of(status: DurableOrchestrationStatus) -> dict[str, Any]:
    """Return the status as the API shows it."""
    content: dict[str, Any] = {
        "name": status.name,
        "instanceId": status.instance_id,
        "runtimeStatus": status.runtime_status,
        "input": status.input_,
        "customStatus": status.custom_status,
        "output": status.output,
        "createdTime": time_text(status.created_time),
        "lastUpdatedTime": time_text(status.last_updated_time),
    }
    if status.history is not None:
        content["historyEvents"] = status.history
    if status.tags:
        content["tags"] = status.tags
    return content if status.reason is None else content | {"reason": status.reason}
