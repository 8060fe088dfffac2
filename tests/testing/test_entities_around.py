"""Orchestrators alone, with stubs or real entities around them."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

import perdure_functions as df
from perdure.errors import NonDeterminismError, PerdureError, UnknownFunctionError
from perdure.testing import BegunOrchestration, EntityCall, Signal, outcomes, run_orchestrator

app = df.DFApp()


@app.entity_trigger(context_name="context")
class Account(df.DurableEntity):
    state: int = 0

    def deposit(self, amount: int) -> int:
        self.state += amount
        return self.state

    def withdraw(self, amount: int) -> int:
        if amount > self.state:
            raise ValueError("not enough money")
        self.state -= amount
        return self.state

    def balance(self) -> int:
        return self.state

    def close(self, on: date) -> date:
        return on


@app.entity_trigger(context_name="context")
def relay(context: df.DurableEntityContext):
    """Pass a deposit on, at once or later."""
    later = timedelta(hours=1) if context.operation_name == "later" else None
    due = None if later is None else context.current_utc_datetime + later
    context.signal_entity(df.EntityId("Account", "a"), "deposit", context.get_input(), due)
    context.start_new_orchestration("audit", context.get_input(), "audit-1")


A, B = df.EntityId("Account", "a"), df.EntityId("Account", "b")


@app.orchestration_trigger(context_name="context")
async def transfer(context: df.OrchestrationContext, amount: int) -> int:
    async with context.lock_entities([B, A]):
        await context.call_entity(A, "withdraw", amount)
        return await context.entity(Account, "b").deposit(amount)


def balance(context):
    return (yield context.call_entity(A, "balance"))


@pytest.mark.parametrize(
    ("stub", "output"),
    [
        ({"Account": 5}, 5),
        ({"account": lambda call: [str(call.entity), call.operation, call.input]}, ["@account@a", "balance", None]),
        ({Account: {"balance": 6, "deposit": 7}}, 6),
        ({"Account": {"Balance": lambda given: [given]}}, [None]),
        ({A: 7, Account: 8}, 7),
        ({"@account@a": 7, B: 8}, 7),
        ({Account: outcomes(9)}, 9),
        ({Account: Account}, 0),
        ([Account], 0),
    ],
)
def test_what_answers_calls(stub, output):
    run = run_orchestrator(balance, entities=stub)
    assert run.output == output
    assert run.entity_calls == [(A, "balance", None)] == [EntityCall(A, "balance", None)]


def test_a_stub_that_raises_fails_the_operation():
    run = run_orchestrator(balance, entities={Account: KeyError("gone")})
    assert run.status == "Failed"
    assert run.error.is_caused_by(KeyError)
    assert "'balance' of '@account@a'" in run.output


def test_a_stub_by_operation_gets_the_type_of_what_it_stands_for():
    def flow(context):
        closed = yield context.call_entity(A, "close", date(2026, 5, 4))
        return closed.year

    seen = []

    def close(on):
        seen.append(on)
        return on

    assert run_orchestrator(flow, entities={Account: {"close": close}}).output == 2026
    assert seen == [date(2026, 5, 4)]


def test_an_entity_without_a_stub():
    with pytest.raises(
        UnknownFunctionError, match=r"calls operation 'balance' of entity '@account@a', which has no st"
    ):
        run_orchestrator(balance)


def test_an_operation_without_a_stub_fails():
    run = run_orchestrator(balance, entities={Account: {"deposit": 1}})
    assert "the stub of entity 'account' has no 'balance'; it has: 'deposit'" in run.output


def test_real_entities_keep_their_states():
    run = run_orchestrator(transfer, 30, app=app, entity_states={A: 100})
    assert run.output == 30
    assert run.entity_states == {A: 70, B: 30}
    assert run.critical_sections == [[A, B]]


def test_real_entities_fail_as_they_do_in_production():
    run = run_orchestrator(transfer, 30, app=app, entity_states={"@account@a": 10})
    assert run.error.is_caused_by(ValueError)
    assert run.entity_states == {A: 10}


def test_signals_are_recorded_and_performed_by_real_entities_in_order():
    def flow(context):
        context.signal_entity(A, "deposit", 5)
        context.signal_entity(B, "deposit", 6)
        return (yield context.call_entity(A, "balance"))

    assert run_orchestrator(flow, app=app).output == 5
    stubbed = run_orchestrator(flow, entities={Account: outcomes(50)})
    assert stubbed.output == 50, "stubs are not signalled"
    assert stubbed.signals == [Signal(A, "deposit", 5), Signal(B, "deposit", 6)]
    with pytest.raises(UnknownFunctionError):
        run_orchestrator(flow)


def test_signals_to_what_is_not_there_are_recorded():
    def flow(context):
        context.signal_entity(A, "deposit", 5)

    assert run_orchestrator(flow).signals == [Signal(A, "deposit", 5)]


def test_delayed_signals_are_performed_at_their_time():
    def flow(context):
        begun = context.current_utc_datetime
        context.signal_entity(A, "deposit", 5, signal_time=begun + timedelta(hours=1))
        context.signal_entity(A, "deposit", 3, signal_time=begun + timedelta(days=1))
        before = yield context.call_entity(A, "balance")
        yield context.create_timer(timedelta(hours=1))
        return [before, (yield context.call_entity(A, "balance"))]

    run = run_orchestrator(flow, app=app)
    assert run.output == [0, 5]
    assert [signal.signal_time - run.started_at for signal in run.signals] == [timedelta(hours=1), timedelta(days=1)]


def test_what_entities_signal_and_start():
    def flow(context):
        yield context.call_entity("@relay@r", "now", 4)
        yield context.call_entity("@relay@r", "later", 2)
        now = yield context.call_entity(A, "balance")
        yield context.create_timer(timedelta(hours=1))
        return [now, (yield context.call_entity(A, "balance"))]

    run = run_orchestrator(flow, app=app)
    assert run.output == [4, 6]
    assert run.signals == []
    assert run.entity_orchestrations == [BegunOrchestration("audit", given, "audit-1") for given in (4, 2)]
    alone = run_orchestrator(flow, entities={"relay": relay, Account: outcomes(40, 60)})
    assert alone.output == [40, 60], "stubs are not signalled"


def test_signals_without_end():
    class Ping(df.DurableEntity):
        def play(self):
            self.signal_entity(self.entity_id, "play")

    def flow(context):
        yield context.call_entity("@ping@p", "play")

    with pytest.raises(PerdureError, match="10000 signals follow from 'play' of entity '@ping@p'"):
        run_orchestrator(flow, entities=[Ping])


def test_children_meet_the_same_entities():
    def parent(context):
        yield context.call_entity(A, "deposit", 100)
        yield context.call_sub_orchestrator("transfer", 40)
        return (yield context.call_entity(A, "balance"))

    run = run_orchestrator(parent, app=app)
    assert run.output == 60
    assert run.entity_states == {A: 60, B: 40}


def test_generations_meet_the_same_entities():
    def loop(context):
        total = yield context.call_entity(A, "deposit", 1)
        if total < 3:
            context.continue_as_new(None)
        return total

    assert run_orchestrator(loop, app=app, generations=None).output == 3


def test_both_styles_of_critical_sections():
    def flow(context):
        with (yield context.lock_entities([A, B])):
            inside = context.is_in_critical_section, context.locked_entities == [A, B]
            yield context.call_entity(A, "deposit", 1)
        return [*inside, context.is_in_critical_section]

    assert run_orchestrator(flow, app=app).output == [True, True, False]


def test_rules_of_critical_sections_hold():
    def flow(context):
        with (yield context.lock_entities([A])):
            yield context.call_entity(B, "deposit", 1)

    run = run_orchestrator(flow, app=app)
    assert run.error.is_caused_by(df.LockingRulesViolationError)


@pytest.mark.parametrize(
    ("ask", "differs"),
    [
        (lambda context: context.call_entity(A, "deposit", random.random()), "input of operation 'deposit'"),
        (lambda context: context.signal_entity(A, "deposit", random.random()), "input or time of operation 'deposit'"),
        (lambda context: context.call_entity(df.EntityId("Account", str(random.random())), "balance"), "'balance'"),
    ],
)
def test_what_differs_when_run_again(ask, differs):
    def careless(context):
        ask(context)
        yield context.create_timer(timedelta(seconds=1))

    with pytest.raises(NonDeterminismError, match=differs):
        run_orchestrator(careless, entities={Account: 1})


def test_the_app_is_left_as_it_is():
    class Generous(df.DurableEntity):
        def balance(self) -> int:
            return 1_000_000

    assert run_orchestrator(balance, app=app, entities={Account: Generous}).output == 1_000_000
    assert run_orchestrator(balance, app=app).output == 0
