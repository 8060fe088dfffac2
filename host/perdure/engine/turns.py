"""Making a commit out of the events of a turn: the orchestrator decides, large data moves out of the way, actions get
their place, and the row's columns follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from perdure.core.actions import (
    Action,
    ContinuedAsNew,
    EntityCalled,
    EntitySignaled,
    EventSent,
    OrchestrationCompleted,
    SubOrchestrationScheduled,
    TaskScheduled,
)
from perdure.core.critical_sections import with_releases
from perdure.core.data import to_json
from perdure.core.failure import failure_of
from perdure.core.history import Event, ExecutionStarted, Turn
from perdure.core.messages import Rewind
from perdure.core.outbox import execution_of
from perdure.core.parked_reason import parked_line
from perdure.core.replay import Decision
from perdure.core.rewinding import rewound
from perdure.core.state import State
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.core.termination import termination
from perdure.core.versions import VersionMatch, may_run
from perdure.engine.deleting import start_input_id
from perdure.engine.executor import Execution
from perdure.engine.journal import Change, Columns, Generation, Journal
from perdure.engine.payloads import PayloadDesk
from perdure.engine.placement import Situation, place
from perdure.engine.services import Services
from perdure.errors import VersionMismatchError
from perdure.storage.rows import Instance


class Making(msgspec.Struct, frozen=True):
    """Circumstances of a turn in the making."""

    commit: str
    session: str
    consumed: list[str]
    anchors: list[str]
    anchor_age: float
    """Seconds since the newest of those messages came."""


class Made(msgspec.Struct, frozen=True):
    """A turn ready to be committed."""

    change: Change
    turns: list[Turn]
    """Whose sends are due once the change is durable."""
    execution: Execution | None
    """The suspended orchestrator, standing behind the change; None if it has ended."""


_RUNS = {
    VersionMatch.NONE: "all versions",
    VersionMatch.STRICT: "that version",
    VersionMatch.CURRENT_OR_OLDER: "that version and older ones",
}


def _shown(version: str | None) -> str:
    return f"'{version}'" if version else "none"


class TurnMaker:
    """Makes the turns of one worker's sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def make(
        self, journal: Journal, execution: Execution | None, events: Sequence[Event], making: Making
    ) -> Made:
        """Let the orchestrator take in `events`.

        Args:
            journal: the instance.
            execution: its suspended orchestrator, or None to take it through its history first.
            events: what the turn takes in.
            making: see there.

        Raises:
            UnknownFunctionError, NonDeterminismError, VersionMismatchError: the orchestrator can't go on.
            PayloadMissing: a payload is gone: purged, or the journal is behind.
        """
        now = self._services.clock.now()
        if (actions := termination(journal.state, events)) is not None:
            return await self._end(journal, events, making, actions)
        events = _beginning(journal, events)
        if execution is None:
            execution = await self._open(journal.instance, journal.execution, journal.state)
        decision = await self._advance(journal.instance_id, execution, now, events)
        turn = await self._record(journal.instance, journal.state, events, decision, making)
        change = _change(journal.instance, journal.state, turn, decision, now)
        if change.generation is not None:
            return await self._next_generation(journal, turn, change, making)
        return Made(change, [turn], None if journal_ends(turn) else execution)

    async def rewind(self, journal: Journal, rewind: Rewind, making: Making) -> Made:
        """Have a failed orchestration go back to before what failed it, and on from there. Raises as `make`."""
        now = self._services.clock.now()
        past = rewound(journal.state.turns, rewind.id, rewind.reason)
        state = journal.state.with_history(past.kept)
        execution = await self._open(journal.instance, journal.execution, state)
        decision = await self._advance(journal.instance_id, execution, now, past.events)
        making = msgspec.structs.replace(making, consumed=[*past.consumed, *making.consumed])
        turn = await self._record(journal.instance, state, past.events, decision, making)
        change = _change(journal.instance, state, turn, decision, now)
        columns = change.columns
        if columns.status not in ENDED:
            columns.completed_at, columns.output, columns.failure = None, None, None
        change.history = past.kept
        if change.generation is not None:
            return await self._next_generation(journal, turn, change, making)
        return Made(change, [turn], None if journal_ends(turn) else execution)

    async def _open(self, instance: Instance, execution: str, state: State) -> Execution:
        if not self._may_run(instance):
            settings = self._services.settings
            raise VersionMismatchError(
                f"orchestration '{instance.name}' of instance '{instance.instance_id}' has version "
                f"{_shown(instance.version)}, but this worker has {_shown(settings.default_version)} and runs "
                f"{_RUNS[settings.version_match]} only. Deploy a worker that runs it."
            )
        return await self._services.executor.open(
            instance, execution, state.turns, suspended=state.began_suspended, flows=state.began_with
        )

    def _may_run(self, instance: Instance) -> bool:
        settings = self._services.settings
        if settings.default_version is None:
            return True
        return may_run(instance.version, settings.default_version, settings.version_match)

    async def fail(self, journal: Journal, events: Sequence[Event], making: Making, error: Exception) -> Made:
        """End the instance as failed, without its orchestrator."""
        failure = failure_of(error)
        last = OrchestrationCompleted(OrchestrationRuntimeStatus.Failed, to_json(str(failure)), failure)
        return await self._end(journal, events, making, [last])

    async def _end(self, journal: Journal, events: Sequence[Event], making: Making, actions: list[Action]) -> Made:
        now = self._services.clock.now()
        decision = Decision(at=now, actions=actions, custom_status=UNSET, unconsumed=[])
        turn = await self._record(journal.instance, journal.state, events, decision, making)
        return Made(_change(journal.instance, journal.state, turn, decision, now), [turn], None)

    async def _advance(
        self, instance_id: str, execution: Execution, now: datetime, events: Sequence[Event]
    ) -> Decision:
        decision = await execution.advance(now, events)
        if decision.custom_status is UNSET:
            return decision
        status = await self._services.payloads.offload(instance_id, decision.custom_status)
        return msgspec.structs.replace(decision, custom_status=status)

    async def _record(
        self, instance: Instance, state: State, events: Sequence[Event], decision: Decision, making: Making
    ) -> Turn:
        services = self._services
        execution = execution_of(instance.execution_id, state.generation)
        situation = Situation(
            now=services.clock.now(),
            anchor_age=making.anchor_age,
            anchor_budget=services.settings.anchor_budget,
            activities_free=services.runner.has_room,
            crowded=services.crowd.is_dense,
            short_timer=services.settings.short_timer,
            knows=services.runner.knows,
            estimate=services.runner.durations.of,
        )
        decided = with_releases(decision.actions, events, state, decision.at, execution)
        asked = [self._with_version(action) for action in decided]
        actions = place(await _offloaded(services.payloads, instance.instance_id, asked), situation)
        return Turn(
            commit=making.commit,
            session=making.session,
            generation=state.generation,
            at=decision.at,
            consumed=making.consumed,
            anchors=making.anchors,
            events=list(events),
            actions=actions,
        )

    def _with_version(self, action: Action) -> Action:
        """Give a child that is started without a version this worker's."""
        if isinstance(action, SubOrchestrationScheduled) and action.version is None:
            return msgspec.structs.replace(action, version=self._services.settings.default_version)
        return action

    async def _next_generation(self, journal: Journal, ending: Turn, change: Change, making: Making) -> Made:
        """Begin the next generation in the same commit, unless it continues as new at once: then with the next one,
        so that a loop of them can't grow a commit without bound.
        """
        assert change.generation is not None  # noqa: S101 - the caller's reason to call
        record = change.generation.carried[-1:]
        unstarted = Made(change, record, None)
        if change.generation.suspended:
            return unstarted
        generation = ending.generation + 1
        instance = msgspec.structs.replace(
            journal.instance,
            generation=generation,
            input=change.generation.input,
            version=change.generation.version,
        )
        if not self._may_run(instance):
            return unstarted
        state = State(generation=generation, flows=change.generation.flows)
        execution = await self._open(instance, execution_of(instance.execution_id, generation), state)
        events: list[Event] = [ExecutionStarted(), *change.generation.waiting_events]
        decision = await self._advance(journal.instance_id, execution, ending.at, events)
        if any(isinstance(action, ContinuedAsNew) for action in decision.actions):
            return unstarted
        anchors = list(dict.fromkeys([*making.consumed, *making.anchors]))
        second = msgspec.structs.replace(making, consumed=[], anchors=anchors)
        turn = await self._record(instance, state, events, decision, second)
        columns = _columns(turn, decision, self._services.clock.now())
        if columns.custom_status is UNSET:
            columns.custom_status = change.columns.custom_status
        columns.reason = None if columns.status in ENDED else change.columns.reason
        if columns.status not in ENDED:
            columns.completed_at = change.columns.completed_at
            columns.output, columns.failure = change.columns.output, change.columns.failure
        both = Change(commit=change.commit, turn=turn, columns=columns, generation=change.generation)
        return Made(both, [*record, turn], None if journal_ends(turn) else execution)


