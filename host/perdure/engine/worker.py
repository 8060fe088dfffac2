"""A worker: the engine of one process. Whatever receives messages hands them to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from perdure.core.entity_id import is_entity_id
from perdure.core.messages import ControlMessage, Overflow, Terminate, WorkItem
from perdure.engine.activities import ActivityRunner
from perdure.engine.clock import Clock, NewId, SystemClock, new_id
from perdure.engine.crowd import Crowd
from perdure.engine.damage import terminate_unread
from perdure.engine.delivery import Delivery, Inbound, WorkerStopped
from perdure.engine.dispatch import Dispatch
from perdure.engine.durations import Durations
from perdure.engine.eager import EagerStarts
from perdure.engine.entities.journal import EntityJournal
from perdure.engine.entities.performer import EntityPerformer
from perdure.engine.executor import InProcessExecutor
from perdure.engine.hub import HubQueues
from perdure.engine.journal import Journal
from perdure.engine.mail import Mail
from perdure.engine.notices import Notices
from perdure.engine.parking import Parking
from perdure.engine.payloads import PayloadDesk
from perdure.engine.registry import Registry
from perdure.engine.safety_net import SafetyNets
from perdure.engine.services import Services
from perdure.engine.sessions import Sessions
from perdure.engine.settings import EngineSettings
from perdure.engine.starting import Starting
from perdure.engine.suspects import Suspects
from perdure.engine.sweeping import Sweeping, Sweeps
from perdure.engine.watch import Watch
from perdure.engine.work import WorkDesk
from perdure.errors import DataError
from perdure.storage.protocol import PayloadMissing, Storage, StorageUnavailable
from perdure.storage.rows import Instance, Row
from perdure.streaming import StreamDesk

_FIRST_PATIENCE = 5.0
_LONGEST_PATIENCE = 120.0
_SECOND = 2
"""Delivery as which a message is tried that has come before."""

_log = logging.getLogger("perdure.worker")


class Worker:
    """Runs orchestrations and activities on a task hub.

    Args:
        storage: the hub's storage.
        registry: the app's functions.
        settings: limits and times.
        control_queues: how many control queues the hub has.
        clock: source of time.
        new_id: source of ids.
    """

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        settings: EngineSettings | None = None,
        *,
        control_queues: int = 1,
        clock: Clock | None = None,
        new_id: NewId = new_id,
    ) -> None:
        self.storage = storage
        self.registry = registry
        self.settings = settings or EngineSettings()
        self.clock: Clock = clock or SystemClock()
        self.new_id = new_id
        self.queues = HubQueues(storage.hub, control_queues)
        self.payloads = PayloadDesk(storage, new_id, self.clock)
        self.mail = Mail(storage, self.queues, self.clock, new_id)
        self.parking = Parking(storage, self.queues, self.mail, self.settings)
        self.starting = Starting(storage, self.clock, new_id)
        self.notices = Notices()
        self.watch = Watch(self.clock, self.settings.stuck_after)
        durations = Durations()
        sweeps = Sweeps(self.mail, self.clock, new_id)
        sweeping = Sweeping(storage, self.mail, sweeps, self.parking, self.settings)
        runner = ActivityRunner(
            registry,
            self.payloads,
            self.settings.max_concurrent_activities,
            durations=durations,
            watch=self.watch,
            streams=lambda: StreamDesk(storage, new_id),
        )
        dispatch = self.dispatch = Dispatch(
            storage, self.settings, self.mail, self.payloads, self.starting, durations=durations
        )
        self._runner = runner
        self._crowd = Crowd(self.settings.many_in_hand)
        self._performer = EntityPerformer(self.settings.max_concurrent_entities, new_id, self.watch)
        services = Services(
            storage=storage,
            settings=self.settings,
            clock=self.clock,
            new_id=new_id,
            mail=self.mail,
            payloads=self.payloads,
            starting=self.starting,
            dispatch=dispatch,
            executor=InProcessExecutor(registry, self.payloads, self.watch),
            runner=runner,
            turn_slots=asyncio.Semaphore(self.settings.max_concurrent_orchestrators),
            registry=registry,
            performer=self._performer,
            sweeping=sweeping,
            proven=set(),
            entity_slots=asyncio.Semaphore(self.settings.max_concurrent_entities),
            notices=self.notices,
            crowd=self._crowd,
        )
        self._sessions = Sessions(services)
        self._suspects = Suspects(storage, self.settings)
        self._work = WorkDesk(storage, self.settings, runner, dispatch)
        self._nets = SafetyNets(storage, self.mail, self.settings)
        self._eager = EagerStarts(services, self._sessions)
        self._stopped = False

    # ---- what deliverers call ------------------------------------------------------------------------------

    async def handle_control(self, body: str, message_id: str, dequeue_count: int = 1) -> None:
        """Process a message of a control queue. The message may be deleted when this returns, and must be delivered
        again when it raises.

        Args:
            body: its text.
            message_id: the queue's id of it, the same in each of its deliveries.
            dequeue_count: how often it has been delivered, this time included.
        """
        await self._patiently(self._handle_control(body, message_id, dequeue_count), dequeue_count)

    async def _handle_control(self, body: str, message_id: str, dequeue_count: int) -> None:
        message = await self._control_message(body)
        async with self._suspects.trials.beside(dequeue_count):
            with self._crowd.joined():
                await self._nets.under(message, self._offer(message, Delivery(message_id, dequeue_count)))

    async def handle_work(self, body: str, dequeue_count: int = 1) -> None:
        """Process a work item; see `handle_control`."""
        await self._patiently(self._handle_work(body, dequeue_count), dequeue_count)

    async def _handle_work(self, body: str, dequeue_count: int) -> None:
        if self._stopped:
            raise self._shutting_down
        item = await self._work_item(body)
        async with self._suspects.trials.beside(dequeue_count):
            await self._nets.under(item, self._work.handle(item, dequeue_count))

    # ---- what has used up its deliveries -----------------------------------------------------------------------

    async def handle_suspect_work(self, body: str, message_id: str = "", dequeue_count: int = 1) -> None:
        """A work item has used up its deliveries, or was only there when others ended their process: it is tried by
        itself, and given up if it does not survive that.

        Arguments as for `handle_control`; of the queue for poison messages, where it is now.
        """

        async def attempt() -> None:
            if self._stopped:
                raise self._shutting_down
            await self._work.handle(await self._work_item(body), _SECOND)

        async def condemn() -> None:
            await self._give_up_work(body, message_id, dequeue_count)

        judging = self._suspects.judge(body, self.queues.work, dequeue_count, attempt, condemn)
        await self._patiently(judging, dequeue_count)

    async def handle_suspect_control(self, body: str, message_id: str, dequeue_count: int = 1) -> None:
        """The same for a control message."""

        async def attempt() -> None:
            await self._offer(await self._control_message(body), Delivery(message_id, _SECOND))

        async def condemn() -> None:
            await self._give_up_control(body, message_id, dequeue_count)

        judging = self._suspects.judge(body, self.queues.control[0], dequeue_count, attempt, condemn)
        await self._patiently(judging, dequeue_count)

    async def handle_poisoned_work(self, body: str, message_id: str = "", dequeue_count: int = 1) -> None:
        """A work item has used up its deliveries: its activities fail. One that can't be dealt with is parked.

        Arguments as for `handle_control`; of the queue for poison messages, where it is now.
        """
        await self._patiently(self._give_up_work(body, message_id, dequeue_count), dequeue_count)

    async def _give_up_work(self, body: str, message_id: str, dequeue_count: int) -> None:
        reason = self._worn_out
        if dequeue_count < self.settings.max_deliveries:
            try:
                await self._work.give_up(await self._work_item(body), self.settings.max_deliveries)
            except (DataError, PayloadMissing) as error:
                reason = str(error)
            else:
                return
        await self.parking.park(body, message_id, self.queues.work, reason, self.clock.now())

    async def handle_poisoned_control(self, body: str, message_id: str, dequeue_count: int = 1) -> None:
        """A control message has used up its deliveries (rule 6).

        If it was the anchor of something in place, that fails. Otherwise the message is parked where an operator finds
        it, and the instance says so. Arguments as for `handle_poisoned_work`.
        """
        await self._patiently(self._give_up_control(body, message_id, dequeue_count), dequeue_count)

    async def _give_up_control(self, body: str, message_id: str, dequeue_count: int) -> None:
        reason, message = self._worn_out, None
        if dequeue_count < self.settings.max_deliveries:  # the host delivers it no more after that
            try:
                message = await self._control_message(body)
                if await self._answers_for_something(message):
                    await self._offer(message, Delivery(message_id), poisoned=True)
                    return
            except (DataError, PayloadMissing) as error:
                if message is not None and await self._terminated_unread(message):
                    return
                reason = str(error)
        await self.parking.park(body, message_id, self.queues.control[0], reason, self.clock.now())

    async def _terminated_unread(self, message: ControlMessage) -> bool:
        if not isinstance(message, Terminate) or is_entity_id(message.to):
            return False
        return await terminate_unread(self.storage, self.dispatch, self.clock, message)

    @property
    def _shutting_down(self) -> WorkerStopped:
        return WorkerStopped("this worker is shutting down")

    @property
    def _worn_out(self) -> str:
        return (
            f"it could not be processed in {self.settings.max_deliveries} deliveries; the log of the worker says why, "
            f"unless the process ended each time"
        )

    def in_hand(self, instance_id: str) -> Instance | None:
        """Return the columns of an orchestration that is at work here, as last read or committed; None of any other."""
        return self._sessions.in_hand(instance_id)

    # ---- starting in this process --------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether a new instance would be begun here."""
        return self._eager.has_room

    async def begin(self, row: Row) -> bool:
        """Begin an instance here whose row has not been inserted yet; see `EagerStarts.begin`."""
        return await self._eager.begin(row)

    async def start(self, row: Row) -> None:
        """Begin an instance here whose row has been inserted, or queue its start message; see `EagerStarts.start`."""
        await self._eager.start(row)

    # ---- life ----------------------------------------------------------------------------------------------

    async def create_hub(self) -> None:
        """Create the hub's tables, container and queues if they don't exist."""
        await asyncio.gather(self.storage.create(), *(self.storage.create_queue(queue) for queue in self.queues.all))

    def drain(self) -> None:
        """Begin nothing new in place: chains go on through the queue, on workers that stay."""
        self._runner.drain()

    async def stop(self) -> None:
        """Give everything back and stop; nothing is acknowledged that is not done."""
        self._stopped = True
        await self._eager.stop(lambda: self._sessions.abandon_all(self._shutting_down))
        self._runner.close()
        self._performer.close()
        self.watch.close()

    # ---- its own -------------------------------------------------------------------------------------------

    async def _patiently(self, work: Awaitable[None], dequeue_count: int) -> None:
        """Await `work`; if the store is away, hold on to the message for a while, longer each time it comes, before
        giving it back: an outage must not use up its deliveries.
        """
        try:
            await work
        except StorageUnavailable:
            await self.clock.sleep(min(_FIRST_PATIENCE * 2**dequeue_count, _LONGEST_PATIENCE))
            raise

    async def _offer(self, message: ControlMessage, delivery: Delivery, *, poisoned: bool = False) -> None:
        if self._stopped:
            raise self._shutting_down
        self._sessions.of(message.to).offer(Inbound(message, delivery, self.clock.now(), poisoned))
        await delivery.settled()

    async def _control_message(self, body: str) -> ControlMessage:
        message = await self.mail.open(body)
        if isinstance(message, WorkItem | Overflow):
            raise DataError(f"a work item is in a control queue of hub '{self.storage.hub}': {body[:200]}")
        return message

    async def _work_item(self, body: str) -> WorkItem:
        message = await self.mail.open(body)
        if not isinstance(message, WorkItem):
            raise DataError(f"a control message is in the work item queue of hub '{self.storage.hub}': {body[:200]}")
        return message

    async def _answers_for_something(self, message: ControlMessage) -> bool:
        """Whether a turn has consumed the message, so that nothing of it is left but what it anchors; or whether it is
        for an entity, which tells whoever waits for the operation.

        Raises:
            DataError: the instance can't be read.
            PayloadMissing: the same.
        """
        if is_entity_id(message.to):
            await EntityJournal(self.storage, message.to, self.settings).load()
            return True
        journal = Journal(self.storage, message.to, self.settings)
        await journal.load()
        state = journal.state
        return journal.row is not None and state.knows(message.id) and (state.ended or state.started)
