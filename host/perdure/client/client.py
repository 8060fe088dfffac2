"""The client of a task hub. It works from anywhere the hub's storage can be reached; in a process that has a worker,
what it starts begins there at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec

from perdure.client.arguments import aware, instance_query
from perdure.client.purging import Purging, check_purgeable
from perdure.client.reading import StatusReader
from perdure.client.status import DurableOrchestrationStatus, PurgeHistoryResult
from perdure.core.data import to_json
from perdure.core.messages import RaiseEvent, Resume, Start, Suspend, Terminate
from perdure.core.naming import check_instance_id, check_text, checked_tags, name_of
from perdure.core.outbox import start_message_id
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.engine.clock import Clock, NewId, SystemClock, new_id
from perdure.engine.deleting import start_input_id
from perdure.engine.dispatch import Dispatch
from perdure.engine.hub import HubQueues
from perdure.engine.mail import Mail
from perdure.engine.payloads import PayloadDesk
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.starting import InstanceIdTaken, Starting
from perdure.engine.succession import insert_or_replace
from perdure.engine.worker import Worker
from perdure.errors import InstanceEndedError, InstanceNotFoundError
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from perdure.storage.protocol import Storage
from perdure.storage.rows import Instance, InstanceQuery, Row

_FIRST_POLL = 0.02
_LONGEST_POLL = 1.0
_POLL_GROWTH = 1.5
_LARGEST_PAGE = 1_000
_REASON_LIMIT = 4_000


class StatusPage(msgspec.Struct, frozen=True):
    """One page of a query."""

    instances: list[DurableOrchestrationStatus]
    """It may be shorter than asked for, even empty, and not be the last."""
    continuation: str | None
    """Give it to the next call; None on the last page."""


class Client:
    """Starts and manages the orchestrations of a task hub.

    `Client.open` makes one from a connection; this constructor is for those who have a storage at hand.

    Args:
        storage: the hub's storage; whoever made it closes it.
        control_queues: how many control queues the hub has; all its workers and clients must agree.
        worker: this process's worker on the same storage: instances begin in it at once, and it knows the app's
            functions, so that a wrong name is noticed at the start.
        default_version: version of instances that are started without one.
        clock: source of time.
        new_id: source of ids.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        control_queues: int = 1,
        worker: Worker | None = None,
        default_version: str | None = None,
        clock: Clock | None = None,
        new_id: NewId = new_id,
    ) -> None:
        self._storage = storage
        self._worker = worker
        self._default_version = default_version
        self._clock: Clock = clock or SystemClock()
        self._new_id = new_id
        self._payloads = PayloadDesk(storage, new_id)
        self._starting = Starting(storage, self._clock, new_id)
        self._mail = Mail(storage, HubQueues(storage.hub, control_queues), self._clock, new_id)
        self._dispatch = Dispatch(storage, EngineSettings(), self._mail, self._payloads, self._starting)
        self._reader = StatusReader(storage)
        self._owns_storage = False

    @classmethod
    def open(
        cls,
        task_hub: str,
        connection: str = "AzureWebJobsStorage",
        *,
        control_queues: int = 1,
        default_version: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return a client of a hub; use it in `async with`, or close it.

        Args:
            task_hub: the hub's name.
            connection: name of the setting, or section of settings, that says where the hub is stored.
            control_queues: see the class.
            default_version: see the class.
            environ: where settings are looked up.

        Raises:
            SettingsError: the connection is not set or makes no sense.
        """
        storage = open_storage(resolve_connection(connection, environ), task_hub)
        client = cls(storage, control_queues=control_queues, default_version=default_version)
        client._owns_storage = True
        return client

    async def close(self) -> None:
        """Give back connections, if this client has opened them."""
        if self._owns_storage:
            await self._storage.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._storage.hub

    # ---- starting ------------------------------------------------------------------------------------------------

    async def start_new(
        self,
        orchestration_function_name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start an orchestration and return its instance id.

        An instance of this id that has ended is replaced. One of the same orchestrator that is still Pending is left
        as it is, and only its start message is sent again: so a start that broke off may simply be repeated.

        Args:
            orchestration_function_name: the orchestrator's name, or the decorated function itself.
            instance_id: 1 to 256 characters; None makes a new one.
            client_input: the orchestration's input, anything that has a JSON form.
            version: version to start with; None takes the default.
            start_at: don't begin before this time (a naive one means UTC); None begins at once.
            tags: texts to find it by and to show with it; at most 8,000 characters in all.

        Raises:
            InstanceExistsError: the id belongs to an instance that has not ended.
            UnknownFunctionError: the app in this process has no such orchestrator.
            DataError: the input has no JSON form.
            StorageUnavailable: the store can't be reached; whether the instance was started is unknown.
        """
        name = name_of(orchestration_function_name, "orchestrator")
        text = None if client_input is None else to_json(client_input, f"the input of orchestration '{name}'")
        return await self._start(name, instance_id, text, version, start_at=aware(start_at), tags=checked_tags(tags))

    async def _start(
        self,
        name: str,
        instance_id: str | None,
        text: str | None,
        version: str | None,
        *,
        start_at: datetime | None = None,
        tags: Mapping[str, str],
    ) -> str:
        if (registry := self._registry) is not None:
            registry.orchestrators.get(name)
        instance_id = self._new_id() if instance_id is None else check_instance_id(instance_id)
        execution_id = self._new_id()
        datum = await self._payloads.offload(instance_id, text, start_input_id(execution_id))
        row = self._starting.row(
            instance_id,
            name,
            execution_id=execution_id,
            input_=datum,
            version=self._default_version if version is None else check_text(version, "a version", 100),
            start_at=start_at,
            tags=tags,
        )
        try:
            await insert_or_replace(self._storage, self._starting, self._dispatch, row)
        except InstanceIdTaken as taken:
            await self._payloads.discard(instance_id, [datum])
            if not _same_and_pending(taken.row, name):
                raise
            await self._send_start(taken.row)
            return instance_id
        if self._worker is not None:
            await self._worker.start(row)
        else:
            await self._send_start(row)
        return instance_id

    async def _send_start(self, row: Row) -> None:
        instance = row.instance
        message_id = start_message_id(instance.execution_id)
        message = Start(to=instance.instance_id, id=message_id, execution_id=instance.execution_id)
        await self._mail.send(message, due=instance.start_at)

    @property
    def _registry(self) -> Registry | None:
        return None if self._worker is None else self._worker.registry

    # ---- asking --------------------------------------------------------------------------------------------------

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Return the status of an instance; a falsy one if there is no such instance.

        Args:
            instance_id: the instance.
            show_history: include the history of its present generation.
            show_history_output: include results in the history.
            show_input: include its input, and inputs in the history.
        """
        check_instance_id(instance_id)
        if show_history:
            return await self._reader.status_with_history(
                instance_id, show_results=show_history_output, show_input=show_input
            )
        instance = await self._reader.find(instance_id)
        if instance is None:
            return DurableOrchestrationStatus()
        return await self._reader.status(instance, show_input=show_input)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Return the status of every orchestration in the hub, without inputs. Where there are many, `query` pages."""
        return await self.get_status_by()

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Return the status of all orchestrations that meet every condition given, without inputs.

        Args:
            created_time_from: created at this time or later; naive times mean UTC.
            created_time_to: created at this time or earlier.
            runtime_status: in one of these statuses; None or none at all means any.
            instance_id_prefix: whose id begins with this.
        """
        query = instance_query(created_time_from, created_time_to, runtime_status, instance_id_prefix or "")
        found: list[DurableOrchestrationStatus] = []
        continuation: str | None = None
        while True:
            page = await self.query(query, top=_LARGEST_PAGE, continuation=continuation)
            found += page.instances
            continuation = page.continuation
            if continuation is None:
                return found

    async def query(
        self,
        query: InstanceQuery | None = None,
        *,
        top: int = 100,
        continuation: str | None = None,
        show_input: bool = False,
    ) -> StatusPage:
        """Return one page of the instances that a query selects.

        Args:
            query: which; None selects all orchestrations.
            top: instances a page, at most 1,000.
            continuation: that of the page before.
            show_input: include inputs.

        Raises:
            ValueError: `top` is out of range, or the continuation comes from something else.
        """
        page = await self._storage.query(query or InstanceQuery(), top=top, continuation=continuation)
        statuses = await asyncio.gather(
            *(self._reader.status(instance, show_input=show_input) for instance in page.instances)
        )
        return StatusPage([status for status in statuses if status], page.continuation)

    async def wait_for_completion(
        self,
        instance_id: str,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - it is the API's own
    ) -> DurableOrchestrationStatus:
        """Wait until an instance has completed, failed or been terminated, and return its status.

        Args:
            instance_id: the instance.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            InstanceNotFoundError: there is no such instance.
            TimeoutError: it has not ended in time.
        """
        check_instance_id(instance_id)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        deadline = None if seconds is None else self._clock.now() + timedelta(seconds=seconds)
        pause = _FIRST_POLL
        while True:
            instance = await self._existing(instance_id)
            if instance.status in ENDED:
                status = await self._reader.status(instance, show_input=False)
                if status:
                    return status
                continue  # purged at this very moment
            if deadline is not None:
                left = (deadline - self._clock.now()).total_seconds()
                if left <= 0:
                    raise TimeoutError(_still_running(instance, seconds))
                pause = min(pause, left)
            await self._clock.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _LONGEST_POLL)

    # ---- telling -------------------------------------------------------------------------------------------------

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        """Send an external event to an instance. It is kept until the orchestrator waits for an event of this name.

        Args:
            instance_id: the instance.
            event_name: the event's name; its case is ignored.
            event_data: anything that has a JSON form.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended.
            DataError: the data have no JSON form.
        """
        if not check_text(event_name, "an external event's name"):
            raise ValueError("an external event's name can't be empty")
        await self._active(instance_id, f"it takes no event '{event_name}'")
        text = None if event_data is None else to_json(event_data, f"the data of event '{event_name}'")
        datum = await self._payloads.offload(instance_id, text)
        await self._mail.send(RaiseEvent(to=instance_id, id=self._new_id(), name=event_name, data=datum))

    async def terminate(self, instance_id: str, reason: str, *, recursive: bool = True) -> None:
        """End an instance at its next turn. Activities that run are not stopped, but their results are dropped.

        Args:
            instance_id: the instance.
            reason: becomes its output; at most 4,000 characters.
            recursive: terminate its child orchestrations, too.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended by itself.
        """
        check_text(reason, "the reason of a termination", _REASON_LIMIT)
        instance = await self._active(instance_id, "there is nothing to terminate")
        await self._mail.send(
            Terminate(
                to=instance_id,
                id=self._new_id(),
                reason=reason,
                recursive=recursive,
                execution_id=instance.execution_id,
            )
        )

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Pause an instance: what comes for it is recorded and waits until it is resumed. Activities that run go on.

        Args:
            instance_id: the instance.
            reason: shown in its history; at most 4,000 characters.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended.
        """
        check_text(reason, "the reason of a suspension", _REASON_LIMIT)
        await self._active(instance_id, "there is nothing to suspend")
        await self._mail.send(Suspend(to=instance_id, id=self._new_id(), reason=reason))

    async def resume(self, instance_id: str, reason: str) -> None:
        """End the pause of an instance; one that is not suspended just goes on. Arguments and errors as `suspend`."""
        check_text(reason, "the reason of a resumption", _REASON_LIMIT)
        await self._active(instance_id, "there is nothing to resume")
        await self._mail.send(Resume(to=instance_id, id=self._new_id(), reason=reason))

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> str:
        """Start an instance's orchestrator once more, with the same input, and return the new instance's id.

        Args:
            instance_id: the instance; its input is that of its last generation.
            restart_with_new_instance_id: False takes the same id again, and replaces the instance.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceExistsError: it is to be replaced and has not ended.
        """
        instance = await self._existing(check_instance_id(instance_id))
        text = await self._payloads.text(instance_id, instance.input)
        new_id = None if restart_with_new_instance_id else instance_id
        return await self._start(instance.name, new_id, text, instance.version, tags=instance.tags)

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Delete an instance that has ended, with everything that is stored of it.

        Raises:
            InstanceNotEndedError: it has not ended.
        """
        return PurgeHistoryResult(await Purging(self._storage, self._dispatch).one(check_instance_id(instance_id)))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
    ) -> PurgeHistoryResult:
        """Delete all ended instances that meet every condition given; see `get_status_by`.

        Raises:
            ValueError: a status is asked for that is not one of ended instances.
        """
        query = instance_query(created_time_from, created_time_to, runtime_status)
        query = msgspec.structs.replace(query, statuses=check_purgeable(query.statuses))
        return PurgeHistoryResult(await Purging(self._storage, self._dispatch).all(query))

    # ---- looking before telling ----------------------------------------------------------------------------------

    async def _existing(self, instance_id: str) -> Instance:
        instance = await self._reader.find(instance_id)
        if instance is None:
            raise InstanceNotFoundError(
                f"there is no instance '{instance_id}' in task hub '{self.task_hub_name}': look at the id; or it has "
                f"been purged"
            )
        return instance

    async def _active(self, instance_id: str, consequence: str) -> Instance:
        instance = await self._existing(check_instance_id(instance_id))
        if instance.status in ENDED:
            raise InstanceEndedError(
                f"instance '{instance_id}' ('{instance.name}') has ended ({instance.status}): {consequence}"
            )
        return instance


def _same_and_pending(row: Row, name: str) -> bool:
    instance = row.instance
    return instance.status == OrchestrationRuntimeStatus.Pending and instance.name.casefold() == name.casefold()


def _still_running(instance: Instance, seconds: float | None) -> str:
    why = f" ({instance.reason})" if instance.reason else ""
    return (
        f"instance '{instance.instance_id}' ('{instance.name}') is still {instance.status} after {seconds:g} s{why}: "
        f"wait on, or look at its history"
    )
