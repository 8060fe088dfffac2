"""Orchestrations and entities: what they ask for, in which order, and under which rules."""

import json
from datetime import timedelta

import msgspec
import pytest

from perdure.core.actions import (
    ContinuedAsNew,
    EntityCalled,
    EntitySignaled,
    LockRequested,
    LocksReleased,
    OrchestrationCompleted,
    TaskScheduled,
)
from perdure.core.critical_sections import with_releases
from perdure.core.entity_id import EntityId
from perdure.core.entity_proxy import EntityProxy
from perdure.core.failure import Failure, TaskFailedError
from perdure.core.history import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    ExecutionStarted,
    Turn,
)
from perdure.core.intake import Circumstances, Verdict, take_in
from perdure.core.messages import AcquireLock, Completion, Completions, Operate, ReleaseLock, Sweep, Wake
from perdure.core.outbox import Sender, outgoing
from perdure.core.rewinding import is_inside_section, rewound
from perdure.core.state import Parent, State
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.streams import Flow, Place
from perdure.errors import LockingRulesViolationError, NonDeterminismError
from tests.core.driving import NOON, Driver, done, fired

A, B, C = (EntityId("Counter", key) for key in "abc")


def answer(no, result=None):
    return EntityOperationCompleted(no, json.dumps(result))


def broke(no, message="boom"):
    return EntityOperationFailed(no, Failure("ValueError", message))


@pytest.fixture(params=[False, True], ids=["live", "cold"])
def drive(request):
    return lambda function, *args, **names: Driver(function, *args, cold=request.param, **names)


def test_a_call_waits_for_its_result(drive):
    def flow(context):
        return (yield context.call_entity(A, "add", 5))

    run = drive(flow)
    assert run.start() == [EntityCalled(0, "@counter@a", "add", "5", Place("e.0/0", 0))]
    run.turn(answer(0, 7))
    assert run.output == 7
    run.replayed()


@pytest.mark.parametrize(
    "names",
    [
        {"entityId": A, "operationName": "add", "operationInput": 5},
        {"entity_id": A, "operation_name": "add", "operation_input": 5},
        {"entity": "@counter@a", "operation": "add", "input": 5},
    ],
)
def test_arguments_go_by_several_names(drive, names):
    def flow(context):
        context.signal_entity(**names)
        return (yield context.call_entity(**names))

    signaled, called = drive(flow).start()
    assert (signaled.entity, signaled.operation, signaled.input) == ("@counter@a", "add", "5")
    assert (called.entity, called.operation, called.input) == ("@counter@a", "add", "5")


def test_an_argument_is_given_under_one_of_its_names(drive):
    run = drive(lambda context: context.call_entity(A, entity=B, operationName="add", operation="get"))
    run.start()
    assert "two values for 'operationName', one of them as 'operation'" in run.end.failure.message


def test_a_call_that_fails_says_where(drive):
    def flow(context):
        try:
            yield context.call_entity(A, "add")
        except TaskFailedError as error:
            return str(error)

    run = drive(flow)
    run.start()
    run.turn(broke(0))
    assert run.output == "entity operation 'add' of '@counter@a' failed: ValueError: boom"


def test_results_are_read_as_asked_for(drive):
    def flow(context):
        one = yield context.call_entity(A, "get", None, set)
        two = yield context.call_entity(A, "get", return_type=set)
        return [type(one).__name__, type(two).__name__]

    run = drive(flow)
    run.start()
    run.turn(answer(0, [1]))
    run.turn(answer(1, [1]))
    assert run.output == ["set", "set"]


def test_calls_and_signals_share_the_stream_to_an_entity(drive):
    def flow(context):
        context.signal_entity(A, "add", 1)
        context.signal_entity(B, "add", 1)
        context.signal_entity(A, "add", 2, signal_time=NOON + timedelta(hours=1))
        yield context.call_entity(A, "get")
        yield context.create_timer(timedelta(minutes=31))
        context.signal_entity(A, "add", 3)

    run = drive(flow)
    places = [action.place for action in run.start()]
    assert [str(place) for place in places] == ["e.0/0#0", "e.0/1#0", "e.0/2/at#0", "e.0/0#1"]
    assert run.turns[0].actions[2].due == NOON + timedelta(hours=1)
    run.turn(answer(3))
    later = run.turn(fired(4), after=32 * 60)
    assert str(later[0].place) == "e.0/5#0"
    run.replayed()


def test_the_streams_of_the_generation_before_go_on(drive):
    run = drive(lambda context: context.signal_entity(A, "add", 1), flows={"@counter@a": Flow("e.0/9", 4, NOON)})
    assert run.start()[0].place == Place("e.0/9", 4)


