"""Intake: what an instance does with the messages that have come, by rules 2, 3 and 7 of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from typing import assert_never

import msgspec

from perdure.core.actions import EntityCalled, LockRequested, SubOrchestrationScheduled, TaskScheduled, TimerCreated
from perdure.core.history import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    Outcome,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from perdure.core.messages import (
    AcquireLock,
    Completion,
    Completions,
    ControlMessage,
    Operate,
    RaiseEvent,
    ReleaseLock,
    Resume,
    Rewind,
    Start,
    Suspend,
    Sweep,
    Terminate,
    TimerDue,
    Wake,
)
from perdure.core.rewinding import is_inside_section
from perdure.core.state import Parent, State


class Verdict(Enum):
    """What becomes of a message."""

    CONSUME = auto()
    """It is news: the turn takes it in."""
    KNOWN = auto()
    """A turn has consumed it before, and may have died before it had sent everything."""
    REPEAT = auto()
    """Another copy of it is in this very batch: acknowledge it after that one's commit."""
    IRRELEVANT = auto()
    """Nothing will ever come of it. To be believed only on state read after the message arrived."""
    ADOPT = auto()
    """Its parent has been rewound and waits for it under another number."""
    EARLY = auto()
    """Its time has not come: put it back."""


class Intake(msgspec.Struct):
    """The verdicts on a batch, in its order, and the events the turn takes in."""

    verdicts: list[Verdict]
    events: list[Event]
    due: dict[str, datetime]
    """When the messages judged EARLY are due, by message id."""


class Circumstances(msgspec.Struct, frozen=True):
    """What is known of the instance besides its state."""

    execution_id: str
    execution: str
    pending: bool
    start_at: datetime | None
    now: datetime
    failed: bool = False
    parent: Parent | None = None


def take_in(
    state: State, batch: Sequence[ControlMessage], in_place: Sequence[Completion], circumstances: Circumstances
) -> Intake:
    """Judge a batch of messages and the outcomes of what ran in place.

    Args:
        state: the instance as the session knows it.
        batch: messages, in the order in which they came.
        in_place: outcomes of this generation's actions that the session has run itself.
        circumstances: see there.
    """
    taking = _Taking(state, circumstances)
    verdicts = [taking.judge(message) for message in batch]
    if not state.ended and not circumstances.pending:
        for completion in in_place:
            taking.take_outcome(completion)
    return Intake(verdicts, taking.events, taking.due)


class _Taking:
    def __init__(self, state: State, circumstances: Circumstances) -> None:
        self._state = state
        self._circumstances = circumstances
        self._ids: set[str] = set()
        self._closed: set[int] = set()
        self.events: list[Event] = []
        self.due: dict[str, datetime] = {}

    def judge(self, message: ControlMessage) -> Verdict:
        if self._state.knows(message.id):
            return Verdict.KNOWN
        if message.id in self._ids:
            return Verdict.REPEAT
        verdict = self._judge_news(message)
        if verdict is Verdict.CONSUME:
            self._ids.add(message.id)
        return verdict

    def _judge_news(self, message: ControlMessage) -> Verdict:
        its = self._circumstances
        if isinstance(message, Rewind):
            return self._rewind(message)
        if self._state.ended:
            return Verdict.IRRELEVANT
        if isinstance(message, Terminate):
            return self._terminate(message)
        if its.pending and its.start_at is not None and its.start_at > its.now:
            return self._early(message, its.start_at)
        match message:
            case Start():
                return (
                    Verdict.CONSUME if its.pending and message.execution_id == its.execution_id else Verdict.IRRELEVANT
                )
            case Completions():
                return self._completions(message)
            case TimerDue():
                return self._timer(message)
            case RaiseEvent():
                self.events.append(EventRaised(message.id, message.name, message.data))
                return Verdict.CONSUME
            case Suspend():
                self.events.append(ExecutionSuspended(message.id, message.reason))
                return Verdict.CONSUME
            case Resume():
                self.events.append(ExecutionResumed(message.id, message.reason))
                return Verdict.CONSUME
            case Operate() | AcquireLock() | ReleaseLock() | Wake() | Sweep():
                return Verdict.IRRELEVANT  # entities take these, but for the last one, which is no turn's business
            case _:
                assert_never(message)

    def _rewind(self, message: Rewind) -> Verdict:
        its = self._circumstances
        if message.execution_id != its.execution_id or _is_older(message.parent, its.parent):
            return Verdict.IRRELEVANT
        if its.failed and not is_inside_section(self._state.turns):
            return Verdict.CONSUME
        return Verdict.IRRELEVANT if message.parent is None else Verdict.ADOPT

    def _terminate(self, message: Terminate) -> Verdict:
        if message.execution_id not in (None, self._circumstances.execution_id):
            return Verdict.IRRELEVANT
        self.events.append(ExecutionTerminated(message.reason, message.recursive))
        return Verdict.CONSUME

    def _completions(self, message: Completions) -> Verdict:
        if message.execution != self._circumstances.execution:
            return Verdict.IRRELEVANT
        taken = [self.take_outcome(item) for item in message.items]
        return Verdict.CONSUME if any(taken) else Verdict.IRRELEVANT

    def _timer(self, message: TimerDue) -> Verdict:
        if message.execution != self._circumstances.execution or not self._is_open(message.no):
            return Verdict.IRRELEVANT
        if message.fire_at > self._circumstances.now:
            return self._early(message, message.fire_at)
        self.take_outcome(Completion(message.no))
        return Verdict.CONSUME

    def _early(self, message: ControlMessage, due: datetime) -> Verdict:
        self.due[message.id] = due
        return Verdict.EARLY

    def _is_open(self, no: int) -> bool:
        return no not in self._closed and self._state.open(no) is not None

    def take_outcome(self, completion: Completion) -> bool:
        """Turn an outcome into its event, unless action `no` is not waited for (any more)."""
        if not self._is_open(completion.no):
            return False
        self._closed.add(completion.no)
        self.events.append(_outcome(self._state, completion))
        return True


def _is_older(asking: Parent | None, known: Parent | None) -> bool:
    """Whether a parent has been rewound again since it asked for this: the numbers under which it waits only grow."""
    return asking is not None and known is not None and asking.execution == known.execution and asking.no < known.no


def _outcome(state: State, completion: Completion) -> Outcome:
    action = state.open(completion.no)
    no, failure = completion.no, completion.failure
    match action:
        case TaskScheduled():
            return TaskFailed(no, failure) if failure else TaskCompleted(no, completion.result)
        case SubOrchestrationScheduled():
            return SubOrchestrationFailed(no, failure) if failure else SubOrchestrationCompleted(no, completion.result)
        case TimerCreated():
            return TimerFired(no)
        case EntityCalled():
            return EntityOperationFailed(no, failure) if failure else EntityOperationCompleted(no, completion.result)
        case LockRequested():
            return EntityLockGranted(no)
        case None:
            raise AssertionError(f"action #{no} is not open")
        case _:
            assert_never(action)