def take_over_record(journal: Journal, making: Making, now: datetime) -> Turn:
    """Return the record by which a session takes over messages that an earlier turn has consumed."""
    state = journal.state
    return Turn(
        commit=making.commit,
        session=making.session,
        generation=state.generation,
        at=now,
        consumed=making.consumed,
        anchors=making.anchors,
        events=[],
        actions=[],
    )


def journal_ends(turn: Turn) -> bool:
    """Whether the instance ends with this turn."""
    return any(isinstance(action, OrchestrationCompleted) for action in turn.actions)


def _beginning(journal: Journal, events: Sequence[Event]) -> list[Event]:
    """Put the start of a generation, and what waited for it, before its first events."""
    if journal.state.started:
        return list(events)
    return [ExecutionStarted(), *journal.state.waiting_events, *events]


def _columns(turn: Turn, decision: Decision, now: datetime) -> Columns:
    columns = Columns(updated_at=now, status=OrchestrationRuntimeStatus.Running, custom_status=decision.custom_status)
    last = turn.actions[-1] if turn.actions else None
    if isinstance(last, OrchestrationCompleted):
        columns.status = last.status
        columns.completed_at = now
        columns.output = last.output
        columns.failure = UNSET if last.failure is None else msgspec.json.encode(last.failure).decode()
    return columns


