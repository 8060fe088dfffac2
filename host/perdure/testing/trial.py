"""A trial: one orchestrator, taken through its turns with stubs for everything that it calls.

There is no storage, no queue and no event loop. What it calls answers at once, time passes only when nothing else is
left to do, and each turn is run a second time from history and compared.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from msgspec import UNSET

from perdure.core.actions import (
    Action,
    ContinuedAsNew,
    EntityCalled,
    EntitySignaled,
    EventSent,
    LockRequested,
    OrchestrationCompleted,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.data import from_json, to_json
from perdure.core.entities.effects import SignalSent
from perdure.core.entity_id import EntityId
from perdure.core.failure import Failure
from perdure.core.history import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    EventRaised,
    ExecutionStarted,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    Turn,
)
from perdure.core.outbox import execution_of
from perdure.core.replay import Orchestration
from perdure.core.state import Parent
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.executor import orchestration_of
from perdure.errors import PerdureError
from perdure.storage.rows import Instance
from perdure.testing.entity_run import EntityCall, signal_of
from perdure.testing.errors import StuckError
from perdure.testing.orchestrator_run import Call, OrchestratorRun, SentEvent, Timer
from perdure.testing.recorded_history import RecordedHistory
from perdure.testing.second_look import SecondLook
from perdure.testing.surroundings import Surroundings, new_instance

_HUB = "trial"


@dataclass(kw_only=True)
class GivenEvent:
    """An external event that the test gives."""

    name: str
    data: str | None
    at: datetime | None = None
    """None: as soon as nothing else is left to do."""


@dataclass
class _Generation:
    """What belongs to one generation of the orchestration."""

    instance: Instance
    execution: str
    live: Orchestration
    second: SecondLook | None
    turns: list[Turn] = field(default_factory=list)
    timers: dict[int, Timer] = field(default_factory=dict)
    due: list[tuple[datetime, int, Event]] = field(default_factory=list)
    """A heap of outcomes: their time, and the order in which they were asked for."""
    buffered: list[EventRaised] = field(default_factory=list)
    """The events that nobody had waited for when it ended."""


class Trial:
    """Runs one orchestrator.

    Args:
        surroundings: see there.
        instance: the new instance's columns.
        events: what the test gives.
        parent: who waits for it.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        instance: Instance,
        events: Iterable[GivenEvent] = (),
        parent: Parent | None = None,
    ) -> None:
        self._around = surroundings
        self._parent = parent
        self._now = instance.created_at
        self._given: deque[GivenEvent] = deque()
        self._dated: list[tuple[datetime, int, GivenEvent]] = []
        self._came: list[str] = []
        self._order = 0
        for event in events:
            self._expect(event)
        self._generation = self._begin(instance)
        self._custom_status: str | None = None
        self._run = OrchestratorRun(
            status=OrchestrationRuntimeStatus.Running,
            started_at=self._now,
            ended_at=self._now,
            history=self._recorded(),
        )

    def run(self, *, generations: int | None, may_wait: bool) -> OrchestratorRun:
        """Run to the end.

        Args:
            generations: how many at most; None runs until it ends.
            may_wait: return if it waits for something that never comes.

        Raises:
            StuckError: it waits for something that never comes.
            NonDeterminismError: a second run of a turn asks for something else.
            UnknownFunctionError: it calls something that has neither a stub nor a function.
        """
        events: list[Event] = [ExecutionStarted()]
        turns = 0
        while events:
            if turns == self._around.max_turns:
                raise PerdureError(
                    f"orchestrator '{self._name}' has had {turns} turns and has not ended: does it loop for ever? Give "
                    f"generations, or a larger max_turns"
                )
            turns += 1
            end = self._turn(events)
            if isinstance(end, OrchestrationCompleted):
                return self._completed(end)
            if end is not None:
                if self._run.generations == generations:
                    return self._continued(end)
                events = self._next_generation(end)
            else:
                events = self._what_comes_next()
        return self._waiting(may_wait=may_wait)

    @property
    def _name(self) -> str:
        return self._generation.instance.name

    # ---- turns -------------------------------------------------------------------------------------------------------

    def _begin(self, instance: Instance) -> _Generation:
        execution = execution_of(instance.execution_id, instance.generation)
        registry = self._around.registry

        def fresh() -> Orchestration:
            return orchestration_of(registry, instance, execution)

        second = SecondLook(instance.name, fresh) if self._around.check_replay else None
        return _Generation(instance, execution, fresh(), second)

    def _turn(self, events: list[Event]) -> OrchestrationCompleted | ContinuedAsNew | None:
        """Run a turn and everything that it asks for; return its end if it has come to one."""
        generation = self._generation
        decision = generation.live.advance(self._now, events, {})
        self._now = decision.at
        number = f"{generation.instance.generation}-{len(generation.turns)}"
        turn = Turn(number, _HUB, generation.instance.generation, decision.at, [], [], list(events), decision.actions)
        generation.turns.append(turn)
        self._run.actions += decision.actions
        if decision.custom_status is not UNSET:
            self._custom_status = decision.custom_status
        generation.buffered = decision.unconsumed
        if generation.second is not None:
            generation.second.at(turn)
        end: OrchestrationCompleted | ContinuedAsNew | None = None
        for action in decision.actions:
            if isinstance(action, OrchestrationCompleted | ContinuedAsNew):
                end = action
            else:
                self._carry_out(action)
        if end is not None and generation.second is not None:
            generation.second.at_the_end(generation.turns)
        return end

    def _carry_out(self, action: Action) -> None:
        match action:
            case TaskScheduled():
                self._call_activity(action)
            case SubOrchestrationScheduled():
                self._call_child(action)
            case EntityCalled():
                self._call_entity(action)
            case EntitySignaled():
                self._signal_entity(action)
            case LockRequested():
                self._run.critical_sections.append([EntityId.parse(entity) for entity in action.entities])
                self._schedule(self._now, EntityLockGranted(action.no))
            case TimerCreated():
                self._create_timer(action)
            case TimerCanceled():
                timer = self._generation.timers[action.no]
                timer.cancelled, timer.fired = True, False
            case EventSent():
                self._run.events_sent.append(SentEvent(action.instance_id, action.name, from_json(action.data)))
            case _:  # what is recorded only
                return

    def _what_comes_next(self) -> list[Event]:
        """Return what is due now; else the next event that the test gives; else what is due when time has passed."""
        events = self._due_now()
        if not events and self._given:
            return [self._raised(self._given.popleft())]
        while not events and (ahead := [heap[0][0] for heap in (self._dated, self._generation.due) if heap]):
            self._now = min(ahead)
            events = self._due_now()
        return events

    def _due_now(self) -> list[Event]:
        generation = self._generation
        events: list[Event] = []
        while self._dated and self._dated[0][0] <= self._now:
            events.append(self._raised(heapq.heappop(self._dated)[-1]))
        while generation.due and generation.due[0][0] <= self._now:
            event = heapq.heappop(generation.due)[-1]
            if isinstance(event, TimerFired):
                timer = generation.timers[event.no]
                if timer.cancelled:
                    continue
                timer.fired = True
            events.append(event)
        return events

    def _schedule(self, at: datetime, event: Event) -> None:
        self._order += 1
        heapq.heappush(self._generation.due, (at, self._order, event))

    def _expect(self, event: GivenEvent) -> None:
        self._order += 1
        if event.at is None:
            self._given.append(event)
        else:
            heapq.heappush(self._dated, (event.at, self._order, event))

    def _raised(self, given: GivenEvent) -> EventRaised:
        self._came.append(given.name)
        return EventRaised(f"event-{len(self._came)}", given.name, given.data)

    def _next_generation(self, end: ContinuedAsNew) -> list[Event]:
        before = self._generation
        kept = before.buffered if end.save_events else []
        self._run.generations += 1
        instance = msgspec.structs.replace(
            before.instance,
            generation=before.instance.generation + 1,
            input=end.input,
            version=end.new_version or before.instance.version,
        )
        self._generation = self._begin(instance)
        return [ExecutionStarted(), *kept]

    # ---- what it calls -----------------------------------------------------------------------------------------------

    def _call_activity(self, action: TaskScheduled) -> None:
        self._run.calls.append(Call(action.name, from_json(action.input)))
        me = self._generation
        outcome = self._around.activity(action, me.instance, me.execution)
        if isinstance(outcome, Failure):
            self._schedule(self._now, TaskFailed(action.no, outcome))
        else:
            self._schedule(self._now, TaskCompleted(action.no, outcome))

    def _call_entity(self, action: EntityCalled) -> None:
        call = EntityCall(EntityId.parse(action.entity), action.operation, from_json(action.input))
        self._run.entity_calls.append(call)
        outcome = self._around.entities.call(action, self._name, self._now)
        if isinstance(outcome, Failure):
            self._schedule(self._now, EntityOperationFailed(action.no, outcome))
        else:
            self._schedule(self._now, EntityOperationCompleted(action.no, outcome))

    def _signal_entity(self, action: EntitySignaled) -> None:
        sent = SignalSent(action.entity, action.operation, action.input, action.due)
        self._run.signals.append(signal_of(sent))
        self._around.entities.signal(sent, self._now)

    def _call_child(self, action: SubOrchestrationScheduled) -> None:
        self._run.sub_orchestrations.append(Call(action.name, from_json(action.input)))
        if self._around.is_stubbed(action.name):
            self._schedule(self._now, _child_outcome(action.no, self._around.sub_orchestration(action)))
        else:
            self._run_child(action)

    def _run_child(self, action: SubOrchestrationScheduled) -> None:
        self._around.check_orchestrator(action.name, self._name)
        me = self._generation
        instance = new_instance(
            action.instance_id,
            action.name,
            self._now,
            execution_id=action.execution_id,
            input_=action.input,
            version=action.version,
            parent_id=me.instance.instance_id,
        )
        parent = Parent(me.instance.instance_id, me.execution, action.no)
        trial = Trial(self._around, instance, parent=parent)
        run = trial.run(generations=None, may_wait=False)
        self._run.children.append(run)
        for at, sent in trial.sent_to(me.instance.instance_id):
            self._expect(GivenEvent(name=sent.name, data=sent.data, at=at))
        outcome = run.error if run.error is not None else to_json(run.output)
        self._schedule(run.ended_at, _child_outcome(action.no, outcome))

    def sent_to(self, instance_id: str) -> list[tuple[datetime, EventSent]]:
        """Return the events that the last generation has sent to an instance, and when."""
        return [
            (turn.at, action)
            for turn in self._generation.turns
            for action in turn.actions
            if isinstance(action, EventSent) and action.instance_id == instance_id
        ]

    def _create_timer(self, action: TimerCreated) -> None:
        timer = Timer(action.fire_at - self._now, action.fire_at)
        self._run.timers.append(timer)
        self._generation.timers[action.no] = timer
        self._schedule(action.fire_at, TimerFired(action.no))

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _completed(self, end: OrchestrationCompleted) -> OrchestratorRun:
        run = self._end(end.status)
        run.output, run.error = from_json(end.output), end.failure
        return run

    def _continued(self, end: ContinuedAsNew) -> OrchestratorRun:
        run = self._end(OrchestrationRuntimeStatus.ContinuedAsNew)
        run.next_input = from_json(end.input)
        return run

    def _waiting(self, *, may_wait: bool) -> OrchestratorRun:
        generation = self._generation
        if generation.second is not None:
            generation.second.at_the_end(generation.turns)
        run = self._end(OrchestrationRuntimeStatus.Running)
        events = generation.live.awaited_events
        run.waits_for = [f"external event '{name}'" for name in events] or [
            "a task that nothing will complete (a timer that it has cancelled?)"
        ]
        if may_wait:
            return run
        advice = "give it in events" if events else "mend the orchestrator"
        came = ", ".join(f"'{name}'" for name in self._came)
        raise StuckError(
            f"orchestrator '{self._name}' waits for {' or '.join(run.waits_for)}, and nothing else is left that could "
            f"happen: {advice}" + (f" (the events that came: {came})" if came else ""),
            run,
        )

    def _end(self, status: OrchestrationRuntimeStatus) -> OrchestratorRun:
        run = self._run
        run.status, run.ended_at = status, self._now
        run.custom_status = from_json(self._custom_status)
        self._around.entities.pass_time(self._now)
        run.entity_states = self._around.entities.states()
        run.entity_orchestrations = list(self._around.entities.begun)
        run.history = self._recorded()
        return run

    def _recorded(self) -> RecordedHistory:
        generation = self._generation
        return RecordedHistory(
            recorded_at=self._now,
            hub=_HUB,
            instance=generation.instance,
            parent=self._parent,
            turns=generation.turns,
        )


def _child_outcome(no: int, outcome: str | Failure) -> Event:
    if isinstance(outcome, Failure):
        return SubOrchestrationFailed(no, outcome)
    return SubOrchestrationCompleted(no, outcome)