def test_a_time_is_a_datetime(drive):
    run = drive(lambda context: context.signal_entity(A, "add", 1, signal_time=timedelta(hours=1)))
    run.start()
    assert run.end.failure.message == "signal_time is a datetime, not timedelta"


@pytest.mark.parametrize("operation", ["", 7])
def test_an_operation_has_a_name(drive, operation):
    run = drive(lambda context: context.call_entity(A, operation))
    run.start()
    assert "an operation's name" in run.end.failure.message


def test_nothing_is_called_after_continue_as_new(drive):
    def flow(context):
        context.continue_as_new(None)
        yield context.call_entity(A, "get")

    assert drive(flow).start() == [ContinuedAsNew("null")]


def test_a_proxy_calls_operations(drive):
    async def flow(context):
        counter = context.entity("Counter", "a")
        assert repr(counter) == "<proxy of entity @counter@a>"
        with pytest.raises(AttributeError, match="private"):
            counter._hidden  # noqa: B018 - the point
        with pytest.raises(TypeError, match="one input at most"):
            counter.add(1, 2)
        with pytest.raises(TypeError, match="one input at most"):
            counter.add(1, amount=2)
        return [await counter.add(5), await counter.get(), await counter.add(amount=7)]

    run = drive(flow)
    assert run.start()[0].operation == "add"
    run.turn(answer(0, 5))
    [by_name] = run.turn(answer(1, 6))
    assert by_name.input == "7"
    run.turn(answer(2, 13))
    assert run.output == [5, 6, 13]


def test_a_proxy_of_a_class_has_its_name():
    class Basket:
        pass

    seen = []
    EntityProxy(EntityId("Basket", "1"), lambda *given: seen.append(given)).add("x")
    assert seen == [(EntityId("basket", "1"), "add", "x")]


# ---- critical sections -----------------------------------------------------------------------------------------------


def granted(no):
    return EntityLockGranted(no)


def section(context):
    with (yield context.lock_entities([B, A, B])):
        assert context.is_in_critical_section
        assert context.locked_entities == [A, B]
        yield context.call_entity(B, "add", 1)
    assert not context.is_in_critical_section
    return (yield context.call_entity(C, "get"))


def test_entities_are_locked_in_order_and_released(drive):
    run = drive(section)
    assert run.start() == [LockRequested(0, ["@counter@a", "@counter@b"], Place("e.0/0", 0))]
    assert run.turn(granted(0)) == [EntityCalled(1, "@counter@b", "add", "1", Place("e.0/1", 0), "e.0/0")]
    released, called = run.turn(answer(1))
    assert released == LocksReleased(0, ["@counter@a", "@counter@b"], [Place("e.0/0", 1), Place("e.0/1", 1)])
    assert called.lock is None
    run.replayed()


@pytest.mark.parametrize("form", ["async with", "async with await", "with await", "release"])
def test_forms_of_a_section(drive, form):
    async def flow(context):
        if form == "async with":
            async with context.lock_entities([A]):
                await context.call_activity("x")
        elif form == "async with await":
            async with await context.lock_entities([A]):
                await context.call_activity("x")
        elif form == "with await":
            with await context.lock_entities([A]):
                await context.call_activity("x")
        else:
            lock = await context.lock_entities([A])
            await context.call_activity("x")
            lock.release()
            lock.release()
        return context.is_in_critical_section

    run = drive(flow)
    run.start()
    run.turn(granted(0))
    released, _ = run.turn(done(1))
    assert isinstance(released, LocksReleased)
    assert run.output is False


def test_a_lock_is_waited_for_before_it_is_entered(drive):
    def flow(context):
        with context.lock_entities([A]):
            yield context.call_activity("x")

    run = drive(flow)
    run.start()
    assert "wait for the lock before you enter it" in run.end.failure.message


@pytest.mark.parametrize(
    ("breaks", "why"),
    [
        (lambda context: context.lock_entities([C]), "one critical section at a time"),
        (lambda context: context.call_entity(C, "get"), "only its entities can be called, and entity '@counter@c'"),
        (lambda context: context.signal_entity(A, "add"), "is locked by this critical section: call it"),
        (lambda context: context.call_sub_orchestrator("child"), "'child' can't be called in a critical section"),
    ],
)
def test_rules_of_a_section(drive, breaks, why):
    def flow(context):
        with (yield context.lock_entities([A])):
            context.signal_entity(C, "add")
            with pytest.raises(LockingRulesViolationError, match=why):
                breaks(context)
        breaks(context)

    run = drive(flow)
    run.start()
    run.turn(granted(0))
    assert isinstance(run.end, OrchestrationCompleted)
    assert run.end.status is OrchestrationRuntimeStatus.Completed


