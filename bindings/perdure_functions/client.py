"""The client that functions receive: Perdure's own, and what belongs to HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import azure.functions as func

from perdure.client import Client, DurableOrchestrationStatus, EntityStateResponse, ReuseId, SyncClient
from perdure.client.sync_client import waiting
from perdure.core.aliases import also_named
from perdure.core.entity_id import EntityId
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.clock import Clock, NewId, new_id
from perdure.errors import InstanceEndedError
from perdure.storage.protocol import Storage
from perdure_functions.links import ManagementLinks
from perdure_functions.stream_answers import DEFAULT_WAIT, answer_stream

if TYPE_CHECKING:
    from perdure.engine.worker import Worker

_RETRY_AFTER = "10"
"""Seconds after which a caller is told to ask for the status."""


class Sibling(Protocol):
    """Returns the client of another hub, or of the same hub at another connection."""

    def __call__(self, task_hub: str | None, connection: str | None, /) -> Awaitable[DurableOrchestrationClient]:
        """Both None means the app's own."""


class DurableOrchestrationClient(Client):
    """Starts and manages orchestrations; functions receive it through `durable_client_input`.

    Args:
        storage: see `perdure.Client`, as for what is not named here.
        control_queues: see there.
        worker: see there.
        default_version: see there.
        reuse: see there.
        clock: see there.
        new_id: see there.
        links: makes the URLs at which instances are managed.
        sibling: returns clients of other hubs.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        control_queues: int = 1,
        worker: Worker | None = None,
        default_version: str | None = None,
        reuse: ReuseId = ReuseId.ENDED,
        clock: Clock | None = None,
        new_id: NewId = new_id,
        links: ManagementLinks | None = None,
        sibling: Sibling | None = None,
    ) -> None:
        super().__init__(
            storage,
            control_queues=control_queues,
            worker=worker,
            default_version=default_version,
            reuse=reuse,
            clock=clock,
            new_id=new_id,
        )
        self._links = links or ManagementLinks("api")
        self._sibling = sibling

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Send an external event; see `perdure.Client.raise_event`.

        Args:
            instance_id: the instance.
            event_name: the event's name; its case is ignored.
            event_data: anything that has a JSON form.
            task_hub_name: the instance's hub, if it is another one.
            connection_name: the connection to it, if it is another one.
        """
        if task_hub_name is None and connection_name is None:
            await super().raise_event(instance_id, event_name, event_data)
        else:
            other = await self._other(task_hub_name, connection_name)
            await other.raise_event(instance_id, event_name, event_data)

    # ---- commands: to an instance that has ended they are no errors, as in Durable Functions -----------------------

    async def terminate(self, instance_id: str, reason: str, *, recursive: bool = True) -> None:
        """End an instance; one that has ended is left as it is. See `perdure.Client.terminate`."""
        with suppress(InstanceEndedError):
            await super().terminate(instance_id, reason, recursive=recursive)

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Pause an instance; one that has ended is left as it is. See `perdure.Client.suspend`."""
        with suppress(InstanceEndedError):
            await super().suspend(instance_id, reason)

    async def resume(self, instance_id: str, reason: str) -> None:
        """End the pause of an instance; one that has ended is left as it is. See `perdure.Client.resume`."""
        with suppress(InstanceEndedError):
            await super().resume(instance_id, reason)

    async def rewind(
        self,
        instance_id: str,
        reason: str,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Have a failed instance go back to before what failed it; see `perdure.Client.rewind`.

        Args:
            instance_id: the instance.
            reason: shown in its history.
            task_hub_name: the instance's hub, if it is another one.
            connection_name: the connection to it, if it is another one.
        """
        if task_hub_name is None and connection_name is None:
            await super().rewind(instance_id, reason)
        else:
            other = await self._other(task_hub_name, connection_name)
            await other.rewind(instance_id, reason)

    # ---- entities --------------------------------------------------------------------------------------------------

    @also_named(entity_id="entityId", operation="operation_name", input="operation_input")
    async def signal_entity(
        self,
        entityId: EntityId | str,  # noqa: N803 - as in Durable Functions
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        *,
        signal_time: datetime | None = None,
    ) -> None:
        """Have an entity perform an operation; see `perdure.Client.signal_entity`.

        Args:
            entityId: the entity, also as `entity_id`.
            operation_name: what it is to do, also as `operation`.
            operation_input: the operation's input, also as `input`.
            task_hub_name: the entity's hub, if it is another one.
            connection_name: the connection to it, if it is another one.
            signal_time: when it is to do it, at the earliest.
        """
        if task_hub_name is None and connection_name is None:
            await super().signal_entity(entityId, operation_name, operation_input, signal_time=signal_time)
        else:
            other = await self._other(task_hub_name, connection_name)
            await other.signal_entity(entityId, operation_name, operation_input, signal_time=signal_time)

    @also_named(entity_id="entityId")
    async def read_entity_state(
        self,
        entityId: EntityId | str,  # noqa: N803 - as in Durable Functions
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        *,
        expected_type: Any = None,
    ) -> EntityStateResponse:
        """Return the state of an entity; see `perdure.Client.read_entity_state`.

        Args:
            entityId: the entity, also as `entity_id`.
            task_hub_name: the entity's hub, if it is another one.
            connection_name: the connection to it, if it is another one.
            expected_type: what to read the state as.
        """
        if task_hub_name is None and connection_name is None:
            return await super().read_entity_state(entityId, expected_type=expected_type)
        other = await self._other(task_hub_name, connection_name)
        return await other.read_entity_state(entityId, expected_type=expected_type)

    async def _other(self, task_hub: str | None, connection: str | None) -> DurableOrchestrationClient:
        if self._sibling is None:
            raise ValueError("this client knows no other hub: open one with Client.open")
        return await self._sibling(task_hub, connection)

    @property
    def required_query_string_parameters(self) -> str:
        """What the query of every URL of the management API must hold for this hub."""
        return self._links.required_query

    # ---- HTTP ----------------------------------------------------------------------------------------------------

    def create_check_status_response(self, request: func.HttpRequest | None, instance_id: str) -> func.HttpResponse:
        """Return the answer to a request that has started an instance: 202, with the URLs to manage it by."""
        payload = self._links.payload(request, instance_id)
        headers = {"Location": payload["statusQueryGetUri"], "Retry-After": _RETRY_AFTER}
        return json_response(202, payload, headers)

    def create_http_management_payload(
        self, request: func.HttpRequest | str | None = None, instance_id: str | None = None
    ) -> dict[str, str]:
        """Return the URLs to manage an instance by; called with `(instance_id)` or `(request, instance_id)`."""
        if isinstance(request, str):
            request, instance_id = None, request
        if instance_id is None:
            raise TypeError("create_http_management_payload takes an instance id, or a request and an instance id")
        return self._links.payload(request, instance_id)

    def get_client_response_links(self, request: func.HttpRequest | None, instance_id: str) -> dict[str, str]:
        """Return the URLs to manage an instance by."""
        return self._links.payload(request, instance_id)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: func.HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: int = 10_000,
        retry_interval_in_milliseconds: int = 1_000,  # noqa: ARG002 - polling adapts itself
    ) -> func.HttpResponse:
        """Return the output (200) of an instance that ends in time, the check-status answer (202) of one that does not.

        An output that is a text is the body as it is, any other its JSON. An instance that has failed is answered with
        its status and 500, one that was terminated with its status and 200.

        Args:
            request: the request being answered.
            instance_id: the instance.
            timeout_in_milliseconds: how long to wait.
            retry_interval_in_milliseconds: accepted for compatibility: polling begins fast and slows down by itself.
        """
        try:
            status = await self.wait_for_completion(instance_id, timedelta(milliseconds=timeout_in_milliseconds))
        except TimeoutError:
            return self.create_check_status_response(request, instance_id)
        if status.runtime_status is OrchestrationRuntimeStatus.Completed and isinstance(status.output, str):
            return func.HttpResponse(status.output, mimetype="application/json")
        return response_of_ended(status)

    async def create_stream_response(
        self, request: func.HttpRequest, instance_id: str, name: str, *, wait: float = DEFAULT_WAIT
    ) -> func.HttpResponse:
        """Return the answer to a request for a durable stream: server-sent events, or JSON if it accepts only that.

        The header `Last-Event-ID`, or the query parameter `cursor`, says what the caller has had. The answer holds what
        there is after that, once there is something, and ends: an `EventSource` comes again for what follows.

        Args:
            request: the request being answered.
            instance_id: the orchestration or entity that the stream belongs to.
            name: the stream's name.
            wait: seconds to wait for an item if there is none yet.

        Raises: as `read_stream`.
        """
        cursor = request.params.get("cursor")
        return await answer_stream(request, self, instance_id, name, cursor=cursor, wait=wait)


