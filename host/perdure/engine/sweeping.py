"""Sweeping: large data that was stored for an instance and that nobody will ever name goes.

Whoever sends something large stores it for the receiver first, then commits, then sends. If it dies in between, what
it has stored stays. Neither its sender nor its receiver knows of it, and a queue can't be searched. But its id tells
when it was due (`overdue`); it is swept away if

1. it has been due for a week;
2. after that a sweep, itself a message to the instance, has come through the queue in which a message that names it
   would stand; and has come through it again a day later: a hub that was shut down for long has a day to catch up;
3. the instance's row does not name it then: what waits for a lock or for what was sent before it, state, history; and
   neither does a message that is parked.

What if the process dies between any two lines? A sweep is acknowledged last: it comes again, and does all of it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from perdure.core.codec import decode_message
from perdure.core.data import payload_of
from perdure.core.entity_id import is_entity_id
from perdure.core.messages import Overflow, Sweep
from perdure.engine.clock import Clock, NewId
from perdure.engine.entities.journal import EntityJournal
from perdure.engine.executor import datum_of
from perdure.engine.journal import Journal
from perdure.engine.mail import Mail
from perdure.engine.overdue import is_overdue
from perdure.engine.parking import Parking, PoisonMessage
from perdure.engine.payloads import payload_text
from perdure.engine.settings import EngineSettings
from perdure.errors import DataError, StoredDataError
from perdure.storage.protocol import PayloadMissing, Storage

WASTE_AFTER = timedelta(days=7)
"""How long after it was due something that nobody has taken in may be swept away. As long as a message stays hidden at
most.
"""
SECOND_PASS = timedelta(days=1)

_PAGE = 100

_log = logging.getLogger("perdure.sweeping")


class Sweeps:
    """Sends sweeps.

    Args:
        mail: queues them.
        clock: source of time.
        new_id: source of ids.
    """

    def __init__(self, mail: Mail, clock: Clock, new_id: NewId) -> None:
        self._mail = mail
        self.clock = clock
        self._new_id = new_id

    def are_due(self, payload_ids: Iterable[str]) -> bool:
        """Whether a sweep should look at an instance: some of its payloads have been due for long."""
        before = self.clock.now() - WASTE_AFTER
        return any(is_overdue(each, before) for each in payload_ids)

    async def begin(self, instance_id: str) -> None:
        """Send a sweep to an instance, or to an id that has no row."""
        before = self.clock.now() - WASTE_AFTER
        await self._mail.send(Sweep(to=instance_id, id=f"sweep/{self._new_id()}", before=before))


class Sweeping:
    """Carries sweeps out, for one worker.

    Args:
        storage: the hub's.
        mail: queues messages.
        sweeps: sends sweeps.
        parking: the hub's.
        settings: of the engine.
    """

    def __init__(
        self, storage: Storage, mail: Mail, sweeps: Sweeps, parking: Parking, settings: EngineSettings
    ) -> None:
        self._storage = storage
        self._mail = mail
        self._sweeps = sweeps
        self._parking = parking
        self._settings = settings

    async def look(self, instance_id: str) -> None:
        """Send a sweep if there is something for it to look at."""
        if self._sweeps.are_due(await self._storage.list_payloads(instance_id)):
            await self._sweeps.begin(instance_id)

    async def carry_out(self, sweep: Sweep) -> None:
        """Do what a sweep has come for: the first time that it come again, the second time that it sweep."""
        overdue = await self._overdue(sweep)
        if not overdue:
            return
        if not sweep.again:
            await self._mail.send(msgspec.structs.replace(sweep, again=True), delay=SECOND_PASS.total_seconds())
            return
        try:
            needed = await self._needed(sweep.to)
            parked = await self._parked()
        except (DataError, PayloadMissing) as error:
            _log.error("nothing of instance '%s' is swept away, since what it needs can't be told: %s", sweep.to, error)
            return
        waste = [each for each in overdue if each not in needed and each not in parked]
        if waste:
            await self._storage.delete_payloads(sweep.to, waste)
            _log.info("%d payloads that nobody has taken in are swept away: of '%s'", len(waste), sweep.to)

    async def _overdue(self, sweep: Sweep) -> list[str]:
        return [each for each in await self._storage.list_payloads(sweep.to) if is_overdue(each, sweep.before)]

    async def _needed(self, instance_id: str) -> set[str | None]:
        """Return the payloads that the row names now. Raises StoredDataError, PayloadMissing."""
        if is_entity_id(instance_id):
            return await self._needed_by_entity(instance_id)
        journal = Journal(self._storage, instance_id, self._settings)
        await journal.load()
        if journal.row is None:
            return set()
        instance, state = journal.instance, journal.state
        turns = [*state.carried, *state.turns]
        data = [instance.input, instance.output, instance.custom_status]
        data += [datum_of(event) for event in state.waiting_events]
        for turn in turns:
            data += [datum_of(event) for event in turn.events]
            data += [datum for action in turn.actions for datum in _data_of(action)]
        return {payload_of(datum) for datum in data}

    async def _needed_by_entity(self, entity: str) -> set[str | None]:
        journal = EntityJournal(self._storage, entity, self._settings)
        await journal.load()
        record = journal.record()
        data = [journal.state]
        data += [datum for request in record.queue for datum in _data_of(request)]
        data += [datum for early in record.early for datum in _data_of(early.request)]
        data += [datum for sent in record.sent for each in sent.sends for datum in _data_of(each)]
        return {payload_of(datum) for datum in data}

    async def _parked(self) -> str:
        """Return the text of all parked messages. Raises StoredDataError if one is damaged."""
        await self._parking.sweep(self._sweeps.clock.now())
        texts: list[str] = []
        continuation: str | None = None
        while True:
            page = await self._parking.page(None, _PAGE, continuation)
            for parked in page.messages:
                texts += await self._text_of(parked)
            continuation = page.continuation
            if continuation is None:
                return "\n".join(texts)

    async def _text_of(self, parked: PoisonMessage) -> list[str]:
        if not parked.queue:
            raise StoredDataError(f"poison message '{parked.id}': {parked.reason}")
        try:
            message = decode_message(parked.body)
            if isinstance(message, Overflow):
                return [parked.body, await payload_text(self._storage, message.owner, message.payload_id)]
        except (DataError, PayloadMissing):
            pass  # it names nothing that could be read, should it be sent again as it is
        return [parked.body]


def _data_of(thing: object) -> list[str | None]:
    """Return the data of an action, a request, something sent."""
    return [getattr(thing, name, None) for name in ("input", "data", "output")]
