"""The HTTP management API: start, query, raise events, suspend, restart, terminate, purge.

The routes, parameters and answers are those of Durable Functions:
https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import azure.functions as func
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from perdure.client import Client
from perdure.client.status import DurableOrchestrationStatus, time_text
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.errors import (
    InstanceEndedError,
    InstanceExistsError,
    InstanceNotEndedError,
    InstanceNotFoundError,
    PerdureError,
    UnknownFunctionError,
)
from perdure.storage.protocol import StorageUnavailable
from perdure.storage.rows import InstanceQuery
from perdure_functions.client import DurableOrchestrationClient, json_response, response_of_ended
from perdure_functions.links import ROUTE
from perdure_functions.runtime import Runtime

_CONTINUATION = "x-ms-continuation-token"
_RETRY_AFTER = "5"
"""Seconds after which a caller is told to ask for the status again."""
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class BadRequest(PerdureError):
    """The request makes no sense; the caller is told why, with 400."""


_CODES: dict[type[Exception], int] = {
    BadRequest: 400,
    InstanceNotFoundError: 404,
    InstanceEndedError: 410,
    InstanceExistsError: 409,
    InstanceNotEndedError: 409,
    UnknownFunctionError: 400,
    ValueError: 400,
    StorageUnavailable: 503,
}

Handler = Callable[[func.HttpRequest, DurableOrchestrationClient], Awaitable[func.HttpResponse]]


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

    return ["perdure-http-start", "perdure-http-instances", "perdure-http-operations"]


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _plus_restored(value: object) -> object:
    """Undo what happens to the plus of `+02:00` in a query that was not encoded."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", value) if isinstance(value, str) else value


def _split(value: str) -> list[str]:
    spelling = {status.casefold(): status for status in OrchestrationRuntimeStatus}
    names = [name.strip() for name in value.split(",") if name.strip()]
    return [spelling.get(name.casefold(), name) for name in names]


_Time = Annotated[datetime, BeforeValidator(_plus_restored), AfterValidator(_aware)]


