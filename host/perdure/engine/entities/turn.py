"""A turn of an entity: operations are performed, and a commit is made of what comes of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from perdure.core.data import payload_of
from perdure.core.entities.admission import REMEMBERED, due_for_patience
from perdure.core.entities.agenda import Agenda
from perdure.core.entities.effects import OrchestrationBegun, SignalSent
from perdure.core.entities.performing import EntityDefinition, Outcome
from perdure.core.entities.record import Answer, Begin, Record, Send, Sent
from perdure.core.entity_id import EntityId
from perdure.core.failure import Failure, failure_of
from perdure.core.messages import Completion, Operate, Wake
from perdure.core.streams import Place
from perdure.engine.deleting import start_input_id
from perdure.engine.entities.journal import EntityChange, EntityJournal
from perdure.engine.entities.performer import Job
from perdure.engine.overdue import STATE
from perdure.engine.services import Services
from perdure.errors import PerdureError, UnknownFunctionError
from perdure.storage.protocol import PayloadMissing

_log = logging.getLogger("perdure.entities")
_SLACK = timedelta(seconds=1)
_SENDS_KEPT_FOR = timedelta(hours=1)
_LOST_AFTER = timedelta(minutes=15)
"""How long overdue a message must be to be taken for lost: parked, or gone with its queue."""
_LOOKED_FOR = timedelta(minutes=10)
"""How long a session that has had no answer to a commit may look for it; far longer than the transport tries."""


class Made(msgspec.Struct):
    """A turn ready to be committed."""

    change: EntityChange
    sends: list[Send]
    written: list[tuple[str, str]]
    """Payloads, each with its owner, that were stored for it: garbage if the race is lost."""
    garbage: list[str]
    """Payloads of the entity's that nothing refers to once it is committed."""


class Unfit(msgspec.Struct, frozen=True):
    """Operations that are not begun again, because that has been tried too often."""

    failure: Failure
    messages: frozenset[str]
    """Those that asked for them. If none of these is for now, they were held for operations that are: these fail."""

    def blames(self, operations: Sequence[Operate]) -> list[Operate]:
        """Return those of some operations that are to fail."""
        named = [operation for operation in operations if operation.id in self.messages]
        return named or list(operations)