def test_no_second_section_is_asked_for_while_the_first_is_waited_for(drive):
    def flow(context):
        context.lock_entities([A])
        context.lock_entities([B])
        yield

    run = drive(flow)
    run.start()
    assert run.end.failure.type == "perdure.errors.LockingRulesViolationError"


@pytest.mark.parametrize(
    ("breaks", "what"),
    [
        (lambda context: context.call_entity(A, "get"), "entity '@counter@a'"),
        (lambda context: context.call_entity(C, "get"), "entity '@counter@c'"),
        (lambda context: context.call_sub_orchestrator("child"), "sub-orchestration 'child'"),
    ],
)
def test_nothing_that_might_wait_for_the_lock_is_called_before_it_is_held(drive, breaks, what):
    """The call would stand behind the lock, and the orchestration that holds it would wait for the call."""

    def flow(context):
        lock = context.lock_entities([A])
        yield context.call_activity("meanwhile")
        with pytest.raises(LockingRulesViolationError, match=f"{what} can't be called while a lock is waited for: "):
            breaks(context)
        with (yield lock):
            return (yield context.call_entity(A, "get"))

    run = drive(flow)
    run.start()
    run.turn(done(1))
    run.turn(granted(0))
    run.turn(answer(2, 5))
    assert run.output == 5


@pytest.mark.parametrize("entities", [A, "@counter@a"])
def test_entities_to_lock_are_given_as_a_list(drive, entities):
    run = drive(lambda context: context.lock_entities(entities))
    run.start()
    assert run.end.failure.message == "lock_entities takes a list of entities: lock_entities([first, second])"


def test_a_section_has_entities(drive):
    run = drive(lambda context: context.lock_entities([]))
    run.start()
    assert "at least one entity" in run.end.failure.message


def test_nothing_is_locked_after_continue_as_new(drive):
    def flow(context):
        context.continue_as_new(None)
        yield context.lock_entities([A])

    assert drive(flow).start() == [ContinuedAsNew("null")]


def test_replay_tells_what_differs(drive):
    def locking(context):
        with (yield context.lock_entities([A])):
            yield context.call_entity(A, "get")
        context.signal_entity(A, "add")
        yield context.call_activity("x")

    run = drive(locking)
    run.start()
    run.turn(granted(0))
    run.turn(answer(1))
    run.replayed()

    def other(entity, operation, *, keeps=False):
        def flow(context):
            lock = yield context.lock_entities([entity])
            yield context.call_entity(entity, operation)
            if not keeps:
                lock.release()
                context.signal_entity(A, "take")
            yield context.call_activity("x")

        return flow

    for flow, told in (
        (other(B, "get"), "records a lock of @counter@a .#0., but the code now asks for a lock of @counter@b"),
        (other(A, "set"), "a call of 'get' of entity '@counter@a' .#1., but .* a call of 'set'"),
        (other(A, "get"), "signal 'add' to entity '@counter@a' .#2., but .* signal 'take'"),
        (other(A, "get", keeps=True), "the release of lock #0, but .* activity 'x'"),
    ):
        with pytest.raises(NonDeterminismError, match=told):
            run.replayed(flow)


# ---- what ends a generation ends its sections ------------------------------------------------------------------------

REQUEST = LockRequested(0, ["@counter@a", "@counter@b"], Place("e.0/0", 0))
END = OrchestrationCompleted(OrchestrationRuntimeStatus.Terminated, None)


def turn(actions, *events, commit="c", generation=0):
    return Turn(commit, "s", generation, NOON, [], [], list(events), list(actions))


def releases(turns, actions, events=()):
    made = with_releases(actions, events, State(turns=turns), NOON, "e.0")
    return [action for action in made if isinstance(action, LocksReleased)]


def test_a_section_that_was_entered_is_left_by_all_its_entities():
    (released,) = releases([turn([REQUEST]), turn([], granted(0))], [END])
    assert released.implied
    assert [str(place) for place in released.places] == ["e.0/0#1", "e.0/0/release#0"]


def test_one_that_is_granted_in_the_last_turn_was_entered():
    (released,) = releases([turn([REQUEST])], [END], [granted(0)])
    assert len(released.places) == 2


def test_one_that_was_only_asked_for_is_given_up_behind_the_request():
    for turns, actions in (([turn([REQUEST])], [END]), ([], [REQUEST, END])):
        (released,) = releases(turns, actions)
        assert released.places == [Place("e.0/0", 1)]