class _Query(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    task_hub: str | None = None
    connection: str | None = None


class _StartQuery(_Query):
    version: str | None = None
    timeout: float | None = Field(default=None, ge=0, le=3_600)
    polling_interval: float | None = Field(default=None, gt=0)


class _StatusQuery(_Query):
    show_history: bool = False
    show_history_output: bool = False
    show_input: bool = True
    return_internal_server_error_on_failure: bool = False


class _ListQuery(_Query):
    instance_id_prefix: str = ""
    created_time_from: _Time | None = None
    created_time_to: _Time | None = None
    runtime_status: Annotated[tuple[OrchestrationRuntimeStatus, ...], BeforeValidator(_split)] = ()
    show_input: bool = True
    top: int = Field(default=100, ge=1, le=1_000)


class _ReasonQuery(_Query):
    reason: str = ""


class _RestartQuery(_Query):
    restart_with_new_instance_id: bool = True


class _PurgeQuery(_Query):
    created_time_from: _Time
    """Required, so that a request without conditions does not delete everything."""
    created_time_to: _Time | None = None
    runtime_status: Annotated[tuple[OrchestrationRuntimeStatus, ...], BeforeValidator(_split)] = ()


class _TerminateQuery(_ReasonQuery):
    recursive: bool = True


_AnyQuery = TypeVar("_AnyQuery", bound=_Query)


class ManagementApi:
    """Answers the requests.

    Args:
        runtime: has the clients.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def start(self, request: func.HttpRequest) -> func.HttpResponse:
        """POST orchestrators/{functionName}/{instanceId?}: the body is the input."""
        return await self._answer(request, _start)

    async def instances(self, request: func.HttpRequest) -> func.HttpResponse:
        """GET and DELETE, of instances/{instanceId} and of instances."""
        if _parameter(request, "instanceId"):
            return await self._answer(request, _purge if request.method == "DELETE" else _status)
        if request.method == "DELETE":
            return await self._answer(request, _purge_many)
        return await self._answer(request, _list)

    async def operate(self, request: func.HttpRequest) -> func.HttpResponse:
        """POST instances/{instanceId}/ raiseEvent/{eventName}, terminate, suspend, resume, rewind and restart."""
        match _parameter(request, "operation").casefold(), bool(_parameter(request, "eventName")):
            case "raiseevent", True:
                return await self._answer(request, _raise_event)
            case "terminate", False:
                return await self._answer(request, _terminate)
            case "suspend", False:
                return await self._answer(request, _suspend)
            case "resume", False:
                return await self._answer(request, _resume)
            case "rewind", False:
                return await self._answer(request, _rewind)
            case "restart", False:
                return await self._answer(request, _restart)
            case _:
                operations = "raiseEvent/{eventName}, terminate, suspend, resume, rewind and restart"
                return _complaint(404, f"there is no such operation: {operations} are")

    async def _answer(self, request: func.HttpRequest, handler: Handler) -> func.HttpResponse:
        try:
            return await handler(request, await self._client(request))
        except tuple(_CODES) as error:
            code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
            return _complaint(code, str(error))

    async def _client(self, request: func.HttpRequest) -> DurableOrchestrationClient:
        query = _read_query(request, _Query)
        if not self._runtime.may_manage(query.task_hub, query.connection):
            raise BadRequest(
                f"this app does not manage task hub '{query.task_hub or self._runtime.settings.hub}'"
                + (f" at connection '{query.connection}'" if query.connection else "")
            )
        return await self._runtime.client(query.task_hub, query.connection)


async def _start(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _StartQuery)
    instance_id = await client.start_new(
        _parameter(request, "functionName"),
        _parameter(request, "instanceId") or None,
        _read_body(request),
        query.version,
    )
    if query.timeout is None:
        return client.create_check_status_response(request, instance_id)
    try:
        return response_of_ended(await client.wait_for_completion(instance_id, query.timeout))
    except TimeoutError:
        return client.create_check_status_response(request, instance_id)


async def _status(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _StatusQuery)
    instance_id = _parameter(request, "instanceId")
    status = await client.get_status(instance_id, query.show_history, query.show_history_output, query.show_input)
    if not status:
        return _complaint(404, f"there is no instance '{instance_id}'")
    content = _content(status)
    if status.runtime_status not in ENDED:
        location = client.get_client_response_links(request, instance_id)["statusQueryGetUri"]
        return json_response(202, content, {"Location": location, "Retry-After": _RETRY_AFTER})
    failed = status.runtime_status is OrchestrationRuntimeStatus.Failed
    return json_response(500 if failed and query.return_internal_server_error_on_failure else 200, content)


async def _list(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _ListQuery)
    wanted = InstanceQuery(
        id_prefix=query.instance_id_prefix,
        statuses=tuple(status.value for status in query.runtime_status),
        created_from=query.created_time_from,
        created_to=query.created_time_to,
    )
    found: list[DurableOrchestrationStatus] = []
    continuation = request.headers.get(_CONTINUATION) or None
    while True:
        page = await client.query(
            wanted, top=query.top - len(found), continuation=continuation, show_input=query.show_input
        )
        found += page.instances
        continuation = page.continuation
        if continuation is None or len(found) >= query.top:
            break
    headers = {_CONTINUATION: continuation} if continuation else None
    return json_response(200, [_content(status) for status in found], headers)


async def _purge(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = _parameter(request, "instanceId")
    purged = await client.purge_instance_history(instance_id)
    if not purged.instances_deleted:
        return _complaint(404, f"there is no instance '{instance_id}'")
    return json_response(200, purged.to_json())


async def _raise_event(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    data = _read_body(request)
    await client.raise_event(_parameter(request, "instanceId"), _parameter(request, "eventName"), data)
    return func.HttpResponse(status_code=202)


async def _terminate(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _TerminateQuery)
    await Client.terminate(client, _parameter(request, "instanceId"), query.reason, recursive=query.recursive)
    return func.HttpResponse(status_code=202)


async def _suspend(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _ReasonQuery)
    await Client.suspend(client, _parameter(request, "instanceId"), query.reason)
    return func.HttpResponse(status_code=202)


async def _resume(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _ReasonQuery)
    await Client.resume(client, _parameter(request, "instanceId"), query.reason)
    return func.HttpResponse(status_code=202)


async def _rewind(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _ReasonQuery)
    await client.rewind(_parameter(request, "instanceId"), query.reason)
    return func.HttpResponse(status_code=202)


async def _restart(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _RestartQuery)
    new_id = await client.restart(_parameter(request, "instanceId"), query.restart_with_new_instance_id)
    return client.create_check_status_response(request, new_id)


async def _purge_many(request: func.HttpRequest, client: DurableOrchestrationClient) -> func.HttpResponse:
    query = _read_query(request, _PurgeQuery)
    purged = await client.purge_instance_history_by(
        query.created_time_from, query.created_time_to, query.runtime_status
    )
    if not purged.instances_deleted:
        return _complaint(404, "there are no such instances")
    return json_response(200, purged.to_json())


def _content(status: DurableOrchestrationStatus) -> dict[str, Any]:
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
    return content if status.reason is None else content | {"reason": status.reason}


def _read_query(request: func.HttpRequest, model: type[_AnyQuery]) -> _AnyQuery:
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


def _read_body(request: func.HttpRequest) -> Any:
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


def _parameter(request: func.HttpRequest, name: str) -> str:
    """Return a parameter of the route. The Functions host decodes everything in it but slashes; where the URL shows
    that `%2F` was meant as such, it stays.
    """
    value = request.route_params.get(name) or ""
    return value if "%252f" in request.url.casefold() else _ENCODED_SLASH.sub("/", value)


def _complaint(code: int, message: str) -> func.HttpResponse:
    return json_response(code, {"message": message})
