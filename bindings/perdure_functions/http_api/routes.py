"""The functions that answer the management API's requests."""

from __future__ import annotations

from collections.abc import Callable

import azure.functions as func

from perdure_functions.client import DurableOrchestrationClient, json_response
from perdure_functions.http_api import entity_handlers, handlers, poison_handlers, stream_handlers
from perdure_functions.http_api.error_codes import CODES, code_of
from perdure_functions.http_api.handlers import Handler, complaint
from perdure_functions.http_api.models import Query
from perdure_functions.http_api.openapi import document
from perdure_functions.http_api.reading import BadRequest, NoSuchOperation, check_url, parameter, read_query
from perdure_functions.links import ROUTE
from perdure_functions.runtime import Runtime

"""The first one that an error is decides; what is none of them is a defect, and left to the host to log."""


def add_http_functions(container: func.Blueprint, runtime: Runtime, auth_level: func.AuthLevel) -> list[str]:
    """Add the API's functions to a container; return their names."""
    api = ManagementApi(runtime)

    @container.function_name("perdure-http-start")
    @container.route(f"{ROUTE}/orchestrators/{{functionName}}/{{instanceId?}}", methods=["POST"], auth_level=auth_level)
    async def start(req: func.HttpRequest) -> func.HttpResponse:
        return await api.start(req)

    @container.function_name("perdure-http-instances")
    @container.route(f"{ROUTE}/instances/{{instanceId?}}", methods=["GET", "DELETE"], auth_level=auth_level)
    async def instances(req: func.HttpRequest) -> func.HttpResponse:
        return await api.instances(req)

    @container.function_name("perdure-http-operations")
    @container.route(
        f"{ROUTE}/instances/{{instanceId}}/{{operation}}/{{eventName?}}", methods=["POST"], auth_level=auth_level
    )
    async def operate(req: func.HttpRequest) -> func.HttpResponse:
        return await api.operate(req)

    @container.function_name("perdure-http-stream")
    @container.route(f"{ROUTE}/instances/{{instanceId}}/streams/{{streamName}}", methods=["GET"], auth_level=auth_level)
    async def stream(req: func.HttpRequest) -> func.HttpResponse:
        return await api.stream(req)

    @container.function_name("perdure-http-entities")
    @container.route(f"{ROUTE}/entities/{{entityName?}}", methods=["GET"], auth_level=auth_level)
    async def entities(req: func.HttpRequest) -> func.HttpResponse:
        return await api.entities(req)

    @container.function_name("perdure-http-entity")
    @container.route(
        f"{ROUTE}/entities/{{entityName}}/{{entityKey}}", methods=["GET", "POST", "DELETE"], auth_level=auth_level
    )
    async def entity(req: func.HttpRequest) -> func.HttpResponse:
        return await api.entity(req)

    @container.function_name("perdure-http-poison")
    @container.route(f"{ROUTE}/poison/{{messageId?}}", methods=["GET", "DELETE"], auth_level=auth_level)
    async def poison(req: func.HttpRequest) -> func.HttpResponse:
        return await api.poison(req)

    @container.function_name("perdure-http-poison-retry")
    @container.route(f"{ROUTE}/poison/{{messageId}}/retry", methods=["POST"], auth_level=auth_level)
    async def retry_poison(req: func.HttpRequest) -> func.HttpResponse:
        return await api.retry_poison(req)

    @container.function_name("perdure-http-openapi")
    @container.route(f"{ROUTE}/openapi.json", methods=["GET"], auth_level=auth_level)
    async def openapi(req: func.HttpRequest) -> func.HttpResponse:
        return api.openapi(req)

    return [
        "perdure-http-start",
        "perdure-http-instances",
        "perdure-http-operations",
        "perdure-http-stream",
        "perdure-http-entities",
        "perdure-http-entity",
        "perdure-http-poison",
        "perdure-http-poison-retry",
        "perdure-http-openapi",
    ]