def test_what_has_been_left_is_not_left_again():
    left = LocksReleased(0, REQUEST.entities, [Place("e.0/0", 1), Place("x", 0)])
    for turns, actions in (
        ([turn([REQUEST]), turn([left], granted(0))], [END]),
        ([turn([REQUEST])], [left, ContinuedAsNew(None)]),
        ([turn([REQUEST])], [TaskScheduled(1, "x", None)]),
        ([], []),
    ):
        assert releases(turns, actions) == [each for each in actions if each is left]


def test_replay_does_not_miss_what_the_code_did_not_ask_for(drive):
    def flow(context):
        yield context.lock_entities([A])

    run = drive(flow)
    run.start()
    run.turn(granted(0))
    released = LocksReleased(0, ["@counter@a"], [Place("e.0/0", 1)], implied=True)
    run.turns[-1] = turn([released, *run.turns[-1].actions], granted(0))
    run.replayed()


# ---- messages --------------------------------------------------------------------------------------------------------

SENDER = Sender("one", "e", None)


def sent(*actions):
    state = State(turns=[turn(actions)])
    return [post.message for post in outgoing(state.turns[0], state, SENDER)]


def test_what_is_sent():
    due = NOON + timedelta(hours=1)
    signal = EntitySignaled(0, "@counter@a", "add", "1", Place("e.0/0", 0), due)
    call = EntityCalled(1, "@counter@a", "get", None, Place("e.0/1", 0), "e.0/9")
    left = LocksReleased(2, ["@counter@a", "@counter@b"], [Place("x", 1), Place("y", 0)])
    given_up = LocksReleased(2, ["@counter@a", "@counter@b", "@counter@c"], [Place("x", 1)])
    assert sent(signal, call, REQUEST, left, given_up) == [
        Operate(to="@counter@a", id="e.0/0#0", place=signal.place, operation="add", input="1", due=due),
        Operate(
            to="@counter@a",
            id="e.0/1#0",
            place=call.place,
            operation="get",
            input=None,
            reply=Parent("one", "e.0", 1),
            lock="e.0/9",
        ),
        AcquireLock(
            to="@counter@a",
            id="e.0/0#0",
            place=REQUEST.place,
            lock="e.0/0",
            entities=REQUEST.entities,
            position=0,
            owner=Parent("one", "e.0", 0),
        ),
        ReleaseLock(to="@counter@a", id="x#1", place=Place("x", 1), lock="e.0/2"),
        ReleaseLock(to="@counter@b", id="y#0", place=Place("y", 0), lock="e.0/2"),
        ReleaseLock(to="@counter@a", id="x#1", place=Place("x", 1), lock="e.0/2", onward=["@counter@b", "@counter@c"]),
    ]


def test_everything_numbered_is_sent_even_if_nobody_waits():
    call = EntityCalled(0, "@counter@a", "get", None, Place("e.0/0", 0))
    state = State(turns=[turn([call, END], ExecutionStarted())])
    assert len(outgoing(state.turns[0], state, SENDER)) == 1
    (record,) = State(turns=[turn([call, REQUEST])]).records(turn([ContinuedAsNew(None)]), NOON)
    assert record.actions == [call, REQUEST]


def test_answers_are_matched_by_number():
    call = EntityCalled(0, "@counter@a", "get", None, Place("e.0/0", 0))
    state = State(turns=[turn([call, msgspec.structs.replace(REQUEST, no=1), msgspec.structs.replace(call, no=2)])])
    items = [Completion(0, "7"), Completion(1), Completion(2, failure=Failure("E", "no"))]
    message = Completions(to="one", id="m", execution="e.0", items=items)
    circumstances = Circumstances("e", "e.0", pending=False, start_at=None, now=NOON)
    intake = take_in(state, [message], [], circumstances)
    assert intake.events == [
        EntityOperationCompleted(0, "7"),
        EntityLockGranted(1),
        EntityOperationFailed(2, Failure("E", "no")),
    ]
    state.apply(turn([], *intake.events))
    assert not state.awaited
    assert state.entered == {1}


def test_messages_for_entities_mean_nothing_to_an_orchestration():
    place = Place("s", 0)
    messages = [
        Operate(to="one", id="1", place=place, operation="x", input=None),
        AcquireLock(to="one", id="2", place=place, lock="l", entities=[], position=0, owner=Parent("p", "e", 0)),
        ReleaseLock(to="one", id="3", place=place, lock="l"),
        Wake(to="one", id="4", no=0, due=NOON),
        Sweep(to="one", id="5", before=NOON),
    ]
    circumstances = Circumstances("e", "e.0", pending=False, start_at=None, now=NOON)
    assert set(take_in(State(), messages, [], circumstances).verdicts) == {Verdict.IRRELEVANT}


