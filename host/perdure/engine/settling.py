"""Settling: what becomes of messages that no turn takes in, and of what they leave in the store.

Only a message acknowledged too early would be lost: each is acknowledged by the last line that deals with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.core.intake import Intake, Verdict
from perdure.core.messages import ControlMessage, Rewind, Start, Sweep, Terminate
from perdure.engine.delivery import Inbound
from perdure.engine.garbage import Garbage
from perdure.engine.journal import Change, Columns, Journal
from perdure.engine.services import Services
from perdure.storage.protocol import Conflict

_TRIES_WITHOUT_ROW = 5
_DELAY_WITHOUT_ROW = 10.0

Judged = list[tuple[Inbound, Verdict]]


def judged_of(batch: Sequence[Inbound], intake: Intake) -> Judged:
    """Return the messages of a batch, each with its verdict."""
    return list(zip(batch, intake.verdicts, strict=True))


class Settling:
    """Settles for one session.

    Args:
        services: what the sessions of a worker share.
        journal: the instance.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    async def settle(self, judged: Judged, intake: Intake) -> list[Inbound]:
        """Acknowledge what has been dealt with. Returns messages to judge again: they look irrelevant, but nothing has
        been committed (the instance is blocked), so nothing proves that the state was current.
        """
        unproven: list[Inbound] = []
        consumed = [inbound.message for inbound, verdict in judged if verdict is Verdict.CONSUME]
        for inbound, verdict in judged:
            match verdict:
                case Verdict.EARLY:
                    await self._services.mail.send(inbound.message, due=intake.due[inbound.message.id])
                    inbound.delivery.acknowledge()
                case Verdict.REPEAT:
                    inbound.delivery.acknowledge()
                case Verdict.IRRELEVANT if inbound.arrived < self._journal.fresh_at:
                    await self._drop(inbound, consumed)
                case Verdict.IRRELEVANT:
                    unproven.append(inbound)
                case Verdict.ADOPT:
                    if not await self._adopt(inbound):
                        unproven.append(inbound)
                case Verdict.KNOWN if inbound.is_mere_copy:
                    inbound.delivery.acknowledge()
                case Verdict.CONSUME | Verdict.KNOWN:
                    pass
        return unproven

    async def settle_without_row(self, inbound: Inbound) -> None:
        """Deal with a message for an instance that does not exist."""
        if not await self._later(inbound):
            await self._drop(inbound, [])

    async def clean(self, garbage: Garbage) -> None:
        """Delete what nothing will read again."""
        if garbage.payloads:
            await self._services.storage.delete_payloads(self._journal.instance_id, garbage.payloads)
        if garbage.segments:
            await self._services.storage.delete_segments(self._journal.instance_id, garbage.segments)
        if garbage.looks:
            await self._look()

    async def _look(self) -> None:
        """Once a week an instance that continues as new looks what those have left that died while they worked on it:
        segments of earlier generations can't be named any more.
        """
        journal, storage = self._journal, self._services.storage
        present = f"{journal.state.generation:08d}"
        stored = await storage.list_segments(journal.instance_id)
        left = [name for name in stored if name < present and name not in journal.segments]
        if left:
            await storage.delete_segments(journal.instance_id, left)
        await self._services.sweeping.look(journal.instance_id)

    async def _later(self, inbound: Inbound) -> bool:
        """Put a message back that is for an execution whose row may be about to be inserted: by a worker that begins it
        together with its first turn, or by a parent that is terminated while it starts a child. False if it is not one,
        or has waited long enough.
        """
        message = inbound.message
        match message:
            case Start(safety_net=True, tries=tries) | Terminate(execution_id=str(), tries=tries):
                if tries >= _TRIES_WITHOUT_ROW:
                    return False
            case _:
                return False
        later = msgspec.structs.replace(message, tries=message.tries + 1)
        await self._services.mail.send(later, delay=_DELAY_WITHOUT_ROW)
        inbound.delivery.acknowledge()
        return True

    async def _adopt(self, inbound: Inbound) -> bool:
        """Answer to another parent from now on, and tell it the outcome if there is one. False if the race was lost.

        If the process dies in between, the message comes again, and the parent drops an outcome that it has.
        """
        message, journal = inbound.message, self._journal
        assert isinstance(message, Rewind)  # noqa: S101 - no other message is judged so
        if journal.sender.parent != message.parent:
            change = Change(commit=self._services.new_id(), turn=None, columns=Columns(), parent=message.parent)
            try:
                await journal.commit(change)
            except Conflict:
                return False
        if journal.state.ended:
            await self._services.dispatch.report(journal.state, journal.sender)
        inbound.delivery.acknowledge()
        return True

    async def _drop(self, inbound: Inbound, consumed: Sequence[ControlMessage]) -> None:
        await self.clean(Garbage.of_message(inbound.message, self._journal, consumed))
        if isinstance(inbound.message, Rewind):
            await self._services.dispatch.lost_child(inbound.message)
        elif isinstance(inbound.message, Sweep):
            await self._services.sweeping.carry_out(inbound.message)
        inbound.delivery.acknowledge()
