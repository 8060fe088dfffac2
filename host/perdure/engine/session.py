"""A session: one instance in the hands of one worker.

Data flows one way: messages come in -> proven duplicates drop out -> the orchestrator goes on -> the commit -> what it
sends -> what it runs in place -> acknowledgements. DESIGN.md, section 4, holds the rules and names the traps.

What if the process dies between any two lines of `_step`?
  before the commit        nothing has happened: the messages come again and are news again
  after it, before sends   the messages come again, are known, and what their turn sends is sent again
  before acknowledging     the same, and receivers find that all of it is there already
Only a message acknowledged too early would be lost, so the lines that acknowledge are the last ones of a step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from perdure.core.actions import OrchestrationCompleted, TaskScheduled
from perdure.core.history import Event, Turn
from perdure.core.intake import Circumstances, Intake, Verdict, take_in
from perdure.core.messages import ActivityCall, Completion, Rewind, WorkItem
from perdure.core.parked_reason import beside_parked
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.activities import lost
from perdure.engine.blocking import Blocking, Refusal
from perdure.engine.deleting import delete_remains
from perdure.engine.delivery import Inbound
from perdure.engine.executor import Execution
from perdure.engine.garbage import garbage_of
from perdure.engine.hand import Hand
from perdure.engine.in_hand import InHand
from perdure.engine.in_place import InPlace
from perdure.engine.journal import Change, Columns, Journal
from perdure.engine.placement import is_brief
from perdure.engine.services import Services
from perdure.engine.session_loop import SessionLoop
from perdure.engine.settling import Settling, judged_of
from perdure.engine.turns import Making, TurnMaker, take_over_record
from perdure.errors import NonDeterminismError, UnknownFunctionError, VersionMismatchError
from perdure.storage.protocol import Conflict, PayloadMissing
from perdure.storage.rows import Instance, Row

_log = logging.getLogger("perdure.sessions")

Outcomes = list[tuple[str, Completion]]


class Session(SessionLoop):
    """Moves one orchestration on. Arguments as for `SessionLoop`."""

    def __init__(self, services: Services, instance_id: str, closed: Callable[[Session], None]) -> None:
        super().__init__(services, instance_id, closed, services.turn_slots)
        self._journal = Journal(services.storage, instance_id, services.settings, services.notices)
        self._maker = TurnMaker(services)
        self._blocking = Blocking(services)
        self._in_place = InPlace(instance_id, services.runner, services.clock, self._wake)
        self._execution: Execution | None = None
        self._in_hand = InHand(self.nonce, self._journal)
        self._settling = Settling(services, self._journal)
        self._outcomes: Outcomes = []
        """Taken from what ran in place, in the step that is being made."""

    def adopt_new(self, row: Row, fresh_at: int) -> None:
        """Spare the first read: this process has just inserted the row. Ignored if the session has one."""
        if not self._loaded:
            self._journal.adopt_new(row, fresh_at)
            self._loaded = True

    def adopt_unborn(self, row: Row) -> bool:
        """Have the first commit insert the row. False if the session has begun to work on what may be there already."""
        if self._loaded or not self.idle:
            return False
        self._journal.adopt_new(Row(instance=row.instance, head=row.head), 0)
        self._loaded = True
        return True

    @property
    def instance(self) -> Instance | None:
        """The columns as this session knows them; None before it has read them, and if there is no such instance."""
        row = self._journal.row
        return row.instance if row is not None and row.etag else None

    # ---- the loop --------------------------------------------------------------------------------------------------

    @property
    def _hand(self) -> Hand:
        return self._in_hand

    @property
    def _has_work(self) -> bool:
        return bool(self._in_hand.waiting) or self._in_place.has_outcomes or self._must_begin

    @property
    def _runs_something(self) -> bool:
        return self._in_place.busy

    def _stop_running(self) -> None:
        self._in_place.abandon()

    def _undo_step(self) -> None:
        self._in_place.put_back(self._outcomes)

    @property
    def _must_begin(self) -> bool:
        """Whether a generation has been committed whose first turn is ours to run."""
        journal = self._journal
        if not self._in_hand.held or journal.row is None or journal.state.ended or journal.state.started:
            return False
        return journal.instance.status != OrchestrationRuntimeStatus.Pending

    async def _step(self) -> None:
        if not self._loaded:
            await self._reload()
            self._loaded = True
        batch = self._in_hand.take_batch()
        outcomes = self._outcomes = self._in_place.take()
        if self._journal.row is None:
            await self._step_without_row(batch)
            return
        intake = self._judge(batch, outcomes)
        news = [inbound for inbound, verdict in judged_of(batch, intake) if verdict is Verdict.CONSUME]
        if not (news or self._in_hand.held) and intake.events:
            await self._hand_over(outcomes)
            intake.events, outcomes = [], []
        commits = bool(news or intake.events or self._must_begin)
        if not commits and not self._believable(batch, intake):
            self._requeue(batch, outcomes)
            await self._reload()
            return
        if commits and not await self._turn(news, intake.events, outcomes):
            self._requeue(batch, outcomes)
            self._release()
            return
        known = [inbound for inbound, verdict in judged_of(batch, intake) if verdict is Verdict.KNOWN]
        await self._take_over([inbound for inbound in known if not inbound.is_mere_copy])
        unproven = await self._settling.settle(judged_of(batch, intake), intake)
        self._in_hand.put_back(unproven)
        self._release()
        if unproven:
            await self._reload()

    def _judge(self, batch: Sequence[Inbound], outcomes: Outcomes) -> Intake:
        journal, instance = self._journal, self._journal.instance
        circumstances = Circumstances(
            execution_id=instance.execution_id,
            execution=journal.execution,
            pending=instance.status == OrchestrationRuntimeStatus.Pending,
            start_at=instance.start_at,
            now=self._services.clock.now(),
            failed=instance.status == OrchestrationRuntimeStatus.Failed,
            parent=journal.sender.parent,
        )
        mine = [completion for execution, completion in outcomes if execution == journal.execution]
        return take_in(journal.state, [inbound.message for inbound in batch], mine, circumstances)

    def _believable(self, batch: Sequence[Inbound], intake: Intake) -> bool:
        """Rule 4, trap d: a message is dropped only on state read after it came. (A commit that succeeds proves as
        much: the state it was based on was current.)
        """
        return all(
            inbound.arrived < self._journal.fresh_at
            for inbound, verdict in judged_of(batch, intake)
            if verdict is Verdict.IRRELEVANT
        )

    async def _step_without_row(self, batch: list[Inbound]) -> None:
        if any(inbound.arrived > self._journal.fresh_at for inbound in batch):
            self._requeue(batch, [])
            await self._reload()
            return
        for inbound in batch:
            await self._settling.settle_without_row(inbound)
        self._in_hand.put_back([])
        self._release()

    # ---- a turn ----------------------------------------------------------------------------------------------------

    async def _turn(self, news: list[Inbound], events: Sequence[Event], outcomes: Outcomes) -> bool:
        """Run and commit a turn, then send what it decided. False if the race was lost: nothing has happened then."""
        making = self._making(news)
        rewind = next((inbound.message for inbound in news if isinstance(inbound.message, Rewind)), None)
        try:
            if rewind is not None:
                await self._services.dispatch.tell_entities(self._journal.state, self._journal.sender)
                made = await self._maker.rewind(self._journal, rewind, making)
            else:
                made = await self._maker.make(self._journal, self._execution, events, making)
        except (NonDeterminismError, UnknownFunctionError, VersionMismatchError) as error:
            self._execution = None
            stuck = news or (self._in_hand.held if self._must_begin else [])
            refusal = Refusal(error, [inbound.message for inbound in stuck])
            if not self._blocking.is_final(refusal):
                return await self._block(refusal, stuck, outcomes)
            made = await self._maker.fail(self._journal, events, making, error)
        except PayloadMissing:
            self._execution = None
            if not await self._reload():
                raise
            return False
        self._services.proven.add(self._journal.instance.name)
        if rewind is not None:
            made.change.parent = rewind.parent
        garbage = garbage_of(self._journal, made.change)
        written = await self._write(made.change)
        if written is None:
            return False
        self._execution = made.execution if written is made.change else None
        self._in_hand.hold(news)
        again = written is not made.change
        turns = made.turns if not again else self._journal.state.turns_of_commit(made.change.commit)
        await self._send(turns, again=again)
        if self._in_hand.held:
            self._start_in_place(turns)
        await self._settling.clean(garbage)
        if made.change.columns.status is OrchestrationRuntimeStatus.Failed:
            _tell_failure(self._journal.instance, turns)
        return True

    def _making(self, news: Sequence[Inbound]) -> Making:
        held = self._in_hand.held
        came = [inbound.arrived_at for inbound in (*held, *news)]
        age = (self._services.clock.now() - max(came)).total_seconds() if came else 0.0
        return Making(
            commit=self._services.new_id(),
            session=self.nonce,
            consumed=[inbound.message.id for inbound in news],
            anchors=[inbound.message.id for inbound in held],
            anchor_age=age,
        )

    async def _write(self, change: Change) -> Change | None:
        """Commit. Returns None if the race was lost; a copy if it was won at a try whose answer was lost (trap c), and
        the row may have moved on since.
        """
        try:
            await self._journal.commit(change)
        except Conflict:
            self._execution = None
            await self._reload()
            if self._journal.row is None:
                await delete_remains(self._services.storage, self.instance_id, self._services.clock.now())
                return None
            if not self._journal.state.turns_of_commit(change.commit):
                return None
            self._wrote = True
            return msgspec.structs.replace(change)
        self._wrote = True
        return change

    async def _send(self, turns: Sequence[Turn], *, again: bool) -> None:
        for turn in turns:
            await self._services.dispatch.send(turn, self._journal.state, self._journal.sender, again=again)

    def _start_in_place(self, turns: Sequence[Turn]) -> None:
        """Run what these turns, and not those of other sessions, have placed here."""
        journal = self._journal
        for action in journal.state.open_in_place(turns):
            self._in_place.start(journal.execution, action)

    async def _hand_over(self, outcomes: Outcomes) -> None:
        """Trap b: no message answers for a commit of ours any more, so the outcomes go the way of queued ones."""
        for execution, completion in outcomes:
            await self._services.dispatch.outcome(self.instance_id, execution, completion)

    async def _block(self, refusal: Refusal, stuck: Sequence[Inbound], outcomes: Outcomes) -> bool:
        """The orchestrator can't go on: say so in the row, and come back to it later.

        Messages that it has not taken in are put back, and so are outcomes of what ran in place: it does not run again
        for that, so its anchor is not put back.
        """
        reason = beside_parked(refusal.reason, self._journal.instance.reason)
        if self._journal.instance.reason != reason:
            _log.warning("instance '%s' waits: %s", self.instance_id, refusal.reason)
            columns = Columns(reason=reason)
            if await self._write(Change(commit=self._services.new_id(), turn=None, columns=columns)) is None:
                return False
        await self._blocking.put_back(self._journal, refusal, outcomes)
        self._in_hand.let_go(list(stuck))
        return True

    # ---- take-over -------------------------------------------------------------------------------------------------

    async def _take_over(self, known: list[Inbound]) -> None:
        """Trap a: messages that a turn has consumed have come again. Their session may have died with sends left, or
        live and hold them as anchors. A record of the take-over makes it lose its next race if it lives; then what
        those turns send and is not finished is sent again, and what runs in place runs here.
        """
        if not known:
            return
        making = self._making(known)
        now = self._services.clock.now()
        turn = take_over_record(self._journal, making, now)
        if await self._write(Change(commit=making.commit, turn=turn, columns=Columns())) is None:
            self._in_hand.waiting = [*known, *self._in_hand.waiting]
            return
        journal = self._journal
        self._in_hand.hold_again(known)
        turns = {id(each): each for inbound in known for each in journal.state.unsettled_turns(inbound.message.id)}
        await self._send(list(turns.values()), again=True)
        if self._in_hand.held:
            await self._run_or_fail_in_place(poisoned=any(inbound.poisoned for inbound in known))

    async def _run_or_fail_in_place(self, *, poisoned: bool) -> None:
        """Run what the session before us left in place; if that was this one, it runs already. An activity may be why
        its process has ended: of several each gets a work item of its own, so that the others do not share its fate; a
        lone one is run here, but if the anchor has used up its deliveries rule 6 makes it fail. One that only other
        workers have, in the middle of a deployment, goes to them through the queue, too, and so does one whose instance
        has ended without it.
        """
        journal, services = self._journal, self._services
        left = [
            action for action in journal.state.open_in_place() if not self._in_place.has(journal.execution, action.no)
        ]
        lone = sum(isinstance(action, TaskScheduled) for action in left) == 1 and not journal.state.ended
        queued: list[WorkItem] = []
        for action in left:
            if not isinstance(action, TaskScheduled):
                self._in_place.start(journal.execution, action)
            elif lone and poisoned:
                outcome = Completion(action.no, failure=lost(action.name, services.settings.max_deliveries))
                await services.dispatch.outcome(self.instance_id, journal.execution, outcome)
            elif lone and self._may_run_here(action.name):
                self._in_place.start(journal.execution, action)
            else:
                call = ActivityCall.of(action)
                queued.append(
                    WorkItem(instance_id=self.instance_id, execution=journal.execution, calls=[call], again=True)
                )
        await services.dispatch.work(queued)

    def _may_run_here(self, activity: str) -> bool:
        runner = self._services.runner
        return runner.knows(activity) and (not self._services.crowd.is_dense or is_brief(runner.durations.of(activity)))

    async def _reload(self) -> bool:
        """Rule 5: read the row anew and let go of anchors that another session has taken over. False if the row has not
        changed.
        """
        before = self._journal.row.etag if self._journal.row is not None else None
        self._execution = None
        await self._journal.load()
        self._in_hand.look_again()
        return (self._journal.row.etag if self._journal.row is not None else None) != before

    # ---- acknowledging ---------------------------------------------------------------------------------------------

    def _release(self) -> None:
        """Acknowledge, but for the newest message while something still runs in place: that one is the anchor. When the
        instance has ended, its timers are of no use any more, but its activities run to their end.
        """
        journal = self._journal
        if journal.state.ended:
            needed = self._in_place.runs_activities(journal.execution)
        else:
            needed = self._in_place.busy_with(journal.execution) or self._must_begin
        self._in_hand.release(keep=1 if needed and journal.row is not None else 0)

    def _requeue(self, batch: Sequence[Inbound], outcomes: Outcomes) -> None:
        self._in_hand.put_back(batch)
        self._in_place.put_back(outcomes)


def _tell_failure(instance: Instance, turns: Sequence[Turn]) -> None:
    for action in (action for turn in turns for action in turn.actions):
        if isinstance(action, OrchestrationCompleted):
            _log.warning("instance '%s' ('%s') failed: %s", instance.instance_id, instance.name, action.failure)
