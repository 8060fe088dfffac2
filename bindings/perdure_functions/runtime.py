"""What an app has open while it runs: the worker of its own hub, and clients of this and other hubs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from perdure.errors import PerdureError
from perdure.storage.protocol import StorageUnavailable
from perdure_functions.links import ManagementLinks

if TYPE_CHECKING:
    from perdure.engine.registry import Registry
    from perdure.engine.worker import Worker
    from perdure.storage.protocol import Storage
    from perdure_functions.client import DurableOrchestrationClient, SyncDurableFunctionsClient
    from perdure_functions.settings import DurableSettings


@dataclass(frozen=True, slots=True)
class _OpenHub:
    storage: Storage
    worker: Worker | None
    client: DurableOrchestrationClient


class Runtime:
    """Opens the app's hub on the event loop that first needs it; the Functions worker has one for everything.

    Args:
        registry: returns the app's functions; called when its worker is made.
    """

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._registry = registry
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None
        self._hubs: dict[tuple[str, str], _OpenHub] = {}
        self.other_hubs: list[tuple[str | None, str | None]] = []
        """Hubs and connections that the app's client bindings name; None stands for the app's own."""

    @cached_property
    def settings(self) -> DurableSettings:
        """The app's settings. Raises SettingsError."""
        from perdure_functions.settings import load_settings

        return load_settings(os.environ)

    async def worker(self) -> Worker:
        """Return the worker of the app's hub; the hub is created if it does not exist.

        Raises:
            StorageUnavailable: the hub's store can't be reached.
            SettingsError: the settings make no sense.
        """
        settings = self.settings
        worker = (await self._open(settings.hub, settings.connection)).worker
        if worker is None:
            raise PerdureError("this app has neither orchestrators nor activities: there is nothing for a worker to do")
        return worker

    async def client(self, task_hub: str | None = None, connection: str | None = None, /) -> DurableOrchestrationClient:
        """Return the client of a hub: the app's own, unless another name or connection is given. Raises as `worker`."""
        settings = self.settings
        return (await self._open(task_hub or settings.hub, connection or settings.connection)).client

    def may_manage(self, task_hub: str | None, connection: str | None) -> bool:
        """Whether callers of the management API may name this hub: the app's own, or one that its code names."""
        settings = self.settings
        known = [(None, None), *self.other_hubs]
        return (task_hub or settings.hub, connection or settings.connection) in [
            (hub or settings.hub, where or settings.connection) for hub, where in known
        ]

    def sync_client(self, task_hub: str | None = None, connection: str | None = None, /) -> SyncDurableFunctionsClient:
        """Return the sync twin of a client, for a thread that is not the event loop's."""
        from perdure.client.sync_client import run_from_thread
        from perdure_functions.client import SyncDurableFunctionsClient

        loop = self._loop
        if loop is None or loop.is_closed():
            raise PerdureError(
                "no event loop is known on which the durable client could work: the app runs under no Functions host. "
                "Pass a client to the function, or make it async."
            )
        return SyncDurableFunctionsClient(run_from_thread(self.client(task_hub, connection), loop), loop)

    def remember_loop(self) -> None:
        """Remember the running event loop, if there is one, for functions that run in threads."""
        try:
            self._settle_on(asyncio.get_running_loop())
        except RuntimeError:
            return

    def drain(self) -> None:
        """Let the worker, if there is one, begin nothing new."""
        for hub in self._hubs.values():
            if hub.worker is not None:
                hub.worker.drain()

    async def stop(self) -> None:
        """Stop the worker and close everything; what comes afterwards opens it anew."""
        hubs, self._hubs = list(self._hubs.values()), {}
        for hub in hubs:
            if hub.worker is not None:
                await hub.worker.stop()
        for hub in hubs:
            await hub.storage.close()

    # ---- opening -------------------------------------------------------------------------------------------------

    def _settle_on(self, loop: asyncio.AbstractEventLoop) -> asyncio.Lock:
        if self._loop is not loop or self._opening is None:
            if self._hubs and self._loop is not None and not self._loop.is_closed():
                raise PerdureError(
                    "the app's durable functions are at work on another event loop of this process: use one loop, or "
                    "stop the app there first"
                )
            self._hubs.clear()
            self._loop, self._opening = loop, asyncio.Lock()
        return self._opening

    async def _open(self, hub: str, connection: str) -> _OpenHub:
        opening = self._settle_on(asyncio.get_running_loop())
        found = self._hubs.get((hub, connection))
        if found is not None:
            return found
        async with opening:
            found = self._hubs.get((hub, connection))
            if found is None:
                found = self._hubs[hub, connection] = await self._opened(hub, connection)
            return found

    async def _opened(self, hub: str, connection: str) -> _OpenHub:
        from perdure.engine.hub import HubQueues
        from perdure.engine.worker import Worker
        from perdure.storage.connection import resolve_connection
        from perdure.storage.opening import open_storage
        from perdure_functions.client import DurableOrchestrationClient

        settings = self.settings
        own = (hub, connection) == (settings.hub, settings.connection)
        # another hub's workers may have fewer than this app: all serve the first one, and handle any message
        control_queues = settings.control_queues if own else 1
        queues = HubQueues(hub, control_queues)
        storage = open_storage(resolve_connection(connection, os.environ), hub)
        try:
            await _create(storage, queues.all, connection)
        except BaseException:
            await storage.close()
            raise
        registry = self._registry()
        worker: Worker | None = None
        if own and (registry.orchestrators.all or registry.activities.all):
            worker = Worker(storage, registry, settings.engine, control_queues=control_queues)
        query = {} if own else {"taskHub": hub, "connection": connection}
        client = DurableOrchestrationClient(
            storage,
            control_queues=control_queues,
            worker=worker,
            default_version=settings.default_version,
            reuse=settings.reuse,
            links=ManagementLinks(settings.route_prefix, query),
            sibling=self.client,
        )
        return _OpenHub(storage, worker, client)


async def _create(storage: Storage, queues: Sequence[str], connection: str) -> None:
    """Create what the hub lacks; several processes may do so at once."""
    work = [storage.create(), *(storage.create_queue(queue) for queue in queues)]
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, StorageUnavailable):
            raise StorageUnavailable(
                f"task hub '{storage.hub}' can't be opened through the connection '{connection}': {outcome}"
            ) from outcome
        if outcome is not None:
            raise outcome
