"""What every part of the client works with: a hub's storage, and the worker of this process if it has one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from perdure.client.reading import StatusReader
from perdure.client.reuse import ReuseId
from perdure.client.signals import Signals
from perdure.core.entity_id import is_entity_id
from perdure.core.naming import check_instance_id
from perdure.core.status import ENDED
from perdure.engine.clock import Clock, NewId, SystemClock, new_id
from perdure.engine.dispatch import Dispatch
from perdure.engine.hub import HubQueues
from perdure.engine.mail import Mail
from perdure.engine.notices import Notices
from perdure.engine.payloads import PayloadDesk
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.starting import Starting
from perdure.errors import InstanceEndedError, InstanceNotFoundError
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from perdure.storage.protocol import Storage
from perdure.storage.rows import Instance

if TYPE_CHECKING:  # most of the engine, which an app that is only looked at does not need
    from perdure.engine.worker import Worker


class HubClient:
    """A client of a task hub, without anything to do yet.

    `open` makes one from a connection; this constructor is for those who have a storage at hand.

    Args:
        storage: the hub's storage; whoever made it closes it.
        control_queues: how many control queues the hub has. All its workers must agree; a client may know of fewer
            (1 is always right), never of more.
        worker: this process's worker on the same storage: instances begin in it at once, and it knows the app's
            functions, so that a wrong name is noticed at the start.
        default_version: version of instances that are started without one.
        reuse: what becomes of starts whose id is in use, unless they say so themselves.
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
        reuse: ReuseId = ReuseId.ENDED,
        clock: Clock | None = None,
        new_id: NewId = new_id,
    ) -> None:
        self._storage = storage
        self._worker = worker
        self._default_version = default_version
        self._reuse = reuse
        self._clock: Clock = clock or SystemClock()
        self._new_id = new_id
        self._payloads = PayloadDesk(storage, new_id, self._clock)
        self._starting = Starting(storage, self._clock, new_id)
        self._queues = HubQueues(storage.hub, control_queues)
        self._mail = Mail(storage, self._queues, self._clock, new_id)
        self._dispatch = Dispatch(storage, EngineSettings(), self._mail, self._payloads, self._starting)
        self._reader = StatusReader(storage)
        self._notices = Notices() if worker is None else worker.notices
        self._signals = Signals(self._clock, new_id)
        self._owns_storage = False

    @classmethod
    def open(
        cls,
        task_hub: str,
        connection: str = "AzureWebJobsStorage",
        *,
        control_queues: int = 1,
        default_version: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a client of a hub; use it in `async with`, or close it.

        Args:
            task_hub: the hub's name.
            connection: name of the setting, or section of settings, that says where the hub is stored.
            control_queues: see the class.
            default_version: see the class.
            environ: where settings are looked up; by default the environment.

        Raises:
            SettingsError: the connection is not set or makes no sense.
        """
        storage = open_storage(resolve_connection(connection, os.environ if environ is None else environ), task_hub)
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
    def storage(self) -> Storage:
        """The hub's storage."""
        return self._storage

    @property
    def task_hub_name(self) -> str:
        """Name of the task hub."""
        return self._storage.hub

    @property
    def _registry(self) -> Registry | None:
        return None if self._worker is None else self._worker.registry

    async def _existing(self, instance_id: str) -> Instance:
        if is_entity_id(instance_id):
            raise InstanceNotFoundError(
                f"there is no instance '{instance_id}' in task hub '{self.task_hub_name}': this is the id of an "
                f"entity, whose state can be read"
            )
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
