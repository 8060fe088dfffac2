"""Parking: messages that can't be processed are kept where an operator can list, show, retry and discard them.

A parked message is a payload of an owner that no instance can be: payloads can be listed and read by id, which queues
don't offer. Its id follows from the queue message, so that a process that dies on the way parks it once.

What if the process dies between any two lines?
  parking     the queue message is acknowledged last: it comes again and is parked under the same id
  retrying    the entry goes last but for what nothing refers to: the message is sent and still listed, and receivers
              drop one that is sent twice
  discarding  payloads go first, the entry last: it is still listed, and discarding it again does the rest
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from datetime import datetime

import msgspec

from perdure.core.codec import Message, decode_message
from perdure.core.messages import Overflow, WorkItem
from perdure.core.parked_reason import with_parked, without_parked
from perdure.core.status import ENDED
from perdure.engine.hub import HubQueues, poison_queue
from perdure.engine.mail import Mail
from perdure.engine.parked_payloads import payloads_of
from perdure.engine.settings import EngineSettings
from perdure.errors import DataError, PoisonMessageNotFoundError, StoredDataError
from perdure.storage.protocol import Conflict, PayloadDamaged, PayloadMissing, QueueMissing, Storage
from perdure.storage.rows import QueueMessage, RowUpdate

OWNER = "@Parked@messages"
"""Whose payloads they are. The name of an entity is in lower case in its id, and no orchestration has such an id."""
UNREADABLE = "Unreadable"

_ID = re.compile(r"[0-9a-f]{16}")
_AT_ONCE = 16
_SWEEP_BATCH = 32
_SWEEP_INVISIBILITY = 60.0

_log = logging.getLogger("perdure.poison")


class PoisonMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be processed, and is parked."""

    id: str
    """Names it where it is to be shown, sent again or discarded: 16 hexadecimal digits."""
    parked_at: datetime | None
    """When it was parked: aware, UTC. None if its entry is damaged."""
    reason: str
    """Why it is parked, for people."""
    kind: str
    """What it is: Start, RaiseEvent, Completions, WorkItem ... or Unreadable."""
    instance_id: str | None
    """The instance or entity that it is for; None if that can't be told."""
    queue: str
    """The queue that it came from."""
    body: str
    """Its text as it was in the queue."""


class PoisonPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the parked messages."""

    messages: list[PoisonMessage]
    """In the order of their ids."""
    continuation: str | None = None
    """Leads to the next page; None on the last one."""


_entries = msgspec.json.Decoder(PoisonMessage)


class Parking:
    """The parked messages of a hub.

    Args:
        storage: the hub's storage.
        queues: the hub's queues.
        mail: sends to them.
        settings: limits.
    """

    def __init__(self, storage: Storage, queues: HubQueues, mail: Mail, settings: EngineSettings) -> None:
        self._storage = storage
        self._queues = queues
        self._mail = mail
        self._settings = settings

    # ---- parking ---------------------------------------------------------------------------------------------------

    async def park(self, body: str, queue_message_id: str, queue: str, reason: str, at: datetime) -> PoisonMessage:
        """Keep a message, and have its instance say so. The queue message may be deleted when this returns.

        Args:
            body: its text.
            queue_message_id: the queue's id of it.
            queue: where it is to be sent to again, should it stay unreadable.
            reason: why, for people.
            at: the time.
        """
        kind, instance_id = await self._described(body)
        digest = hashlib.sha256(f"{queue}\0{queue_message_id}\0{body}".encode(errors="surrogatepass"))
        parked = PoisonMessage(
            id=digest.hexdigest()[:16],
            parked_at=at,
            reason=reason,
            kind=kind,
            instance_id=instance_id,
            queue=queue,
            body=body,
        )
        await self._storage.put_payload(OWNER, parked.id, msgspec.json.encode(parked))
        if instance_id is not None:
            await self._say(instance_id, parked.id, parked=True)
        whose = "" if instance_id is None else f" for instance '{instance_id}'"
        _log.error("a message (%s)%s is parked as '%s': %s", kind, whose, parked.id, reason)
        return parked

    async def sweep(self, at: datetime) -> None:
        """Park what the host has left in the queues for poison messages: it hands none of them out any more that it has
        handed out a few times, whatever came of that.

        Others that have to be taken out of a queue to get at these are given back; should this process die first they
        show up again by themselves.
        """
        for queue in self._queues.all:
            poison = poison_queue(queue)
            if not await self._has_left(poison):
                continue
            others: list[QueueMessage] = []
            for message in await self._visible(poison):
                if message.dequeue_count <= self._settings.max_deliveries:
                    others.append(message)
                    continue
                why = f"it was left in queue '{poison}': whoever received it there did not come to an end with it"
                await self.park(message.body, message.message_id, queue, why, at)
                await self._storage.delete_message(poison, message.message_id, message.receipt)
            for message in others:
                await self._storage.extend(poison, message.message_id, message.receipt, invisibility=0)

    async def _has_left(self, queue: str) -> bool:
        try:
            seen = await self._storage.peek(queue, count=_SWEEP_BATCH)
        except QueueMissing:
            return False  # none has ever been poisonous
        return any(message.dequeue_count >= self._settings.max_deliveries for message in seen)

    async def _visible(self, queue: str) -> list[QueueMessage]:
        found: list[QueueMessage] = []
        while some := await self._storage.receive(queue, count=_SWEEP_BATCH, invisibility=_SWEEP_INVISIBILITY):
            found += some
        return found

    async def _described(self, body: str) -> tuple[str, str | None]:
        """Return what a message is and whom it is for."""
        message: Message | None = None
        try:
            message = decode_message(body)
            message = await self._mail.open(body)
        except (DataError, PayloadMissing):
            return UNREADABLE, message.owner if isinstance(message, Overflow) else None
        return type(message).__name__, _receiver(message)

    async def _say(self, instance_id: str, message_id: str, *, parked: bool) -> None:
        """Write into the instance's row that a message is parked, or that it is so no longer."""
        while True:
            try:
                row = await self._storage.read(instance_id)
            except DataError as error:
                _log.error("instance '%s' can't say what is parked: %s", instance_id, error)
                return
            if row is None or row.instance.deleting:
                return
            instance = row.instance
            if parked and instance.status in ENDED:
                return
            reason = (with_parked if parked else without_parked)(instance.reason, message_id)
            if reason == instance.reason:
                return
            update = RowUpdate(updated_at=instance.updated_at, commit=instance.commit, reason=reason)
            try:
                await self._storage.merge(instance_id, row.etag, update)
            except Conflict:
                continue
            return

    # ---- looking ---------------------------------------------------------------------------------------------------

    async def page(self, instance_id: str | None, top: int, continuation: str | None) -> PoisonPage:
        """Return parked messages.

        Args:
            instance_id: only those for this instance; None means all.
            top: how many at most.
            continuation: that of the page before.
        """
        ids = [each for each in await self._storage.list_payloads(OWNER) if each > (continuation or "")]
        found: list[PoisonMessage] = []
        last = ""
        while ids and len(found) < top:
            count = min(_AT_ONCE, top - len(found))
            some, ids = ids[:count], ids[count:]
            last = some[-1]
            entries = await asyncio.gather(*(self._find(message_id) for message_id in some))
            found += [each for each in entries if each is not None and instance_id in (None, each.instance_id)]
        return PoisonPage(messages=found, continuation=last if ids else None)

    async def get(self, message_id: str) -> PoisonMessage:
        """Return a parked message. Raises PoisonMessageNotFoundError."""
        found = await self._find(message_id) if _ID.fullmatch(message_id) else None
        if found is None:
            raise PoisonMessageNotFoundError(
                f"task hub '{self._storage.hub}' has no poison message '{message_id}': look at the id; or it has been "
                f"sent again or discarded"
            )
        return found

    async def _find(self, message_id: str) -> PoisonMessage | None:
        try:
            return _entries.decode(await self._storage.get_payload(OWNER, message_id))
        except (PayloadDamaged, msgspec.MsgspecError) as error:
            return PoisonMessage(
                id=message_id,
                parked_at=None,
                reason=f"what is stored of this poison message is damaged: {error}",
                kind=UNREADABLE,
                instance_id=None,
                queue="",
                body="",
            )
        except PayloadMissing:
            return None

    # ---- sending again, discarding ---------------------------------------------------------------------------------

    async def retry(self, message_id: str) -> PoisonMessage:
        """Send a message again as new, and park it no longer.

        Raises:
            PoisonMessageNotFoundError: it is not parked.
            StoredDataError: its entry is damaged.
        """
        parked = await self.get(message_id)
        if not parked.queue:
            raise StoredDataError(f"poison message '{message_id}' can't be sent again, only discarded: {parked.reason}")
        try:
            message = await self._mail.open(parked.body)
        except (DataError, PayloadMissing):
            message = None
        if message is None or isinstance(message, Overflow):
            await self._send_as_it_is(parked)
            await self._forget(parked)
            return parked
        await self._mail.send(msgspec.structs.replace(message, tries=message.tries + 1))  # so that it is no mere copy
        await self._forget(parked)
        if isinstance(raw := decode_message(parked.body), Overflow):
            await self._storage.delete_payloads(raw.owner, [raw.payload_id])  # what was sent has another one
        return parked

    async def discard(self, message_id: str) -> PoisonMessage:
        """Delete a message and the payloads that only it refers to. Raises PoisonMessageNotFoundError."""
        parked = await self.get(message_id)
        for owner, payload_ids in (await payloads_of(parked.body, self._mail, self._storage, self._settings)).items():
            await self._storage.delete_payloads(owner, payload_ids)
        await self._forget(parked)
        return parked

    async def _send_as_it_is(self, parked: PoisonMessage) -> None:
        """Send what can't be read: a newer version of the app may be able to, or what was missing is there again."""
        try:
            await self._storage.send(parked.queue, parked.body)
        except QueueMissing:
            await self._storage.send(self._queues.control[0], parked.body)

    async def _forget(self, parked: PoisonMessage) -> None:
        if parked.instance_id is not None:
            await self._say(parked.instance_id, parked.id, parked=False)
        await self._storage.delete_payloads(OWNER, [parked.id])


def _receiver(message: Message) -> str:
    match message:
        case WorkItem():
            return message.instance_id
        case Overflow():
            return message.owner
        case _:
            return message.to
