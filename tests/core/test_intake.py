"""What becomes of each kind of message, by the state of the instance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.actions import LockRequested, LocksReleased, OrchestrationCompleted, TaskScheduled, TimerCreated
from perdure.core.codec import (
    Head,
    decode_head,
    decode_message,
    encode_head,
    encode_message,
    head_in_segment,
    segment_of_head,
)
from perdure.core.failure import Failure
from perdure.core.history import (
    EntityLockGranted,
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    TaskFailed,
    Turn,
)
from perdure.core.intake import Circumstances, Verdict, take_in
from perdure.core.messages import RaiseEvent, Resume, Rewind, Start, Suspend, Terminate, TimerDue
from perdure.core.outbox import start_message_id
from perdure.core.state import Parent, State
from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.core.streams import Place
from perdure.errors import DataError
from tests.core.driving import NOON

LATER = NOON + timedelta(hours=1)


def here(**more):
    return Circumstances(
        **{"execution_id": "x", "execution": "x.0", "pending": False, "start_at": None, "now": NOON} | more
    )


def running(*actions):
    return State(turns=[Turn("c", "s", 0, NOON, ["x/start"], [], [ExecutionStarted()], list(actions))])


def ended(status=Status.Failed):
    return running(OrchestrationCompleted(status, "1"))


def verdict(state, message, **circumstances):
    intake = take_in(state, [message], [], here(**circumstances))
    return intake.verdicts[0], intake.events


START = Start(to="one", id="x/start", execution_id="x")
EVENT = RaiseEvent(to="one", id="e", name="go", data=None)
REWIND = Rewind(to="one", id="r", execution_id="x", reason="again")
BY_PARENT = Rewind(to="one", id="r", execution_id="x", reason="again", parent=Parent("p", "p.0", 1))


def test_what_failed_inside_a_critical_section_does_not_go_back_but_answers_to_its_new_parent():
    events = [ExecutionStarted(), EntityLockGranted(0)]
    request = LockRequested(0, ["@a@1"], Place("s", 0))
    entered = Turn("c", "s", 0, NOON, ["x/start"], [], events, [request, TaskScheduled(1, "a", None)])
    end = [LocksReleased(0, ["@a@1"], [Place("s", 1)]), OrchestrationCompleted(Status.Failed, "1", causes=[1])]
    failed = Turn("d", "s", 0, NOON, ["m"], [], [TaskFailed(1, Failure("ValueError", "x"))], end)
    state = State(turns=[entered, failed])
    assert verdict(state, REWIND, failed=True)[0] is Verdict.IRRELEVANT
    assert verdict(state, BY_PARENT, failed=True)[0] is Verdict.ADOPT


def test_a_start_is_for_its_pending_execution():
    assert start_message_id("x") == START.id
    assert verdict(State(), START, pending=True)[0] is Verdict.CONSUME
    assert verdict(State(), START, pending=True, execution_id="y")[0] is Verdict.IRRELEVANT
    assert verdict(running(), START)[0] is Verdict.KNOWN


@pytest.mark.parametrize("message", [START, EVENT, Suspend(to="one", id="s", reason="r")])
def test_nothing_begins_before_its_time(message):
    intake = take_in(State(), [message], [], here(pending=True, start_at=LATER))
    assert intake.verdicts == [Verdict.EARLY]
    assert intake.due == {message.id: LATER}
    assert verdict(State(), message, pending=True, start_at=NOON)[0] is Verdict.CONSUME


def test_an_instance_can_be_terminated_before_its_time():
    message = Terminate(to="one", id="t", reason="no")
    assert verdict(State(), message, pending=True, start_at=LATER)[0] is Verdict.CONSUME
    other = Terminate(to="one", id="t", reason="no", execution_id="y")
    assert verdict(running(), other)[0] is Verdict.IRRELEVANT


def test_events_and_pauses_are_recorded_as_they_come():
    assert verdict(running(), EVENT) == (Verdict.CONSUME, [EventRaised("e", "go", None)])
    suspended = verdict(running(), Suspend(to="one", id="s", reason="r"))
    assert suspended == (Verdict.CONSUME, [ExecutionSuspended("s", "r")])
    assert verdict(running(), Resume(to="one", id="u", reason="r")) == (Verdict.CONSUME, [ExecutionResumed("u", "r")])


@pytest.mark.parametrize(
    "message", [EVENT, Suspend(to="one", id="s", reason="r"), Terminate(to="one", id="t", reason="r")]
)
def test_an_ended_instance_takes_nothing_in(message):
    assert verdict(ended(), message) == (Verdict.IRRELEVANT, [])


def test_timers_that_come_early_or_for_nothing():
    state = running(TimerCreated(0, LATER), TaskScheduled(1, "a", None))
    message = TimerDue(to="one", id="x.0/done/0", execution="x.0", no=0, fire_at=LATER)
    assert verdict(state, message)[0] is Verdict.EARLY
    assert verdict(state, message, now=LATER)[0] is Verdict.CONSUME
    assert verdict(running(), message, now=LATER)[0] is Verdict.IRRELEVANT
    assert verdict(state, message, now=LATER, execution="x.1")[0] is Verdict.IRRELEVANT


def test_rewinds_are_for_failed_executions_and_for_children_of_rewound_parents():
    assert verdict(ended(), REWIND, failed=True)[0] is Verdict.CONSUME
    assert verdict(ended(Status.Completed), REWIND)[0] is Verdict.IRRELEVANT
    assert verdict(running(), REWIND)[0] is Verdict.IRRELEVANT
    assert verdict(ended(), REWIND, failed=True, execution_id="y")[0] is Verdict.IRRELEVANT
    assert verdict(ended(), BY_PARENT, failed=True)[0] is Verdict.CONSUME
    assert verdict(ended(Status.Completed), BY_PARENT)[0] is Verdict.ADOPT
    assert verdict(running(), BY_PARENT)[0] is Verdict.ADOPT


@pytest.mark.parametrize("failed", [True, False])
def test_what_a_parent_asked_for_before_it_was_rewound_again_is_over(failed):
    """Such a message may come late: answering it would leave the parent waiting for ever."""
    state = ended() if failed else running()
    later, earlier = Parent("p", "p.0", 2), Parent("p", "p.0", 0)
    assert verdict(state, BY_PARENT, failed=failed, parent=later)[0] is Verdict.IRRELEVANT
    expected = Verdict.CONSUME if failed else Verdict.ADOPT
    assert verdict(state, BY_PARENT, failed=failed, parent=earlier)[0] is expected
    assert verdict(state, BY_PARENT, failed=failed, parent=Parent("p", "q.0", 2))[0] is expected
    assert verdict(state, REWIND, failed=True, parent=later)[0] is Verdict.CONSUME


def test_the_last_commits_of_sessions_may_have_sends_left():
    first = Turn("c1", "s1", 0, NOON, ["a"], [], [], [])
    second = Turn("c2", "s2", 0, NOON, ["b"], [], [], [])
    third = Turn("c3", "s2", 0, NOON, ["c"], [], [], [])
    assert State(turns=[first, second, third]).unsettled() == [first, third]


def test_a_head_may_stand_elsewhere():
    assert segment_of_head(head_in_segment("00-head")) == "00-head"
    assert segment_of_head(encode_head(Head())) is None
    assert decode_head(b"") == Head()


def test_messages_travel_as_arrays():
    assert encode_message(EVENT).startswith("[")
    assert decode_message(encode_message(BY_PARENT)) == BY_PARENT
    with pytest.raises(DataError, match="can't be read as one of Perdure's"):
        decode_message('"\ud800"')


def test_another_history_of_the_same_generation():
    state = State(generation=2, suspended=True, waiting_events=[EventRaised("e", "go", None)], turns=ended().turns)
    other = state.with_history(state.turns[:0])
    assert (other.generation, other.ended, other.began_suspended, other.turns) == (2, False, True, [])
    assert other.waiting_events == state.waiting_events
