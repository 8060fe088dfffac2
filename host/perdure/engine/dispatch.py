"""Dispatch: carries out what a committed turn sends. Every send may be repeated; receivers drop duplicates.

If the process dies between two sends, the messages that the turn consumed are still unacknowledged: they come again,
their turn is known, and all that it sends and is not finished is sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import assert_never

from perdure.core.failure import Failure
from perdure.core.history import Turn
from perdure.core.messages import (
    Completion,
    Completions,
    EntityRequest,
    RaiseEvent,
    Rewind,
    Start,
    Terminate,
    WorkItem,
)
from perdure.core.outbox import (
    Child,
    Post,
    Report,
    Sender,
    Work,
    execution_of,
    outcome_message_id,
    outgoing,
    start_message_id,
)
from perdure.core.state import RECORDS_KEPT_FOR, Parent, State
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.core.streams import RENEWED_AFTER
from perdure.engine.durations import Durations
from perdure.engine.journal import Journal
from perdure.engine.mail import Mail
from perdure.engine.payloads import PayloadDesk
from perdure.engine.placement import batches
from perdure.engine.replies import Replies
from perdure.engine.settings import EngineSettings
from perdure.engine.side_by_side import side_by_side
from perdure.engine.starting import InstanceIdTaken, Starting
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance, Row

_log = logging.getLogger("perdure.dispatch")


class Dispatch:
    """Sends for one worker."""

    def __init__(
        self,
        storage: Storage,
        settings: EngineSettings,
        mail: Mail,
        payloads: PayloadDesk,
        starting: Starting,
        *,
        durations: Durations | None = None,
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._mail = mail
        self._payloads = payloads
        self._starting = starting
        self._durations = durations or Durations()
        self._replies = Replies(mail, storage.max_message_bytes)
        self._clock = starting.clock

    async def send(self, turn: Turn, state: State, sender: Sender, *, again: bool) -> None:
        """Send what the turn decided and is not finished: first activities and children, side by side, then all else
        in its order, for it may be meant for those children.

        Args:
            turn: see `outgoing`.
            state: see `outgoing`.
            sender: see `outgoing`.
            again: it may have been sent before.
        """
        items = outgoing(turn, state, sender)
        if not items:
            return
        await self.work(self._work_items(turn, sender, [item for item in items if isinstance(item, Work)], again=again))
        await side_by_side(self._start_child, [item for item in items if isinstance(item, Child)])
        for item in items:
            match item:
                case Work() | Child():
                    pass
                case Post():
                    await self._mail.send(item.message, due=item.due)
                case Report():
                    await self._report(sender, turn, item)
                case _:
                    assert_never(item)

    def _work_items(self, turn: Turn, sender: Sender, work: Sequence[Work], *, again: bool) -> list[WorkItem]:
        free = batches([item.call for item in work if not item.pinned], self._durations.of)
        execution = execution_of(sender.execution_id, turn.generation)
        return [
            WorkItem(instance_id=sender.instance_id, execution=execution, calls=calls, again=again)
            for calls in (*free, *([item.call] for item in work if item.pinned))
        ]

    async def start(self, row: Row) -> None:
        """Queue the start message of an instance whose row has been inserted."""
        instance = row.instance
        message_id = start_message_id(instance.execution_id)
        message = Start(to=instance.instance_id, id=message_id, execution_id=instance.execution_id)
        await self._mail.send(message, due=instance.start_at)

    async def outcome(
        self, instance_id: str, execution: str, completion: Completion, *, delay: float = 0, tries: int = 0
    ) -> None:
        """Queue the outcome of an action to the instance that waits for it, to be delivered after so many seconds."""
        if not delay:
            await self._replies.send(instance_id, execution, [completion])
            return
        message_id = outcome_message_id(execution, completion.no)
        message = Completions(to=instance_id, id=message_id, execution=execution, items=[completion], tries=tries)
        await self._mail.send(message, delay=delay)

    async def outcomes(self, instance_id: str, execution: str, completions: list[Completion]) -> None:
        """Queue the outcomes of several actions to the instance that waits for them."""
        await self._replies.send(instance_id, execution, completions)

    async def work(self, items: Iterable[WorkItem], delay: float = 0) -> None:
        """Queue work items, to be delivered after so many seconds."""
        await side_by_side(partial(self._mail.send, delay=delay), items)

    async def _start_child(self, child: Child) -> None:
        action = child.action
        row = self._starting.row(
            action.instance_id,
            action.name,
            execution_id=action.execution_id,
            input_=action.input,
            version=action.version,
            parent=child.parent,
            tags=action.tags,
        )
        try:
            await self._starting.insert(row)
        except InstanceIdTaken as taken:
            if taken.row.instance.execution_id in action.earlier:
                await self._remind_child(child, taken.row.instance)
                return
            if not await self._take_place(taken, row, child):
                return
        message_id = start_message_id(action.execution_id)
        await self._mail.send(Start(to=action.instance_id, id=message_id, execution_id=action.execution_id))

    async def _remind_child(self, child: Child, there: Instance) -> None:
        """Its parent has been rewound since it was started: tell the child whom it answers to now; if it has failed, it
        is to go back, too.
        """
        parent = child.parent
        if not await self._is_awaited(parent):
            return  # an old story told again
        if there.status == OrchestrationRuntimeStatus.Pending:
            message_id = start_message_id(there.execution_id)
            await self._mail.send(Start(to=there.instance_id, id=message_id, execution_id=there.execution_id))
        await self._mail.send(
            Rewind(
                to=there.instance_id,
                id=f"{parent.execution}/rewind/{parent.no}",
                execution_id=there.execution_id,
                reason=f"its parent '{parent.instance_id}' has been rewound",
                parent=parent,
            )
        )

    async def _take_place(self, taken: InstanceIdTaken, row: Row, child: Child) -> bool:
        """Start a child whose id another execution has: in its place if that has ended. False if it can't be, and its
        parent has been told, or if the parent does not wait for it any more: this is then an old story told again.
        """
        from perdure.engine.succession import replace_ended  # it sends, too: the two need each other

        there = taken.row
        while there.instance.execution_id != row.instance.execution_id:
            if not await self._is_awaited(child.parent):
                return False
            if there.instance.status not in ENDED or not await self.farewell(there):
                failure = Failure("InstanceExistsError", str(InstanceIdTaken(there)))
                await self._tell(child.parent, Completion(child.action.no, failure=failure))
                return False
            if await replace_ended(self._storage, there, row):
                return True
            try:
                await self._starting.insert(row)
            except InstanceIdTaken as again:
                there = again.row
            else:
                return True
        return True

    async def _is_awaited(self, parent: Parent) -> bool:
        """Whether an action's outcome is awaited."""
        state = await self._state_of(parent)
        return state is not None and state.open(parent.no) is not None

    async def _has_a_parent_waiting(self, child: Instance, parent: Parent) -> bool:
        """Whether a child's outcome is awaited, be it under a number that the child does not know yet."""
        state = await self._state_of(parent)
        return state is not None and any(
            action.instance_id == child.instance_id and child.execution_id in (action.execution_id, *action.earlier)
            for action in state.open_children()
        )

    async def _state_of(self, parent: Parent) -> State | None:
        """Return the state of a generation that waits for children; None if it is over."""
        journal = Journal(self._storage, parent.instance_id, self._settings)
        await journal.load()
        if journal.row is None or journal.state.ended or journal.execution != parent.execution:
            return None
        return journal.state

    async def lost_child(self, message: Rewind) -> None:
        """Tell the parent that was rewound that the child it meant to rewind with it is gone."""
        if message.parent is not None:
            why = f"instance '{message.to}' was purged just when its parent was rewound: rewind the parent again"
            await self._tell(
                message.parent, Completion(message.parent.no, failure=Failure("InstanceNotFoundError", why))
            )

    async def farewell(self, ended: Row) -> bool:
        """Say once more what an ended instance may have left unsaid, before its row goes: its outcome to its parent,
        events, terminations, what entities are to know. Receivers drop what they know; events are repeated only while
        they are sure to.

        Returns False if the row must stay yet: its parent has not taken in the outcome, and would start it again.
        """
        instance = ended.instance
        recent = instance.completed_at is None or instance.completed_at > self._clock.now() - RECORDS_KEPT_FOR
        if instance.parent_id is None and not recent:
            return True
        journal = Journal(self._storage, instance.instance_id, self._settings)
        try:
            await journal.load()
        except (StoredDataError, PayloadMissing) as error:
            _log.warning("what instance '%s' has left unsaid is lost with it: %s", instance.instance_id, error)
            return True
        if journal.row is None or journal.row.etag != ended.etag:
            return True  # it has changed: the write that this prepares will fail
        for turn in journal.state.unsettled():
            for item in outgoing(turn, journal.state, journal.sender):
                if isinstance(item, Report):
                    await self._report(journal.sender, turn, item)
                elif isinstance(item, Post) and recent and isinstance(item.message, RaiseEvent | Terminate):
                    await self._mail.send(item.message)
        await self.tell_entities(journal.state, journal.sender)
        parent = journal.sender.parent
        return parent is None or not await self._has_a_parent_waiting(instance, parent)

    async def tell_entities(self, state: State, sender: Sender) -> None:
        """Say once more what recent turns may have left unsaid to entities, before they are forgotten: otherwise locks
        might stay, and what follows in the same streams would wait. What is older has been said by now; an entity may
        not remember it, and would take it in again.
        """
        for turn in state.unsettled():
            if turn.at <= self._clock.now() - RENEWED_AFTER:
                continue
            for item in outgoing(turn, state, sender):
                if isinstance(item, Post) and isinstance(item.message, EntityRequest):
                    await self._mail.send(item.message, due=item.due)

    async def report(self, state: State, sender: Sender) -> None:
        """Tell the parent once more how an ended instance has ended."""
        for turn in state.turns:
            for item in outgoing(turn, state, sender):
                if isinstance(item, Report):
                    await self._report(sender, turn, item)

    async def _report(self, sender: Sender, turn: Turn, report: Report) -> None:
        parent, completion = report.to, report.completion
        # under another number it is another payload: what is told under an old one is dropped, and its payload with it
        payload_id = f"{sender.execution_id}-{turn.generation}-output-{completion.no}"
        result = await self._payloads.hand_over(sender.instance_id, completion.result, parent.instance_id, payload_id)
        await self._tell(parent, Completion(completion.no, result, completion.failure))

    async def _tell(self, parent: Parent, completion: Completion) -> None:
        await self.outcome(parent.instance_id, parent.execution, completion)
