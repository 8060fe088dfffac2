"""Eager starts: instances that begin in the process that starts them, with their start message as a safety net.

The message is queued hidden, and deleted when the session has settled; if the process dies it shows up, and whoever
receives it goes on. There are two ways:

* `begin` queues the message first and then inserts the row *with its first turn*, which is one request less. What if
  the process dies between any two of its lines? Before the insertion the message finds no instance: it is put back for
  a while, because the insertion may be under way, and dropped then; nothing was started, and whoever asked for it has
  had no answer. (An orchestrator that ends the process must be seen, though: only one that has had a turn here before
  begins in this way.) After the insertion the turn is known to have consumed the message: whoever receives it takes
  over. An insertion whose answer is lost is found by its commit id, as any commit is.
* `start` is for a row that is there: one that took the place of an ended instance, or found no room here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from perdure.core.messages import Start
from perdure.core.outbox import start_message_id
from perdure.engine.delivery import Delivery, Inbound, WorkerStopped, ticket
from perdure.engine.services import Services
from perdure.engine.session import Session
from perdure.engine.sessions import Sessions
from perdure.engine.tending import Hold, tend
from perdure.storage.rows import Row

_ROOM = 10
"""Instances that are begun here for each turn that may run at once: most of them wait for something most of the time.
Activities for which this worker has no place go through the queue, to all workers.
"""

_log = logging.getLogger("perdure.worker")


class EagerStarts:
    """Begins instances in one worker.

    Args:
        services: what its sessions share.
        sessions: its sessions.
    """

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._tending: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def has_room(self) -> bool:
        """Whether a new instance would be begun here."""
        services = self._services
        draining = self._stopped or services.runner.draining
        return not draining and self._sessions.active < _ROOM * services.settings.max_concurrent_orchestrators

    async def begin(self, row: Row) -> bool:
        """Begin an instance whose row has not been inserted yet.

        Returns False if that can't be done here and now, or if its id is in use: nothing has been started then.

        Raises:
            StorageUnavailable: whether it was started is unknown.
        """
        instance = row.instance
        if not self.has_room or instance.start_at is not None or instance.name not in self._services.proven:
            return False
        message, hold, delivery = await self._queue_hidden(row)
        session = self._sessions.of(instance.instance_id)
        if self._stopped or not isinstance(session, Session) or not session.adopt_unborn(row):
            await hold.delete()
            return False
        with self._services.notices.watch(
            instance.instance_id, lambda there: there.execution_id == instance.execution_id
        ) as born:
            session.offer(Inbound(message, delivery, self._services.clock.now()))
            tending = self._tend(hold, delivery)
            if await born.next(asyncio.wait({tending})) is not None:
                return True
        with suppress(WorkerStopped):  # if the row was inserted all the same, whoever inserts it now finds that
            await tending
        return False

    async def start(self, row: Row) -> None:
        """Begin an instance whose row has been inserted if there is room, or else queue its start message."""
        instance = row.instance
        if instance.start_at is None:
            session = self._sessions.of(instance.instance_id)
            if row.etag and isinstance(session, Session):
                session.adopt_new(row, ticket())  # whoever receives the message, it may well be this worker
        if instance.start_at is not None or not self.has_room:
            await self._services.mail.send(_message(row), due=instance.start_at)
            return
        message, hold, delivery = await self._queue_hidden(row)
        if self._stopped:
            delivery.give_back(WorkerStopped("this worker is shutting down"))
        else:
            session = self._sessions.of(instance.instance_id)
            session.offer(Inbound(message, delivery, self._services.clock.now()))
        self._tend(hold, delivery)

    async def stop(self, abandon: Callable[[], None]) -> None:
        """Begin nothing any more; once `abandon` has been called, wait until all messages are given back."""
        self._stopped = True
        abandon()
        if self._tending:
            await asyncio.wait(self._tending)

    async def _queue_hidden(self, row: Row) -> tuple[Start, Hold, Delivery]:
        services = self._services
        message = _message(row, safety_net=True)
        delay = services.settings.safety_net_delay
        sent = await services.mail.send(message, delay=delay)
        queue = services.mail.queue_of(message)
        hold = Hold(services.storage, queue, sent.message_id, sent.receipt, invisibility=delay)
        return message, hold, Delivery(sent.message_id)

    def _tend(self, hold: Hold, delivery: Delivery) -> asyncio.Task[None]:
        task = asyncio.create_task(tend(hold, delivery.settled))
        self._tending.add(task)
        task.add_done_callback(self._tended)
        return task

    def _tended(self, task: asyncio.Task[None]) -> None:
        self._tending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a start will be taken up by its safety net: %s", error)


def _message(row: Row, *, safety_net: bool = False) -> Start:
    instance = row.instance
    message_id = start_message_id(instance.execution_id)
    return Start(to=instance.instance_id, id=message_id, execution_id=instance.execution_id, safety_net=safety_net)