class ManagementApi:
    """Answers the requests.

    Args:
        runtime: has the clients.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def openapi(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET openapi.json: what the API takes and answers, with the address at which the caller has found it."""
        try:
            check_url(request)
            return json_response(200, document(request, self._runtime.settings.route_prefix))
        except tuple(CODES) as error:
            return _told(error)

    async def start(self, request: func.HttpRequest) -> func.HttpResponse:
        """POST orchestrators/{functionName}/{instanceId?}."""
        return await self._answer(request, lambda _: handlers.start)

    async def instances(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET and DELETE, of instances/{instanceId} and of instances."""
        return await self._answer(request, _on_instances)

    async def operate(self, request: func.HttpRequest) -> func.HttpResponse:
        """POST instances/{instanceId}/ raiseEvent/{eventName}, terminate, suspend, resume, rewind and restart."""
        return await self._answer(request, _operation)

    async def stream(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET instances/{instanceId}/streams/{streamName}."""
        return await self._answer(request, lambda _: stream_handlers.read)

    async def entities(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET entities/{entityName?}."""
        return await self._answer(request, lambda _: entity_handlers.list_entities)

    async def entity(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET, POST and DELETE, of entities/{entityName}/{entityKey}."""
        return await self._answer(request, _on_entity)

    async def poison(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET and DELETE, of poison/{messageId}; GET of poison."""
        return await self._answer(request, _on_poison)

    async def retry_poison(self, request: func.HttpRequest) -> func.HttpResponse:
        """POST poison/{messageId}/retry."""
        return await self._answer(request, lambda _: poison_handlers.retry)

    async def _answer(
        self, request: func.HttpRequest, handler_for: Callable[[func.HttpRequest], Handler]
    ) -> func.HttpResponse:
        try:
            check_url(request)
            handler = handler_for(request)
            return await handler(request, await self._client(request))
        except tuple(CODES) as error:
            return _told(error)

    async def _client(self, request: func.HttpRequest) -> DurableOrchestrationClient:
        query = read_query(request, Query)
        if not self._runtime.may_manage(query.task_hub, query.connection):
            raise BadRequest(
                f"this app does not manage task hub '{query.task_hub or self._runtime.settings.hub}'"
                + (f" at connection '{query.connection}'" if query.connection else "")
            )
        return await self._runtime.client(query.task_hub, query.connection)


def _told(error: Exception) -> func.HttpResponse:
    return complaint(code_of(error), str(error))


def _on_instances(request: func.HttpRequest) -> Handler:
    if parameter(request, "instanceId"):
        return handlers.purge if request.method == "DELETE" else handlers.status
    return handlers.purge_many if request.method == "DELETE" else handlers.list_instances


def _operation(request: func.HttpRequest) -> Handler:
    match parameter(request, "operation").casefold(), bool(parameter(request, "eventName")):
        case "raiseevent", True:
            return handlers.raise_event
        case "terminate", False:
            return handlers.terminate
        case "suspend", False:
            return handlers.suspend
        case "resume", False:
            return handlers.resume
        case "rewind", False:
            return handlers.rewind
        case "restart", False:
            return handlers.restart
        case _:
            operations = "raiseEvent/{eventName}, terminate, suspend, resume, rewind and restart"
            raise NoSuchOperation(f"there is no such operation: {operations} are")


def _on_entity(request: func.HttpRequest) -> Handler:
    match request.method:
        case "POST":
            return entity_handlers.signal
        case "DELETE":
            return entity_handlers.delete
        case _:
            return entity_handlers.state


def _on_poison(request: func.HttpRequest) -> Handler:
    if parameter(request, "messageId"):
        return poison_handlers.discard if request.method == "DELETE" else poison_handlers.show
    if request.method == "DELETE":
        raise NoSuchOperation("poison messages are discarded one by one: DELETE poison/{messageId}")
    return poison_handlers.list_messages
