"""Delivering the messages of one queue to a function, with the rules of the Functions host.

A message is hidden while its function runs, deleted when it succeeds, given back when it fails, and moved to
`<queue>-poison` after too many deliveries. Nothing is deleted that is not done.
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from perdure.engine.tending import Hold
from perdure.jitter import jittered
from perdure.local.invocation import InvocationError
from perdure.local.logs import HOST_LOGGER
from perdure.local.polling import FIRST_INTERVAL, Polling
from perdure.storage.protocol import Queues, StorageError
from perdure.storage.rows import QueueMessage

_logger = logging.getLogger(HOST_LOGGER)

POISON_SUFFIX = "-poison"

_FIRST_RETRY = 0.2
_LAST_RETRY = 10.0

Handle = Callable[[QueueMessage], Awaitable[None]]
"""Runs the function; raises `InvocationError` when it failed."""


@dataclass(frozen=True, kw_only=True)
class PumpOptions:
    """How a pump delivers. The defaults are those of the Functions host. Times in seconds."""

    batch_size: int = 16
    """Messages taken at a time, 1 to 32."""
    new_batch_threshold: int = 8
    """The next batch is taken when no more than this many are running."""
    first_polling_interval: float = FIRST_INTERVAL
    """How long an empty queue is left alone at first; then for twice as long each time."""
    max_polling_interval: float = 60.0
    visibility_timeout: float = 0.0
    """How long a message stays hidden after its function failed."""
    max_dequeue_count: int = 5
    invisibility: float = 60.0
    """How long a received message stays hidden; renewed at half of it while its function runs."""


class QueuePump:
    """Receives the messages of one queue and runs `handle` on each.

    Args:
        queues: Where the queue is.
        queue: Its name.
        handle: Runs the function on a message.
        options: How to deliver.
    """

    def __init__(self, queues: Queues, queue: str, handle: Handle, options: PumpOptions) -> None:
        self.queue = queue
        self._queues = queues
        self._handle = handle
        self._options = options
        self._polling = Polling(queues, queue, options.max_polling_interval, options.first_polling_interval)
        self._stopping = asyncio.Event()
        self._deliveries: dict[asyncio.Task[None], _Delivery] = {}

    async def run(self) -> None:
        """Receive and deliver until `stop` is called. A store that can't be reached is tried again for ever."""
        retry = _FIRST_RETRY
        while not self._stopping.is_set():
            try:
                received = await self._receive_batch()
                if received:
                    self._polling.reset()
                    await self._pause(self._wait_for_room())
                if received < self._options.batch_size:  # that was all for now
                    await self._pause(self._polling.wait())
            except StorageError as error:
                _logger.warning("Queue %s can't be read, trying again: %s", self.queue, error)
                await self._pause(asyncio.sleep(jittered(retry)))
                retry = min(retry * 2, _LAST_RETRY)
            else:
                retry = _FIRST_RETRY

    def stop(self) -> None:
        """Receive nothing more; what runs goes on, until it is done or `release` gives it up."""
        self._stopping.set()

    async def drain(self, seconds: float) -> None:
        """Wait until every message in hand is done or given back, for at most `seconds`."""
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=seconds)

    async def release(self) -> None:
        """Give up what still runs: it is cancelled, and its messages become visible to others at once."""
        deliveries = dict(self._deliveries)
        for task in deliveries:
            task.cancel()
        await asyncio.gather(*deliveries, return_exceptions=True)
        await asyncio.gather(*(self._give_back(delivery, 0) for delivery in deliveries.values()))

    async def _receive_batch(self) -> int:
        options = self._options
        messages = await self._queues.receive(self.queue, count=options.batch_size, invisibility=options.invisibility)
        for message in messages:
            delivery = _Delivery(message, self._held(message))
            if self._stopping.is_set():
                await self._give_back(delivery, 0)
                continue
            task = asyncio.create_task(self._deliver(delivery))
            self._deliveries[task] = delivery
            task.add_done_callback(self._delivered)
        return len(messages)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._deliveries.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("Queue %s: a delivery broke down", self.queue, exc_info=error)

    async def _wait_for_room(self) -> None:
        while len(self._deliveries) > self._options.new_batch_threshold:
            await asyncio.wait(self._deliveries, return_when=asyncio.FIRST_COMPLETED)

    async def _pause(self, until: Awaitable[None]) -> None:
        """Wait for `until` or for `stop`, whichever comes first."""
        waits = [asyncio.ensure_future(until), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if not waits[0].cancelled():
            waits[0].result()

    async def _deliver(self, delivery: _Delivery) -> None:
        message = delivery.message
        if message.dequeue_count > self._options.max_dequeue_count:
            # delivered too often without an answer: its function may kill the process, so don't run it again
            await self._fail(delivery)
            return
        try:
            await delivery.hold.during(self._handle(delivery.message))
        except InvocationError:
            await self._fail(delivery)
        else:
            await self._delete(delivery)

    def _held(self, message: QueueMessage) -> Hold:
        invisibility = self._options.invisibility
        return Hold(self._queues, self.queue, message.message_id, message.receipt, invisibility=invisibility)

    async def _delete(self, delivery: _Delivery) -> None:
        message_id = delivery.message.message_id
        try:
            deleted = await delivery.hold.delete()
        except StorageError as error:
            _logger.warning(
                "Message %s of queue %s is done but can't be deleted, it will be delivered again: %s",
                message_id,
                self.queue,
                error,
            )
            return
        if not deleted and not delivery.hold.lost:
            _logger.warning("Message %s of queue %s was done, but somebody else holds it.", message_id, self.queue)

    async def _fail(self, delivery: _Delivery) -> None:
        if delivery.hold.lost:
            return  # whoever holds it now decides
        if self.queue.endswith(POISON_SUFFIX):
            return  # there is no poison queue's poison queue: the message comes back when its time is up
        if delivery.message.dequeue_count >= self._options.max_dequeue_count:
            await self._move_to_poison(delivery)
        else:
            await self._give_back(delivery, self._options.visibility_timeout)

    async def _move_to_poison(self, delivery: _Delivery) -> None:
        message = delivery.message
        poison = self.queue + POISON_SUFFIX
        try:
            await self._queues.create_queue(poison)
            await self._queues.send(poison, message.body)
            await delivery.hold.delete()
        except StorageError as error:
            _logger.warning("Message %s can't be moved to queue %s: %s", message.message_id, poison, error)
            return
        _logger.error(
            "Message %s has reached MaxDequeueCount of %d. Moving message to queue '%s'.",
            message.message_id,
            self._options.max_dequeue_count,
            poison,
        )

    async def _give_back(self, delivery: _Delivery, hidden_for: float) -> None:
        message_id = delivery.message.message_id
        try:
            await delivery.hold.give_back(hidden_for)
        except StorageError as error:
            _logger.warning("Message %s of queue %s can't be given back: %s", message_id, self.queue, error)


@dataclass(frozen=True)
class _Delivery:
    message: QueueMessage
    hold: Hold
