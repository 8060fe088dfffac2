"""State: the fold of an instance's turns into what the rules of the protocol need to know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import msgspec

from perdure.core.actions import (
    Action,
    Awaited,
    ChildTerminated,
    ContinuedAsNew,
    EntityCalled,
    EntitySignaled,
    EventSent,
    LockRequested,
    LocksReleased,
    OrchestrationCompleted,
    PatchMarked,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.history import (
    EntityLockGranted,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    Outcome,
    Turn,
)
from perdure.core.streams import Flow, Outflows

_OutlivingItsGeneration = (
    SubOrchestrationScheduled
    | EventSent
    | ChildTerminated
    | EntityCalled
    | EntitySignaled
    | LockRequested
    | LocksReleased
)
"""What is to be sent even if its generation has ended. Nothing may be missing in a stream to an entity."""

RECORDS_KEPT_FOR = timedelta(hours=1)
"""How long records of consumed messages outlive their generation (DESIGN.md, section 4, rule 2)."""
RECORDS_KEPT = 1_000
"""How many of them at most: an orchestration that continues as new many times a second would drown in them."""


class Parent(msgspec.Struct, frozen=True, array_like=True):
    """Who waits for a child orchestration."""

    instance_id: str
    execution: str
    no: int


class State:
    """One generation of an instance: its turns, what is open, and which messages it has seen.

    Mutable, because a live session adds a turn at every commit; `apply` is only called with turns that are durable.
    """

    def __init__(
        self,
        *,
        generation: int = 0,
        ended: bool = False,
        carried: Sequence[Turn] = (),
        waiting_events: Sequence[EventRaised] = (),
        suspended: bool = False,
        flows: Mapping[str, Flow] | None = None,
        turns: Iterable[Turn] = (),
    ) -> None:
        self.generation = generation
        self.ended = ended
        self.suspended = suspended
        self.began_suspended = suspended
        """The generation before was paused when it ended."""
        self.carried = list(carried)
        """Records of turns of earlier generations: what they consumed and what they still may have to send."""
        self.waiting_events = list(waiting_events)
        """Events that the generation before left unconsumed; the first turn takes them in."""
        self.began_with = dict(flows or {})
        """The streams to entities that the generation before has left."""
        self.outflows = Outflows(flows)
        self.unreleased: dict[int, LockRequested] = {}
        """The critical sections, entered or asked for, that have not been left, by the request's number."""
        self.entered: set[int] = set()
        """Those of them that have been entered."""
        self.turns: list[Turn] = []
        self._open: dict[int, Awaited] = {}
        self._naming: dict[str, list[Turn]] = defaultdict(list)
        self._holder: dict[str, str] = {}
        self._last_of: dict[str, str] = {}
        """The last commit of each session."""
        self._commits: set[str] = set()
        for record in self.carried:
            self._index(record)
        for turn in turns:
            self.apply(turn)

    def apply(self, turn: Turn) -> None:  # noqa: PLR0912 - a case for each action
        """Add a committed turn of this generation."""
        self.turns.append(turn)
        self._index(turn)
        self.suspended = self.suspended_after(turn.events)
        for event in turn.events:
            if isinstance(event, EntityLockGranted):
                self.entered.add(event.no)
            if isinstance(event, Outcome):
                self._open.pop(event.no, None)
            elif isinstance(event, ExecutionRewound):
                for no in event.renewed:
                    self._open.pop(no, None)
                    self.unreleased.pop(no, None)
                self.outflows.clear()
        for action in turn.actions:
            match action:
                case TaskScheduled() | TimerCreated() | SubOrchestrationScheduled():
                    self._open[action.no] = action
                case EntityCalled():
                    self._open[action.no] = action
                case LockRequested():
                    self._open[action.no] = self.unreleased[action.no] = action
                case LocksReleased():
                    self.unreleased.pop(action.no, None)
                case TimerCanceled():
                    self._open.pop(action.no, None)
                case OrchestrationCompleted():
                    self.ended = True
                case EventSent() | EntitySignaled() | ChildTerminated() | ContinuedAsNew() | PatchMarked():
                    pass
                case _:
                    assert_never(action)
        _note(self.outflows, turn.actions, turn.at)

    def outflows_after(self, actions: Sequence[Action], now: datetime) -> Outflows:
        """Return the streams to entities as they are once a turn that decides these actions is committed."""
        outflows = self.outflows.copy()
        _note(outflows, actions, now)
        return outflows

    def with_history(self, turns: Sequence[Turn]) -> State:
        """Return the state of the same generation with another history; it has not ended."""
        return State(
            generation=self.generation,
            carried=self.carried,
            waiting_events=self.waiting_events,
            suspended=self.began_suspended,
            flows=self.began_with,
            turns=turns,
        )

    @property
    def started(self) -> bool:
        """Whether this generation has had a turn with its orchestrator."""
        return any(turn.events for turn in self.turns)

    def suspended_after(self, events: Sequence[Event]) -> bool:
        """Return whether the orchestration is paused once it has taken in these events."""
        switches = [event for event in events if isinstance(event, ExecutionSuspended | ExecutionResumed)]
        return isinstance(switches[-1], ExecutionSuspended) if switches else self.suspended

    @property
    def awaited(self) -> Mapping[int, Awaited]:
        """The actions of this generation whose outcome is still awaited, by number."""
        return self._open

    def open(self, no: int) -> Awaited | None:
        """Return action `no` of this generation if its outcome is still awaited."""
        return self._open.get(no)

    def open_children(self) -> list[SubOrchestrationScheduled]:
        """Return the children that have not ended."""
        return [action for action in self._open.values() if isinstance(action, SubOrchestrationScheduled)]

    def open_in_place(self, turns: Sequence[Turn] | None = None) -> list[TaskScheduled | TimerCreated]:
        """Return what runs, or should run, at the session that answers for the instance: all of it, or what the given
        turns have scheduled. Activities are to run even if nobody waits for them any more because it has ended.
        """
        of = self.turns if turns is None else [turn for turn in turns if turn.generation == self.generation]
        return [
            action
            for turn in of
            for action in turn.actions
            if isinstance(action, TaskScheduled | TimerCreated)
            and not (self.ended and isinstance(action, TimerCreated))
            and action.placement == "here"
            and action.no in self._open
        ]

    def knows(self, message_id: str) -> bool:
        """Whether a turn has consumed this message."""
        return message_id in self._holder

    def holder(self, message_id: str) -> str | None:
        """Return the nonce of the session that consumed or took over this message last."""
        return self._holder.get(message_id)

    def unsettled_turns(self, message_id: str) -> list[Turn]:
        """Return the turns, oldest first, that consumed this message or had it as an anchor and that may have sends
        left. A session sends what a commit decided before it makes another: only its last commit can have any.
        """
        named = self._naming.get(message_id, [])
        return [turn for turn in named if self._last_of[turn.session] == turn.commit]

    def unsettled(self) -> list[Turn]:
        """Return all turns, oldest first, that may have sends left."""
        return [turn for turn in (*self.carried, *self.turns) if self._last_of[turn.session] == turn.commit]

    def turns_of_commit(self, commit: str) -> list[Turn]:
        """Return the turns (of this generation, and records of earlier ones) that a commit wrote."""
        if commit not in self._commits:
            return []
        return [turn for turn in [*self.carried, *self.turns] if turn.commit == commit]

    def records(self, ending: Turn, now: datetime) -> list[Turn]:
        """Return what the next generation must remember when `ending`, the last turn of this one, continues as new:
        the events it has seen, and of turns that may have sends left, those and all messages they answer for.
        """
        turns = [*self.carried, *self.turns, ending]
        last = {turn.session: turn.commit for turn in turns}
        records = [
            _record(turn, has_sends=last[turn.session] == turn.commit)
            for turn in turns
            if turn.at > now - RECORDS_KEPT_FOR
        ]
        return [record for record in records if record.consumed or record.actions][-RECORDS_KEPT:]

    def _index(self, turn: Turn) -> None:
        self._commits.add(turn.commit)
        self._last_of[turn.session] = turn.commit
        for message_id in turn.consumed:
            self._naming[message_id].append(turn)
            self._holder[message_id] = turn.session
        for message_id in turn.anchors:
            self._naming[message_id].append(turn)