class EntityTurnMaker:
    """Makes the turns of one entity.

    Args:
        services: what the sessions of a worker share.
        instance_id: the entity.
        journal: its row.
        session: nonce of the session.
    """

    def __init__(self, services: Services, instance_id: str, journal: EntityJournal, session: str) -> None:
        self._services = services
        self._instance_id = instance_id
        self._journal = journal
        self._session = session
        self._known: tuple[str | None, str | None] = (None, None)
        """The state's datum and its text, where it was read or written last."""
        given = EntityId.parse(instance_id)
        self.name = services.registry.entities.written(given.name)
        self.entity_id = EntityId(self.name, given.key)

    async def make(self, record: Record, now: datetime, *, settled: set[str], unfit: Unfit | None) -> Made:
        """Perform what can be performed, and return the commit.

        Args:
            record: the entity's, with new messages taken in; it is changed.
            now: the time.
            settled: commits of other sessions that need not be remembered any more: all they send has been sent.
            unfit: operations that fail instead of being performed.
        """
        services, journal = self._services, self._journal
        commit = services.new_id()
        life = journal.execution_id or commit
        agenda = Agenda(record, self._instance_id, life, now)
        operations = agenda.take_operations(services.settings.entity_batch)
        outcomes = await self._perform(operations, now, unfit)
        made = Made(EntityChange(commit, record, None, None, now, self.name, life), list(agenda.sends), [], [])
        for operation, outcome in zip(operations, outcomes, strict=True):
            await self._take(operation, outcome, agenda, made)
        agenda.finish()
        state = await self._state_after(outcomes, made)
        if operations:
            record.touched = now
        elif self._has_expired(record, now) and await self._leaves_nothing():
            state = None
        self._arm(record, now, life, made, exists=state is not None)
        record.sent = [*self._remembered(record, now, settled), Sent(commit, self._session, now, made.sends)]
        made.garbage += await self._former_states(state)
        made.change = EntityChange(commit, record, state, _shown(record), now, self.name, life)
        return made

    def is_removable(self, record: Record, now: datetime) -> bool:
        """Whether nothing is lost if the row goes."""
        settled = all(each.at < now - _SENDS_KEPT_FOR for each in record.sent)
        return (
            self._journal.row is not None
            and self._journal.state is None
            and settled
            and _is_idle(record)
            and not record.inflows
        )

    # ---- operations ------------------------------------------------------------------------------------------------

    async def _perform(self, operations: list[Operate], now: datetime, unfit: Unfit | None) -> list[Outcome]:
        if not operations:
            return []
        state = await self._state()
        try:
            definition = self._services.registry.entities.get(self.name)
        except UnknownFunctionError as error:
            return [Outcome(state, failure=failure_of(error))] * len(operations)
        blamed = [] if unfit is None else unfit.blames(operations)
        inputs = [
            unfit.failure if unfit is not None and operation in blamed else await self._input(operation)
            for operation in operations
        ]
        return await self._services.performer.perform(Job(definition, self.entity_id, state, operations, inputs, now))

    async def _input(self, operation: Operate) -> str | Failure | None:
        try:
            return await self._services.payloads.text(self._instance_id, operation.input)
        except PayloadMissing as missing:
            return failure_of(missing)

    async def _take(self, operation: Operate, outcome: Outcome, agenda: Agenda, made: Made) -> None:
        """Add to the turn what an operation sends."""
        made.garbage += _payloads([operation.input])
        if outcome.failure is not None:
            told = _told(outcome.failure)
            _log.warning("operation '%s' of entity '%s' failed: %s", operation.operation, self.entity_id, told)
        reply = operation.reply
        if reply is not None:
            result = await self._offload(reply.instance_id, outcome.result, made)
            made.sends.append(Answer(reply, Completion(reply.no, result, outcome.failure)))
        for effect in outcome.effects:
            if isinstance(effect, SignalSent):
                made.sends.append(await self._signal(effect, agenda, made))
            else:
                made.sends.append(await self._begin(effect, made))

    async def _signal(self, signal: SignalSent, agenda: Agenda, made: Made) -> Operate:
        data = await self._offload(signal.entity, signal.input, made, due=signal.due)
        place = agenda.place(signal.entity) if signal.due is None else Place(f"{self._services.new_id()}/at", 0)
        return Operate(
            to=signal.entity, id=str(place), place=place, operation=signal.operation, input=data, due=signal.due
        )

    async def _begin(self, begun: OrchestrationBegun, made: Made) -> Begin:
        execution_id = self._services.new_id()
        payload_id = start_input_id(execution_id)
        data = await self._offload(begun.instance_id, begun.input, made, payload_id)
        return Begin(begun.instance_id, begun.name, execution_id, data, begun.version, begun.start_at, begun.tags)

    async def _offload(
        self, owner: str, text: str | None, made: Made, payload_id: str | None = None, *, due: datetime | None = None
    ) -> str | None:
        datum = await self._services.payloads.offload(owner, text, payload_id, due=due)
        made.written += [(owner, each) for each in _payloads([datum])]
        return datum

    async def _state_after(self, outcomes: Sequence[Outcome], made: Made) -> str | None:
        """Return the state's datum after the operations; the present one if none has changed it."""
        if not outcomes:
            return self._journal.state
        after = outcomes[-1].state
        if after == await self._state():
            return self._journal.state
        datum = await self._offload(self._instance_id, after, made, f"{STATE}{self._services.new_id()}")
        self._known = datum, after
        return datum

    async def _former_states(self, state: str | None) -> list[str]:
        """Return the payloads of states that nobody will refer to once this turn is committed: the one before, and what
        sessions have stored that died before they could commit. One that lives and has stored a state by now loses its
        race to this commit, and stores another one; what is stored later is not listed here.
        """
        before, after = _payloads([self._journal.state]), _payloads([state])
        if not before and not after:
            return []
        there = await self._services.storage.list_payloads(self._instance_id, STATE)
        return [each for each in {*before, *there} if each not in after]

    async def _state(self) -> str | None:
        """Return the JSON text of the present state."""
        datum = self._journal.state
        if self._known[0] != datum:
            self._known = datum, await self._services.payloads.text(self._instance_id, datum)
        return self._known[1]

    # ---- what comes later ------------------------------------------------------------------------------------------

    @property
    def _definition(self) -> EntityDefinition | None:
        entities = self._services.registry.entities
        return entities.get(self.name) if self.name in entities else None

    def _expiry(self, record: Record) -> datetime | None:
        definition = self._definition
        if definition is None or definition.expires_after is None or record.touched is None:
            return None
        return record.touched + definition.expires_after

    def _has_expired(self, record: Record, now: datetime) -> bool:
        expiry = self._expiry(record)
        return expiry is not None and expiry <= now and _is_idle(record)

    async def _leaves_nothing(self) -> bool:
        definition = self._definition
        return definition is None or definition.before_expiry is None or await definition.before_expiry(self.entity_id)

    def _arm(self, record: Record, now: datetime, life: str, made: Made, *, exists: bool) -> None:
        """Have a message come when something is due next, unless one is under way that comes by then."""
        due = [due_for_patience(record.early, timedelta(seconds=self._services.settings.reorder_window))]
        if exists:
            due.append(self._expiry(record))
        elif _is_idle(record):
            due.append(now + REMEMBERED + _SLACK)
        nearest = min((each for each in due if each is not None), default=None)
        under_way = record.wake if record.wake is not None and record.wake.due > now - _LOST_AFTER else None
        if nearest is None or (under_way is not None and under_way.due <= nearest + _SLACK):
            return
        no = record.wakes
        record.wakes += 1
        record.wake = Wake(to=self._instance_id, id=f"{life}/wake/{no}", no=no, due=max(nearest, now + _SLACK))
        made.sends.append(record.wake)

    def _remembered(self, record: Record, now: datetime, settled: set[str]) -> list[Sent]:
        """Return the commits of other sessions that may have to be sent again, or looked for by sessions that have had
        no answer. This session's own has been sent by now.
        """
        others = [each for each in record.sent if each.session != self._session]
        kept = [msgspec.structs.replace(each, sends=[]) if each.commit in settled else each for each in others]
        return [each for each in kept if each.at > now - (_SENDS_KEPT_FOR if each.sends else _LOOKED_FOR)]


def _told(failure: Failure) -> str:
    """Return what the log says of a failure: where it was raised, unless the engine itself refused the operation."""
    if failure.stack is None or failure.is_a(PerdureError):
        return str(failure)
    return f"{failure}\n{failure.stack.rstrip()}"


def _is_idle(record: Record) -> bool:
    return not (record.queue or record.early or record.lock)


def _shown(record: Record) -> str | None:
    """Return what the row shows: None for an entity that nobody has locked and nothing waits for."""
    shown: dict[str, str | int] = {}
    if record.lock is not None:
        shown["lockedBy"] = record.lock.owner.instance_id
    if record.queue or record.early:
        shown["queueSize"] = len(record.queue) + len(record.early)
    return json.dumps(shown) if shown else None


def _payloads(data: Sequence[str | None]) -> list[str]:
    return [each for datum in data if (each := payload_of(datum)) is not None]
