"""The client for code that is not async: the same methods, each of which waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from perdure.client.client import Client, StatusPage
from perdure.client.status import DurableOrchestrationStatus, PurgeHistoryResult
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.errors import PerdureError
from perdure.storage.rows import InstanceQuery

T = TypeVar("T")


class SyncClient:
    """The sync twin of a client, for threads: its calls run on the event loop that the client belongs to.

    Args:
        client: the async client.
        loop: its event loop, running in another thread.
    """

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._client.task_hub_name

    def start_new(
        self,
        orchestration_function_name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """See `Client.start_new`."""
        return self._wait(
            self._client.start_new(
                orchestration_function_name, instance_id, client_input, version, start_at=start_at, tags=tags
            )
        )

    def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """See `Client.get_status`."""
        return self._wait(self._client.get_status(instance_id, show_history, show_history_output, show_input))

    def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """See `Client.get_status_all`."""
        return self._wait(self._client.get_status_all())

    def query(
        self,
        query: InstanceQuery | None = None,
        *,
        top: int = 100,
        continuation: str | None = None,
        show_input: bool = False,
    ) -> StatusPage:
        """See `Client.query`."""
        return self._wait(self._client.query(query, top=top, continuation=continuation, show_input=show_input))

    def wait_for_completion(
        self, instance_id: str, timeout: float | timedelta | None = None
    ) -> DurableOrchestrationStatus:
        """See `Client.wait_for_completion`."""
        return self._wait(self._client.wait_for_completion(instance_id, timeout))

    def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        """See `Client.raise_event`."""
        self._wait(self._client.raise_event(instance_id, event_name, event_data))

    def terminate(self, instance_id: str, reason: str, *, recursive: bool = True) -> None:
        """See `Client.terminate`."""
        self._wait(self._client.terminate(instance_id, reason, recursive=recursive))

    def suspend(self, instance_id: str, reason: str) -> None:
        """See `Client.suspend`."""
        self._wait(self._client.suspend(instance_id, reason))

    def resume(self, instance_id: str, reason: str) -> None:
        """See `Client.resume`."""
        self._wait(self._client.resume(instance_id, reason))

    def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> str:
        """See `Client.restart`."""
        return self._wait(self._client.restart(instance_id, restart_with_new_instance_id))

    def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
    ) -> PurgeHistoryResult:
        """See `Client.purge_instance_history_by`."""
        return self._wait(self._client.purge_instance_history_by(created_time_from, created_time_to, runtime_status))

    def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """See `Client.get_status_by`."""
        return self._wait(
            self._client.get_status_by(created_time_from, created_time_to, runtime_status, instance_id_prefix)
        )

    def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """See `Client.purge_instance_history`."""
        return self._wait(self._client.purge_instance_history(instance_id))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return run_from_thread(work, self._loop)


def run_from_thread(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Run a coroutine on a loop of another thread and wait for its result. Raises PerdureError on the loop's own."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run_coroutine_threadsafe(work, loop).result()
    work.close()
    raise PerdureError(
        "a sync client can't be used on an event loop: it would block "
        + ("the very loop that has to answer it" if running is loop else "everything else that runs there")
        + ". Make the function async, or call it in a thread."
    )
