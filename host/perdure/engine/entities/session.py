"""The session of an entity: it takes messages in, performs operations, commits, sends, acknowledges.

What happens if the process dies between any two lines of a step: before the commit nothing has happened but what the
operations did outside, and all messages come again; after it the messages come again, are known, and whoever receives
one sends again what the row says that commits have sent. While something is left in the queue that could be carried
out, a message is held: it comes again too, and whoever receives it goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from perdure.core.data import payload_of
from perdure.core.entities.admission import Admission
from perdure.core.entities.agenda import can_go_on
from perdure.core.entities.record import Record
from perdure.core.failure import Failure
from perdure.core.intake import Verdict
from perdure.core.messages import ControlMessage, Sweep
from perdure.engine.blocking import delay_for_others, waited_for_function
from perdure.engine.deleting import delete_instance
from perdure.engine.delivery import Inbound
from perdure.engine.entities.dispatch import EntityDispatch
from perdure.engine.entities.journal import EntityJournal
from perdure.engine.entities.turn import EntityTurnMaker, Made, Unfit
from perdure.engine.hand import Hand
from perdure.engine.overdue import is_another_week
from perdure.engine.services import Services
from perdure.engine.session_loop import SessionLoop
from perdure.errors import UnknownFunctionError
from perdure.storage.protocol import Conflict, PayloadMissing

_log = logging.getLogger("perdure.entities")

Judged = Sequence[tuple[Inbound, Verdict]]


class EntitySession(SessionLoop):
    """Moves one entity on. Arguments as for `SessionLoop`."""

    def __init__(self, services: Services, instance_id: str, closed: Callable[[EntitySession], None]) -> None:
        super().__init__(services, instance_id, closed, services.entity_slots)
        self._journal = EntityJournal(services.storage, instance_id, services.settings)
        self._maker = EntityTurnMaker(services, instance_id, self._journal, self.nonce)
        self._dispatch = EntityDispatch(services)
        self._messages = Hand()
        self._alone = False
        """Whether no other session has changed the row since this one's last commit."""
        self._anchor: Inbound | None = None
        """The newest message that such a commit has taken in: whoever receives it finds what is left to do."""
        self._settled: set[str] = set()
        """Commits of other sessions whose sends this session has sent again."""

    @property
    def _hand(self) -> Hand:
        return self._messages

    @property
    def _has_work(self) -> bool:
        return bool(self._messages.waiting) or (bool(self._messages.held) and can_go_on(self._journal.committed))

    def _stop_running(self) -> None:
        """Nothing runs beside the loop."""

    def _undo_step(self) -> None:
        """A step takes nothing but messages."""

    async def _step(self) -> None:
        if not self._loaded:
            await self._load()
            self._loaded = True
        batch = self._messages.take_batch(self._services.settings.entity_batch)
        if await self._wait_for_deployment(batch):
            return
        services, journal = self._services, self._journal
        now = services.clock.now()
        record = journal.record()
        admission = Admission(record, now, timedelta(seconds=services.settings.reorder_window))
        judged = [(inbound, admission.judge(inbound.message)) for inbound in batch]
        if any(_needs_fresh_state(*each) and each[0].arrived > journal.fresh_at for each in judged):
            self._messages.put_back(batch)
            await self._load()
            return
        admission.finish()
        if any(verdict is Verdict.KNOWN and not inbound.is_mere_copy for inbound, verdict in judged):
            await self._send_again()
        news = any(verdict is Verdict.CONSUME for _, verdict in judged)
        if self._maker.is_removable(record, now):
            done = await self._remove()
        else:
            done = not (news or can_go_on(record)) or await self._turn(record, now, batch)
        if not done:
            self._messages.put_back(batch)
            if self._messages.held:  # by their newest receipts, perhaps: then nobody else answers for what was faster
                await self._send_again()
            self._release()
            return
        await self._settle(judged, admission)

    async def _remove(self) -> bool:
        """Delete the row. False if it has changed meanwhile: nothing has happened then."""
        row = self._journal.row
        removed = row is None or await delete_instance(self._services.storage, row)
        await self._load()
        return removed

    async def _turn(self, record: Record, now: datetime, batch: Sequence[Inbound]) -> bool:
        """Make and commit a turn. False if the race was lost: nothing has happened then."""
        try:
            made = await self._maker.make(record, now, settled=self._settled, unfit=self._unfit(batch))
        except PayloadMissing:
            if not await self._load():
                raise
            return False
        return await self._commit(made)

    async def _commit(self, made: Made) -> bool:
        """Commit a turn and send what it sends. False if the race was lost: nothing has happened then.

        A lost answer shows as a lost race, though the row bears our commit or, if it has moved on, remembers it
        (trap c).
        """
        services, journal = self._services, self._journal
        before = [] if journal.segment is None else [journal.segment]
        looks = self._looks(made)
        if looks:
            before += await services.storage.list_segments(self.instance_id)
        try:
            await journal.commit(made.change)
        except Conflict:
            await self._load()
            if not self._is_ours(made):
                await self._discard(made)
                return False
        else:
            self._alone = True
        self._wrote = True
        self._settled.clear()
        await self._dispatch.send(made.sends, self.instance_id, services.settings.default_version)
        if made.garbage:
            await services.storage.delete_payloads(self.instance_id, made.garbage)
        if before:
            await services.storage.delete_segments(
                self.instance_id, [each for each in before if each != journal.segment]
            )
        if looks:
            await services.sweeping.look(self.instance_id)
        return True

    def _looks(self, made: Made) -> bool:
        """Whether to look, once a week, what those have left that died while they worked on the entity, or sent it
        something. A session that has stored a segment by now, and lives, loses its race to this commit.
        """
        sent = self._journal.committed.sent
        return bool(sent) and is_another_week(sent[-1].at, made.change.at)

    async def _discard(self, made: Made) -> None:
        """Delete what was stored for a turn that has not come about."""
        storage = self._services.storage
        for owner, payload_id in made.written:
            await storage.delete_payloads(owner, [payload_id])
        if self._journal.stored is not None:
            await storage.delete_segments(self.instance_id, [self._journal.stored])

    async def _load(self) -> bool:
        """Read the row anew. False if it has not changed."""
        before = self._journal.row
        await self._journal.load()
        after = self._journal.row
        changed = (None if before is None else before.etag) != (None if after is None else after.etag)
        if changed:
            self._alone, self._anchor = False, None
        return changed

    def _is_ours(self, made: Made) -> bool:
        row, commit = self._journal.row, made.change.commit
        if row is None:
            return False
        return row.instance.commit == commit or any(sent.commit == commit for sent in self._journal.committed.sent)

    async def _send_again(self) -> None:
        """A message has come again: the session that took it in may have died with sends left."""
        for sent in self._journal.committed.sent:
            if sent.session != self.nonce and sent.commit not in self._settled:
                await self._dispatch.send(sent.sends, self.instance_id, self._services.settings.default_version)
                self._settled.add(sent.commit)

    async def _settle(self, judged: Judged, admission: Admission) -> None:
        """Acknowledge what has been dealt with, or hold it."""
        for inbound, verdict in judged:
            if verdict is Verdict.EARLY:
                await self._services.mail.send(inbound.message, due=admission.due[inbound.message.id])
            elif verdict is Verdict.IRRELEVANT:
                await self._drop(inbound)
            elif verdict is Verdict.KNOWN:
                await self._clean(inbound.message)
        self._messages.put_back([])
        if self._alone:
            consumed = [inbound for inbound, verdict in judged if verdict is Verdict.CONSUME]
            self._anchor = consumed[-1] if consumed else self._anchor
        done = [inbound for inbound, verdict in judged if verdict in (Verdict.CONSUME, Verdict.KNOWN)]
        self._messages.let_go([inbound for inbound, _ in judged if inbound not in done])
        self._messages.held += done
        self._release()

    def _release(self) -> None:
        """Acknowledge what is held, but for the anchor while something is left that can be carried out.

        One that has come again is none for sure: somebody may have received it later than we did, found nothing to do
        and deleted it, before something else was taken in. Without a sure one all are kept.
        """
        messages = self._messages
        if not can_go_on(self._journal.committed):
            messages.release(keep=0)
        elif self._anchor in messages.held:
            messages.let_go([each for each in messages.held if each is not self._anchor])

    async def _drop(self, inbound: Inbound) -> None:
        message = inbound.message
        if isinstance(message, Sweep):
            await self._services.sweeping.carry_out(message)
            return
        _log.warning("entity '%s' drops a message that means nothing to it: '%s'", self.instance_id, message.id)
        await self._clean(message)

    async def _clean(self, message: ControlMessage) -> None:
        """Delete the payload of a message, unless what it asks for is still to be done. Whoever has done it may have
        died before deleting it.
        """
        payload_id = payload_of(getattr(message, "input", None) or getattr(message, "data", None))
        if payload_id is None:
            return
        record = self._journal.committed
        if message.id not in {each.id for each in (*record.queue, *(early.request for early in record.early))}:
            await self._services.storage.delete_payloads(self.instance_id, [payload_id])

    async def _wait_for_deployment(self, batch: Sequence[Inbound]) -> bool:
        """If the app has no such entity, put messages back for a while: a deployment may bring it."""
        services = self._services
        try:
            services.registry.entities.get(self._maker.name)
        except UnknownFunctionError as error:
            return await self._put_back(batch, error)
        return False

    async def _put_back(self, batch: Sequence[Inbound], reason: UnknownFunctionError) -> bool:
        """Queue messages for later. False if that has been done often enough."""
        services = self._services
        patient = [each for each in batch if not waited_for_function(each.message.tries, services.settings)]
        if not patient or len(patient) < len(batch) or any(each.poisoned for each in batch):
            return False
        tries = max(inbound.message.tries for inbound in patient)
        for inbound in patient:
            message = inbound.message
            delay = delay_for_others(message.tries, services.settings)
            await services.mail.send(msgspec.structs.replace(message, tries=message.tries + 1), delay=delay)
        _log.warning(
            "entity '%s': %s. What is asked of it (%d) is put back for %g s: deploy it, or it will fail %g s "
            "after it came",
            self.instance_id,
            reason,
            len(patient),
            delay_for_others(tries, services.settings),
            services.settings.unknown_function_timeout,
        )
        self._messages.put_back([])
        self._messages.let_go(patient)
        return True

    def _unfit(self, batch: Sequence[Inbound]) -> Unfit | None:
        """Rule 6: an operation whose message has used up its deliveries probably ends its process."""
        poisoned = frozenset(inbound.message.id for inbound in batch if inbound.poisoned)
        if not poisoned:
            return None
        deliveries = self._services.settings.max_deliveries
        failure = Failure(
            "OperationLostError",
            f"the operation was begun {deliveries} times and never came to an end: it probably ends its process (out "
            f"of memory, a crash in native code, a time-out of the host). The host's log says more.",
        )
        return Unfit(failure, poisoned)


def _needs_fresh_state(inbound: Inbound, verdict: Verdict) -> bool:
    """Whether the verdict is to be believed only on state read after the message came."""
    return verdict is Verdict.IRRELEVANT or (verdict is Verdict.KNOWN and not inbound.is_mere_copy)