def _change(instance: Instance, state: State, turn: Turn, decision: Decision, now: datetime) -> Change:
    columns = _columns(turn, decision, now)
    suspended = state.suspended_after(turn.events)
    if columns.status is OrchestrationRuntimeStatus.Running and suspended:
        columns.status = OrchestrationRuntimeStatus.Suspended
    if instance.reason is not None:
        columns.reason = None if columns.status in ENDED else parked_line(instance.reason)
    last = turn.actions[-1] if turn.actions else None
    if not isinstance(last, ContinuedAsNew):
        return Change(commit=turn.commit, turn=turn, columns=columns)
    generation = Generation(
        input=last.input,
        version=last.new_version or instance.version,
        carried=state.records(turn, now),
        waiting_events=decision.unconsumed if last.save_events else [],
        suspended=suspended,
        flows=state.outflows_after(turn.actions, turn.at).recent(turn.at),
        ending=turn,
    )
    return Change(commit=turn.commit, turn=None, columns=columns, generation=generation)


async def _offloaded(payloads: PayloadDesk, owner: str, actions: Sequence[Action]) -> list[Action]:
    """Replace large data by references; each payload belongs to the instance that its datum is for."""
    light: list[Action] = []
    for action in actions:
        match action:
            case TaskScheduled() | ContinuedAsNew():
                light.append(msgspec.structs.replace(action, input=await payloads.offload(owner, action.input)))
            case SubOrchestrationScheduled():
                payload_id = start_input_id(action.execution_id)
                datum = await payloads.offload(action.instance_id, action.input, payload_id)
                light.append(msgspec.structs.replace(action, input=datum))
            case EntitySignaled():
                datum = await payloads.offload(action.entity, action.input, due=action.due)
                light.append(msgspec.structs.replace(action, input=datum))
            case EntityCalled():
                light.append(msgspec.structs.replace(action, input=await payloads.offload(action.entity, action.input)))
            case EventSent():
                datum = await payloads.offload(action.instance_id, action.data)
                light.append(msgspec.structs.replace(action, data=datum))
            case OrchestrationCompleted():
                light.append(msgspec.structs.replace(action, output=await payloads.offload(owner, action.output)))
            case _:
                light.append(action)
    return light
