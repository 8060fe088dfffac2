"""The fold of turns, what intake makes of messages, and what the outbox sends."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest

from perdure.core.actions import (
    ChildTerminated,
    ContinuedAsNew,
    EventSent,
    OrchestrationCompleted,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.codec import (
    Head,
    decode_head,
    decode_message,
    decode_turns,
    encode_head,
    encode_message,
    encode_turns,
)
from perdure.core.failure import Failure
from perdure.core.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    TaskCompleted,
    TaskFailed,
    Turn,
)
from perdure.core.intake import Circumstances, take_in
from perdure.core.messages import ActivityCall, Completion, Completions, RaiseEvent, Start, Terminate, TimerDue
from perdure.core.outbox import Child, Post, Report, Sender, Work, outcome_message_id, outgoing
from perdure.core.state import RECORDS_KEPT, Parent, State
from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.core.termination import termination
from perdure.errors import DataError
from tests.core.driving import NOON, Driver, child_done, done, event, fired

HERE = Circumstances("x", "x.0", pending=False, start_at=None, now=NOON)
PENDING = Circumstances("x", "x.0", pending=True, start_at=None, now=NOON)
SENDER = Sender("one", "x", None)


COMMITS = itertools.count()


def turn(*entries, commit=None, session="s", generation=0, consumed=(), anchors=(), at=NOON):
    actions = [entry for entry in entries if type(entry).__module__.endswith("actions")]
    events = [entry for entry in entries if entry not in actions]
    return Turn(commit or f"c{next(COMMITS)}", session, generation, at, list(consumed), list(anchors), events, actions)


def started(*actions, **more):
    return turn(ExecutionStarted(), *actions, **{"consumed": ["x/start"]} | more)


def completions(*numbers, execution="x.0", message_id="d"):
    return Completions(to="one", id=message_id, execution=execution, items=[Completion(no, "1") for no in numbers])


# ---- the fold ------------------------------------------------------------------------------------------------


def test_what_is_scheduled_is_open_until_its_outcome_comes():
    state = State(turns=[started(TaskScheduled(0, "a", None), TimerCreated(1, NOON), TimerCreated(2, NOON))])
    assert state.started
    state.apply(turn(done(0), TimerCanceled(1)))
    assert [state.open(no) is not None for no in range(3)] == [False, False, True]
    state.apply(turn(fired(2), OrchestrationCompleted(Status.Completed, "1")))
    assert state.ended
    assert state.open(2) is None


def test_a_take_over_changes_the_holder_and_nothing_else():
    state = State(turns=[started(TaskScheduled(0, "a", None), session="first")])
    state.apply(turn(session="second", consumed=["x/start"]))
    assert state.knows("x/start")
    assert state.holder("x/start") == "second"
    assert state.open(0)
    assert state.holder("unknown") is None


def test_only_the_last_turn_of_a_session_can_have_sends_left():
    first, second = started(TaskScheduled(0, "a", None)), turn(done(0), anchors=["x/start"])
    state = State(turns=[first, second])
    assert state.unsettled_turns("x/start") == [second]
    assert State(turns=[first]).unsettled_turns("x/start") == [first]


def test_the_turns_of_a_commit_are_found_wherever_they_are():
    state = State(generation=1, carried=[turn(commit="k")], turns=[turn(commit="k", generation=1), turn(commit="l")])
    assert len(state.turns_of_commit("k")) == 2
    assert state.turns_of_commit("m") == []


def test_in_place_work_is_what_is_open_and_placed_here():
    actions = [TaskScheduled(0, "a", None, "here"), TaskScheduled(1, "b", None), TimerCreated(2, NOON, "here")]
    state = State(turns=[started(*actions)])
    assert [action.no for action in state.open_in_place()] == [0, 2]
    assert state.open_in_place([]) == []
    state.ended = True
    assert [action.no for action in state.open_in_place()] == [0], "nobody waits for a timer any more"


def test_records_keep_events_for_an_hour_through_many_generations():
    raised = EventRaised("m1", "go", "1")
    first = State(turns=[started(raised, consumed=["x/start", "m1"]), turn(done(0), consumed=["d"])])
    ending = turn(ContinuedAsNew("1"), anchors=["d"], consumed=["m2"])
    records = first.records(ending, NOON)
    second = State(generation=1, carried=records)
    assert [second.knows(each) for each in ("m1", "d", "m2", "x/start")] == [True, True, True, False]
    third = State(generation=2, carried=second.records(turn(session="t", generation=1, consumed=["m3"]), NOON))
    assert third.knows("m1")
    later = second.records(turn(generation=1, consumed=["m3"], at=NOON + timedelta(hours=2)), NOON + timedelta(hours=2))
    assert [record.consumed for record in later] == [["m3"]]


def test_both_turns_of_a_sessions_last_commit_can_have_sends_left():
    """A commit that continues as new holds the ending turn's record and the next generation's first turn."""
    ending = turn(EventSent(0, "two", "go", None), ContinuedAsNew("1"), commit="k", consumed=["m"])
    records = State(turns=[started(consumed=["x/start"])]).records(ending, NOON)
    first = started(EventSent(0, "two", "go", None), commit="k", generation=1, consumed=[], anchors=["m"])
    state = State(generation=1, carried=records, turns=[first])
    assert [each.generation for each in state.unsettled_turns("m")] == [0, 1]


def test_records_keep_pauses_too():
    ending = turn(ExecutionSuspended("p", "r"), ExecutionResumed("q", "r"), ContinuedAsNew("1"), consumed=["p", "q"])
    second = State(generation=1, carried=State().records(ending, NOON))
    third = State(generation=2, carried=second.records(turn(generation=1, consumed=["m"]), NOON))
    assert [third.knows(each) for each in ("p", "q", "m")] == [True, True, True]


def test_records_keep_the_sends_of_a_session_that_may_have_died():
    sends = [
        EventSent(0, "two", "go", None),
        ChildTerminated("three", "e", "stop"),
        SubOrchestrationScheduled(1, "c", "four", "e", None),
    ]
    dead = started(*sends, TaskScheduled(2, "a", None), session="dead")
    state = State(turns=[dead])
    records = state.records(turn(ContinuedAsNew("1"), session="alive", consumed=["m"]), NOON)
    assert records[0].actions == sends
    assert records[0].consumed == ["x/start"]


def test_records_are_bounded():
    turns = [turn(EventRaised(f"m{n}", "go", None), consumed=[f"m{n}"]) for n in range(RECORDS_KEPT + 50)]
    records = State(turns=turns).records(turn(ContinuedAsNew("1"), consumed=["last"]), NOON)
    assert len(records) == RECORDS_KEPT
    assert records[-1].consumed == ["last"]


# ---- intake --------------------------------------------------------------------------------------------------


def judge(state, *messages, here=HERE, in_place=()):
    intake = take_in(state, list(messages), list(in_place), here)
    return [verdict.name for verdict in intake.verdicts], intake


RUNNING = State(
    turns=[
        started(
            TaskScheduled(0, "a", None),
            TimerCreated(1, NOON + timedelta(seconds=5)),
            SubOrchestrationScheduled(2, "c", "two", "e", None),
        )
    ]
)
ENDED = State(turns=[started(OrchestrationCompleted(Status.Completed, None), consumed=["x/start"])])
START = Start(to="one", id="x/start", execution_id="x")


@pytest.mark.parametrize(
    ("state", "message", "here", "verdict"),
    [
        (State(), START, PENDING, "CONSUME"),
        (State(), Start(to="one", id="y/start", execution_id="y"), PENDING, "IRRELEVANT"),
        (RUNNING, START, HERE, "KNOWN"),
        (RUNNING, Start(to="one", id="y/start", execution_id="y"), HERE, "IRRELEVANT"),
        (RUNNING, completions(0), HERE, "CONSUME"),
        (RUNNING, completions(2), HERE, "CONSUME"),
        (RUNNING, completions(9), HERE, "IRRELEVANT"),
        (RUNNING, completions(0, execution="x.1"), HERE, "IRRELEVANT"),
        (ENDED, completions(0), HERE, "IRRELEVANT"),
        (ENDED, START, HERE, "KNOWN"),
        (RUNNING, RaiseEvent(to="one", id="m", name="go", data=None), HERE, "CONSUME"),
        (State(), RaiseEvent(to="one", id="m", name="go", data=None), PENDING, "CONSUME"),
        (ENDED, RaiseEvent(to="one", id="m", name="go", data=None), HERE, "IRRELEVANT"),
        (RUNNING, Terminate(to="one", id="m", reason="r"), HERE, "CONSUME"),
        (RUNNING, Terminate(to="one", id="m", reason="r", execution_id="y"), HERE, "IRRELEVANT"),
        (ENDED, Terminate(to="one", id="m", reason="r"), HERE, "IRRELEVANT"),
    ],
)
def test_verdicts(state, message, here, verdict):
    assert judge(state, message, here=here)[0] == [verdict]


def test_copies_in_one_batch_are_repeats():
    message = RaiseEvent(to="one", id="m", name="go", data="1")
    verdicts, intake = judge(RUNNING, message, message)
    assert verdicts == ["CONSUME", "REPEAT"]
    assert intake.events == [EventRaised("m", "go", "1")]


def test_two_outcomes_of_one_action_in_a_batch_count_once():
    verdicts, intake = judge(RUNNING, completions(0, message_id="p"), completions(0, message_id="q"))
    assert verdicts == ["CONSUME", "IRRELEVANT"]
    assert intake.events == [TaskCompleted(0, "1")]


def test_an_outcome_in_place_counts_unless_a_message_brought_it():
    failure = Failure("E", "m")
    assert judge(RUNNING, in_place=[Completion(0, failure=failure)])[1].events == [TaskFailed(0, failure)]
    assert judge(RUNNING, completions(0), in_place=[Completion(0, "2")])[1].events == [TaskCompleted(0, "1")]
    assert judge(ENDED, in_place=[Completion(0, "2")])[1].events == []


def test_a_timer_that_comes_early_is_put_back():
    due = NOON + timedelta(seconds=5)
    message = TimerDue(to="one", id="t", execution="x.0", no=1, fire_at=due)
    verdicts, intake = judge(RUNNING, message)
    assert verdicts == ["EARLY"]
    assert intake.due == {"t": due}
    late = Circumstances("x", "x.0", pending=False, start_at=None, now=due)
    assert judge(RUNNING, message, here=late)[1].events == [fired(1)]


def test_nothing_starts_an_instance_before_its_time_but_it_can_be_terminated():
    due = NOON + timedelta(hours=1)
    later = Circumstances("x", "x.0", pending=True, start_at=due, now=NOON)
    assert judge(State(), START, here=later)[0] == ["EARLY"]
    verdicts, intake = judge(State(), Terminate(to="one", id="m", reason="r"), here=later)
    assert verdicts == ["CONSUME"]
    assert intake.events == [ExecutionTerminated("r")]


# ---- the outbox ----------------------------------------------------------------------------------------------


def test_a_turn_sends_what_is_open_and_not_in_place():
    actions = [
        TaskScheduled(0, "a", "1"),
        TaskScheduled(1, "b", "2", "here"),
        TimerCreated(2, NOON),
        TimerCreated(3, NOON),
        TimerCanceled(3),
        SubOrchestrationScheduled(4, "c", "two", "e", None),
        EventSent(5, "three", "go", "3"),
        ChildTerminated("four", "e4", "stop"),
    ]
    state = State(turns=[started(*actions)])
    sends = outgoing(state.turns[0], state, SENDER)
    assert [type(send.message).__name__ for send in sends if isinstance(send, Post)] == [
        "TimerDue", "RaiseEvent", "Terminate",
    ]  # fmt: skip
    assert [send for send in sends if isinstance(send, Child)] == [Child(actions[5], Parent("one", "x.0", 4))]
    assert [send for send in sends if isinstance(send, Work)] == [Work(ActivityCall(0, "a", "1"))]
    state.apply(turn(done(0), fired(2), done(4)))
    assert len(outgoing(state.turns[0], state, SENDER)) == 2


def test_message_ids_are_the_same_each_time():
    state = State(turns=[started(TimerCreated(0, NOON), EventSent(1, "two", "go", None))])
    first, second = (outgoing(state.turns[0], state, SENDER) for _ in range(2))
    assert first == second
    assert [send.message.id for send in first] == ["x.0/done/0", "x.0/event/1"]


@pytest.mark.parametrize(
    ("numbers", "named"),
    [([3], "3"), ([3, 4, 5], "3-5"), ([1, 3, 4, 9], "1,3-4,9"), ([7, 6], "7,6"), ([0, 1], "0-1")],
)
def test_a_message_with_several_outcomes_names_them_all(numbers, named):
    assert outcome_message_id("x.0", *numbers) == f"x.0/done/{named}"


def test_the_sends_of_an_older_generation_are_its_messages_only():
    record = turn(TaskScheduled(0, "a", None), TimerCreated(1, NOON), EventSent(2, "two", "go", None))
    sends = outgoing(record, State(generation=1, carried=[record]), SENDER)
    assert [send.message.id for send in sends] == ["x.0/event/2"]


@pytest.mark.parametrize(
    ("end", "completion"),
    [
        (OrchestrationCompleted(Status.Completed, "7"), Completion(3, "7")),
        (OrchestrationCompleted(Status.Failed, '"E: m"', Failure("E", "m")), Completion(3, failure=Failure("E", "m"))),
        (
            OrchestrationCompleted(Status.Terminated, '"stop"'),
            Completion(3, failure=Failure("OrchestrationTerminatedError", 'terminated: "stop"')),
        ),
    ],
)
def test_the_end_is_reported_to_the_parent(end, completion):
    parent = Parent("up", "u.0", 3)
    state = State(turns=[started(end)])
    assert outgoing(state.turns[0], state, Sender("one", "x", parent)) == [Report(parent, completion)]
    assert outgoing(state.turns[0], state, SENDER) == []


# ---- termination ---------------------------------------------------------------------------------------------


def test_termination_ends_the_instance_and_its_open_children():
    children = [SubOrchestrationScheduled(no, "c", f"child{no}", f"e{no}", None) for no in range(2)]
    state = State(turns=[started(*children, TaskScheduled(2, "a", None)), turn(child_done(0))])
    child, end = termination(state, [done(2), ExecutionTerminated("stop")])
    assert child == ChildTerminated("child1", "e1", "stop")
    assert end == OrchestrationCompleted(Status.Terminated, '"stop"')
    assert termination(state, [ExecutionTerminated("stop", False)]) == [end]
    assert termination(state, [done(2)]) is None


def test_a_child_that_was_terminated_with_its_parent_is_not_started_any_more_but_another_one_is():
    children = [SubOrchestrationScheduled(no, "c", f"child{no}", f"e{no}", None) for no in range(2)]
    state = State(turns=[started(*children)])
    end = OrchestrationCompleted(Status.Terminated, '"stop"')
    state.apply(turn(ExecutionTerminated("stop"), ChildTerminated("child1", "e1", "stop"), end))
    assert [send.action for send in outgoing(state.turns[0], state, SENDER)] == [children[0]]


def test_replay_takes_a_termination_for_the_end():
    run = Driver(lambda context: context.call_activity("a"))
    assert run.turn(ExecutionTerminated("stop")) == []
    assert run.turn(ExecutionTerminated("stop")) == []


# ---- encoding ------------------------------------------------------------------------------------------------


def test_history_survives_encoding():
    turns = [started(TaskScheduled(n, "a" * n, json.dumps("ü" * n))) for n in range(40)]
    assert decode_turns(encode_turns(turns)) == turns
    head = Head(Parent("up", "u.0", 1), turns, [event("go", 1)])
    assert decode_head(encode_head(head)) == head
    assert decode_head(b"") == Head()


@pytest.mark.parametrize("data", [b"", b"\x07abc", b"\x00abc", b"\x01abc"])
def test_damaged_history_is_told(data):
    with pytest.raises(DataError, match="can't be read"):
        decode_turns(data)
    if data:
        with pytest.raises(DataError, match="can't be read"):
            decode_head(data)


def test_a_message_is_a_json_array():
    message = completions(1, 2)
    text = encode_message(message)
    assert isinstance(json.loads(text), list)
    assert decode_message(text) == message


@pytest.mark.parametrize("text", ["", "{}", "[]", '["what"]', '["start"]', "\ud800"])
def test_a_foreign_message_is_told(text):
    with pytest.raises(DataError, match="can't be read as one of Perdure's"):
        decode_message(text)
