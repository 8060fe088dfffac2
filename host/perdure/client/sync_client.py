"""The client for code that is not async: the same methods, each of which waits."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from perdure.client.client import Client
from perdure.client.hub_client import HubClient
from perdure.core.entity_id import EntityId
from perdure.errors import PerdureError
from perdure.streaming import StreamItem, StreamOpening

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=HubClient)


def waiting(method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """Return the sync twin of a client's method, for a class with what `SyncClient` has."""
    name = method.__name__

    @functools.wraps(method)
    def wait(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        # by name: the client may be of a class that overrides it
        work: Coroutine[Any, Any, T] = getattr(self._client, name)(*args, **kwargs)
        return run_from_thread(work, self._loop)

    return cast("Callable[Concatenate[Any, P], T]", wait)


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

    start_new = waiting(Client.start_new)
    restart = waiting(Client.restart)

    get_status = waiting(Client.get_status)
    get_status_all = waiting(Client.get_status_all)
    get_status_by = waiting(Client.get_status_by)
    query = waiting(Client.query)
    wait_for_start = waiting(Client.wait_for_start)
    wait_for_completion = waiting(Client.wait_for_completion)

    raise_event = waiting(Client.raise_event)
    terminate = waiting(Client.terminate)
    suspend = waiting(Client.suspend)
    resume = waiting(Client.resume)
    rewind = waiting(Client.rewind)
    purge_instance_history = waiting(Client.purge_instance_history)
    purge_instance_history_by = waiting(Client.purge_instance_history_by)

    signal_entity = waiting(Client.signal_entity)
    delete_entity = waiting(Client.delete_entity)
    read_entity_state = waiting(Client.read_entity_state)
    get_entity = waiting(Client.get_entity)
    get_all_entities = waiting(Client.get_all_entities)
    list_entities = waiting(Client.list_entities)
    clean_entity_storage = waiting(Client.clean_entity_storage)

    list_poison_messages = waiting(Client.list_poison_messages)
    get_poison_message = waiting(Client.get_poison_message)
    retry_poison_message = waiting(Client.retry_poison_message)
    discard_poison_message = waiting(Client.discard_poison_message)

    read_stream = waiting(Client.read_stream)
    delete_stream = waiting(Client.delete_stream)

    def stream(self, instance_id: str | EntityId, name: str, *, cursor: str | None = None) -> Iterator[StreamItem]:
        """Iterate over the items of a stream as they come; see `Client.stream`."""
        items = aiter(self._client.stream(instance_id, name, cursor=cursor))

        async def following() -> StreamItem | None:
            return await anext(items, None)

        while (item := run_from_thread(following(), self._loop)) is not None:
            yield item

    def open_stream(self, instance_id: str | EntityId, name: str, *, step: str) -> StreamOpening:
        """Open a stream to write to it: `with ... as stream` gives a `SyncStreamWriter`; see `Client.open_stream`."""

        async def opening() -> StreamOpening:
            return self._client.open_stream(instance_id, name, step=step)

        return run_from_thread(opening(), self._loop)

    schedule_new_orchestration = waiting(Client.schedule_new_orchestration)
    get_orchestration_state = waiting(Client.get_orchestration_state)
    get_all_orchestration_states = waiting(Client.get_all_orchestration_states)
    get_orchestration_history = waiting(Client.get_orchestration_history)
    wait_for_orchestration_start = waiting(Client.wait_for_orchestration_start)
    wait_for_orchestration_completion = waiting(Client.wait_for_orchestration_completion)
    raise_orchestration_event = waiting(Client.raise_orchestration_event)
    terminate_orchestration = waiting(Client.terminate_orchestration)
    suspend_orchestration = waiting(Client.suspend_orchestration)
    resume_orchestration = waiting(Client.resume_orchestration)
    rewind_orchestration = waiting(Client.rewind_orchestration)
    restart_orchestration = waiting(Client.restart_orchestration)
    purge_orchestration = waiting(Client.purge_orchestration)
    purge_orchestrations_by = waiting(Client.purge_orchestrations_by)


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