def test_streams_are_known_from_history():
    state = State(
        flows={"@counter@b": Flow("old", 3, NOON)},
        turns=[
            turn([EntitySignaled(0, "@counter@a", "x", None, Place("s", 0))]),
            turn([EntitySignaled(1, "@counter@a", "x", None, Place("at", 0), NOON)]),
            turn([EntityCalled(2, "@counter@b", "x", None, Place("old", 3))]),
        ],
    )
    after = state.outflows_after([REQUEST], NOON)
    assert after.recent(NOON)["@counter@a"] == Flow("e.0/0", 1, NOON)
    assert state.outflows.recent(NOON)["@counter@a"] == Flow("s", 1, NOON)
    assert state.outflows.recent(NOON)["@counter@b"] == Flow("old", 4, NOON)
    assert state.with_history([]).outflows.recent(NOON) == {"@counter@b": Flow("old", 3, NOON)}


# ---- rewinding -------------------------------------------------------------------------------------------------------


class Rewinding(Driver):
    def rewind(self):
        past = rewound(self.turns, "r", "again")
        self.turns = past.kept
        self._live = self.replayed()
        return self.turn(*past.events)


def test_a_failed_operation_is_asked_for_again_in_a_new_stream():
    def flow(context):
        one = context.call_entity(A, "one")
        two = context.call_entity(A, "two")
        return (yield context.task_all([one, two]))

    run = Rewinding(flow)
    run.start()
    run.turn(broke(1))
    assert not is_inside_section(run.turns)
    again = run.rewind()
    assert [(each.no, each.operation, str(each.place)) for each in again] == [
        (2, "one", "e.0/2#0"),
        (3, "two", "e.0/2#1"),
    ]
    run.turn(answer(2, 1), answer(3, 2))
    assert run.output == [1, 2]
    run.replayed()


def test_an_operation_that_succeeded_later_is_kept():
    def flow(context):
        one = context.call_entity(A, "one")
        yield context.call_entity(A, "two")
        return (yield one)

    run = Rewinding(flow)
    run.start()
    run.turn(broke(1), answer(0, 1))
    assert [each.operation for each in run.rewind()] == ["two"]
    run.turn(answer(2))
    assert run.output == 1


def test_a_lock_that_was_waited_for_is_asked_for_again():
    def flow(context):
        called, wait = context.call_entity(B, "x"), context.lock_entities([A])
        yield called
        with (yield wait):
            return "in"

    run = Rewinding(flow)
    run.start()
    run.turn(broke(0))
    assert not is_inside_section(run.turns)
    call, lock = run.rewind()
    assert lock == LockRequested(3, ["@counter@a"], Place("e.0/3", 0))
    run.turn(answer(call.no))
    run.turn(granted(3))
    assert run.output == "in"
    assert State(turns=run.turns).unreleased == {}
    run.replayed()


def test_what_failed_inside_a_section_can_not_go_back_into_it():
    run = Rewinding(section)
    run.start()
    run.turn(granted(0))
    run.turn(broke(1))
    assert is_inside_section(run.turns)


def test_a_lock_that_came_with_the_failure_is_asked_for_again():
    def flow(context):
        called, wait = context.call_entity(B, "x"), context.lock_entities([A])
        yield called
        with (yield wait):
            return "in"

    run = Rewinding(flow)
    run.start()
    run.turn(broke(0), granted(1))
    assert [type(each) for each in run.rewind()] == [EntityCalled, LockRequested]


# ---- what orchestrators see of their history -------------------------------------------------------------------------


def test_histories_tell_of_entities():
    seen = []

    def flow(context):
        context.signal_entity(A, "add", 1)
        with (yield context.lock_entities([B])):
            yield context.call_entity(B, "get")
        try:
            yield context.call_entity(B, "fail")
        except TaskFailedError:
            seen.extend(context.histories)

    run = Driver(flow)
    run.start()
    run.turn(granted(1))
    run.turn(answer(2, "secret"))
    run.turn(broke(3))
    told = [(each.event_type.name, each.Name) for each in seen if each.event_type.name.startswith("EVENT")]
    assert told == [
        ("EVENT_SENT", "add"),
        ("EVENT_SENT", "lock"),
        ("EVENT_RAISED", "1"),
        ("EVENT_SENT", "get"),
        ("EVENT_RAISED", "2"),
        ("EVENT_SENT", "release"),
        ("EVENT_SENT", "fail"),
        ("EVENT_RAISED", "3"),
    ]
    assert "secret" not in str(seen)