def _note(outflows: Outflows, actions: Sequence[Action], at: datetime) -> None:
    """Take in which messages to entities the actions send."""
    for action in actions:
        match action:
            case EntityCalled():
                outflows.note(action.entity, action.place, at)
            case EntitySignaled() if action.due is None:
                outflows.note(action.entity, action.place, at)
            case LockRequested():
                outflows.note(action.entities[0], action.place, at)
            case LocksReleased():
                for entity, place in zip(action.entities, action.places, strict=False):
                    outflows.note(entity, place, at)
            case _:
                pass


def _record(turn: Turn, *, has_sends: bool) -> Turn:
    """Strip a turn, or a record that was made of one, to what must be known of it once its generation is over."""
    told = EventRaised | ExecutionSuspended | ExecutionResumed | ExecutionRewound
    raised = [event.id for event in turn.events if isinstance(event, told)]
    events: list[Event] = [EventRaised(message_id, "", None) for message_id in raised]
    consumed = [message_id for message_id in turn.consumed if message_id in raised]
    actions: list[Action] = []
    if has_sends:
        consumed = list(dict.fromkeys([*turn.consumed, *turn.anchors]))
        actions = [action for action in turn.actions if isinstance(action, _OutlivingItsGeneration)]
    return msgspec.structs.replace(turn, events=events, consumed=consumed, actions=actions)