DurableFunctionsClient = DurableOrchestrationClient


class SyncDurableFunctionsClient(SyncClient):
    """The sync twin of `DurableOrchestrationClient`, which functions that are not async receive."""

    _client: DurableOrchestrationClient

    raise_event = waiting(DurableOrchestrationClient.raise_event)
    rewind = waiting(DurableOrchestrationClient.rewind)
    signal_entity = waiting(DurableOrchestrationClient.signal_entity)
    read_entity_state = waiting(DurableOrchestrationClient.read_entity_state)
    wait_for_completion_or_create_check_status_response = waiting(
        DurableOrchestrationClient.wait_for_completion_or_create_check_status_response
    )
    create_stream_response = waiting(DurableOrchestrationClient.create_stream_response)

    @property
    def required_query_string_parameters(self) -> str:
        """See `DurableOrchestrationClient.required_query_string_parameters`."""
        return self._client.required_query_string_parameters

    def create_check_status_response(self, request: func.HttpRequest | None, instance_id: str) -> func.HttpResponse:
        """See `DurableOrchestrationClient.create_check_status_response`."""
        return self._client.create_check_status_response(request, instance_id)

    def create_http_management_payload(
        self, request: func.HttpRequest | str | None = None, instance_id: str | None = None
    ) -> dict[str, str]:
        """See `DurableOrchestrationClient.create_http_management_payload`."""
        return self._client.create_http_management_payload(request, instance_id)

    def get_client_response_links(self, request: func.HttpRequest | None, instance_id: str) -> dict[str, str]:
        """See `DurableOrchestrationClient.get_client_response_links`."""
        return self._client.get_client_response_links(request, instance_id)


def response_of_ended(status: DurableOrchestrationStatus) -> func.HttpResponse:
    """Return what a caller who has waited for an instance is answered when it has ended."""
    if status.runtime_status is OrchestrationRuntimeStatus.Completed:
        return json_response(200, status.output)
    failed = status.runtime_status is OrchestrationRuntimeStatus.Failed
    return json_response(500 if failed else 200, status.to_json())


def json_response(code: int, content: Any, headers: dict[str, str] | None = None) -> func.HttpResponse:
    """Return an HTTP response with a JSON body."""
    body = json.dumps(content, separators=(",", ":"))
    return func.HttpResponse(body, status_code=code, headers=headers, mimetype="application/json")
