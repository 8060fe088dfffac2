"""What an operation works with, in functions and in classes."""

import asyncio
import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import pytest
from pydantic import BaseModel

from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.durable_entity import DurableEntity, operations_of
from perdure.core.entities.effects import OrchestrationBegun, SignalSent
from perdure.core.entities.performing import EntityDefinition, Outcome, Performance
from perdure.core.entity_id import EntityId
from perdure.core.hints import Hints, NoTypes
from perdure.errors import DataError
from tests.core.driving import NOON

ME = EntityId("Counter", "a")


def context_of(operation="add", value=None, state=None, hints=Hints()):  # noqa: B008 - immutable
    return DurableEntityContext(
        ME,
        operation,
        json.dumps(value),
        None if state is None else json.dumps(state),
        now=NOON,
        new_id=lambda: "new",
        hints=hints,
    )


def perform(function, operation="add", value=None, state=None):
    definition = EntityDefinition(function)
    context = context_of(operation, value, state, definition.hints(operation))
    before = None if state is None else json.dumps(state)
    outcome = Performance(definition, context, before).begin()
    return outcome if isinstance(outcome, Outcome) else asyncio.run(outcome)


def shown(outcome):
    assert outcome.failure is None, outcome.failure
    return (
        None if outcome.state is None else json.loads(outcome.state),
        None if outcome.result is None else json.loads(outcome.result),
    )


# ---- the context -----------------------------------------------------------------------------------------------------


def test_who_is_asked_and_for_what():
    context = context_of("Add", 5)
    assert (context.entity_id, context.entity_name, context.entity_key) == (ME, "Counter", "a")
    assert (context.operation_name, context.operation) == ("Add", "Add")
    assert context.current_utc_datetime == NOON
    assert context.is_newly_constructed
    assert context.has_input
    assert context.get_input() == 5
    assert not context_of().has_input
    assert not context_of(state=1).is_newly_constructed


def test_input_and_state_are_read_as_types():
    assert context_of(value=[1], hints=Hints(input=set)).get_input() == {1}
    assert context_of(value=[1]).get_input(set) == {1}
    with pytest.raises(DataError, match=r"the input of operation 'add' of entity '@counter@a' is no set"):
        context_of(value=5).get_input(set)
    assert context_of(state=[1]).get_state(None, set) == {1}
    with pytest.raises(DataError, match="the state of entity '@counter@a' is no set"):
        context_of(state=5).get_state(expected_type=set)


def test_states_that_are_not_there_yet():
    assert context_of().get_state() is None
    assert context_of().get_state(lambda: 3) == 3
    assert context_of().get_state(dict) == {}
    assert context_of().get_state(int, 7) == 7
    assert context_of().get_state(intended_type=int, default=8) == 8
    assert context_of(state=2).get_state(int, 7) == 2
    assert context_of(state=[1]).get_state(set) == {1}
    assert context_of(state=[1]).get_state(None, list[int]) == [1]
    with pytest.raises(TypeError, match="function without arguments, not int"):
        context_of().get_state(5)


def test_a_state_is_one_object_during_an_operation():
    context = context_of(state=[1])
    context.get_state().append(2)
    assert context.get_state() == [1, 2]
    assert json.loads(context.written_state()) == [1, 2]
    untouched = context_of(state=[1])
    assert untouched.written_state() == "[1]"
    assert context_of().written_state() is None


@pytest.mark.parametrize(
    "delete", [lambda context: context.set_state(None), lambda context: context.destruct_on_exit()]
)
def test_deleting(delete):
    context = context_of(state=5)
    delete(context)
    assert context.get_state(lambda: 1) == 1
    assert context.written_state() is None
    context.set_state(6)
    assert context.written_state() == "6"


def test_falsy_states_and_results_are_kept():
    for value in (0, "", False, [], {}):
        context = context_of()
        context.set_state(value)
        context.set_result(value)
        assert json.loads(context.written_state()) == value
        assert json.loads(context.written_result("ignored")) == value
    assert context_of().written_result("returned") == '"returned"'


def test_signals_and_orchestrations_are_effects():
    context = context_of()
    context.signal_entity(EntityId("Other", "b"), "go", {"x": 1})
    context.signal_entity(entity_id="@other@c", operation_name="go", signal_time=NOON)
    assert context.start_new_orchestration("flow", 5) == "new"
    assert (
        context.schedule_new_orchestration(
            "flow", instance_id="mine", version="2", start_at=NOON + timedelta(hours=1), tags={"a": "b"}
        )
        == "mine"
    )
    assert context.effects == [
        SignalSent("@other@b", "go", '{"x":1}'),
        SignalSent("@other@c", "go", "null", NOON),
        OrchestrationBegun("new", "flow", "5"),
        OrchestrationBegun("mine", "flow", "null", "2", NOON + timedelta(hours=1), {"a": "b"}),
    ]


# ---- functions -------------------------------------------------------------------------------------------------------


def test_functions_of_the_context_alone():
    def counter(context):
        context.set_state(context.get_state(lambda: 0) + context.get_input())
        context.set_result(context.get_state())

    assert shown(perform(counter, value=5)) == (5, 5)
    assert shown(perform(counter, value=5, state=2)) == (7, 7)


def test_functions_of_context_and_input():
    async def counter(context, amount: set[int]):
        context.set_state(sorted(amount))
        return len(amount)

    assert shown(perform(counter, value=[3, 1])) == ([1, 3], 2)
    assert EntityDefinition(counter).is_async("x")


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_what_raises_changes_nothing(error):
    def breaking(context):
        context.set_state(1)
        context.signal_entity(ME, "add")
        raise error

    async def breaking_later(context):
        breaking(context)

    functions = [breaking, breaking_later] if isinstance(error, Exception) else [breaking]
    for function in functions:
        outcome = perform(function, state=5)
        assert (outcome.state, outcome.result, outcome.effects) == ("5", None, [])
        assert outcome.failure.type.endswith(type(error).__name__)


def test_what_has_no_json_form_fails_the_operation():
    def broken(context):
        context.set_state(object())

    assert "can't be written as JSON" in perform(broken, state=5).failure.message
    assert "result of operation 'add'" in perform(lambda _: object()).failure.message


# ---- classes ---------------------------------------------------------------------------------------------------------


class Counter(DurableEntity):
    state: int = 0

    def add(self, amount: int = 1) -> int:
        self.state += amount
        return self.state

    async def add_later(self, amount: int) -> int:
        return self.add(amount)

    def tell(self) -> str:
        self.signal_entity(EntityId("other", "b"), "go", 1)
        return self.schedule_new_orchestration("flow", 5, "mine") + str(self.entity_id)

    def fail(self) -> None:
        self.state = -1
        raise ValueError("no")

    async def fail_later(self) -> None:
        self.fail()

    def _hidden(self) -> None:
        raise AssertionError

    _alias = 5


class Double(Counter):
    def double(self) -> int:
        return self.add(self.state)

    def ADD(self) -> str:  # noqa: N802 - the point
        return "capital"


class Profile(BaseModel):
    name: str = "?"
    friends: list[str] = []


class Person(DurableEntity):
    state: Profile

    def befriend(self, name: str) -> int:
        self.state.friends.append(name)
        return len(self.state.friends)


class Old(DurableEntity):
    def add(self, amount):
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state()

    def delete(self):
        self.set_state("deleted, kindly")


def test_public_methods_are_operations():
    assert operations_of(Double) == ["ADD", "add", "add_later", "delete", "double", "fail", "fail_later", "tell"]
    assert operations_of(Old) == ["add", "delete"]


def test_a_state_of_its_own():
    assert shown(perform(Counter, value=5)) == (5, 5)
    assert shown(perform(Counter, value=5, state=2)) == (7, 7)
    assert shown(perform(Counter, state=2)) == (3, 3)
    assert shown(perform(Counter, "add_later", 5, 2)) == (7, 7)
    assert shown(perform(Double, "double", state=4)) == (8, 8)
    assert EntityDefinition(Counter).is_async("add_later")
    assert not EntityDefinition(Counter).is_async("add")
    assert not EntityDefinition(Counter).is_async("missing")


def test_a_state_that_is_a_model():
    assert shown(perform(Person, "befriend", "Ada")) == ({"name": "?", "friends": ["Ada"]}, 1)
    state = {"name": "Bob", "friends": ["Ada"]}
    assert shown(perform(Person, "befriend", "Eve", deepcopy(state))) == ({"name": "Bob", "friends": ["Ada", "Eve"]}, 2)
    assert "the state of entity '@counter@a' is no " in perform(Person, "befriend", "Eve", 7).failure.message


def test_defaults_are_not_shared():
    class Basket(DurableEntity):
        state: list[str] = []  # noqa: RUF012 - the point

        def put(self, what: str) -> None:
            self.state.append(what)

    assert shown(perform(Basket, "put", "a"))[0] == ["a"]
    assert shown(perform(Basket, "put", "b"))[0] == ["b"]


def test_states_in_the_manner_of_the_sdk():
    assert shown(perform(Old, value=5, state=2)) == (7, 7)
    assert shown(perform(Old, value=5)) == (5, 5)


def test_delete_is_there_and_can_be_overridden():
    assert shown(perform(Counter, "delete", state=5)) == (None, None)
    assert shown(perform(Old, "delete", state=5)) == ("deleted, kindly", None)

    class Plain(DurableEntity):
        pass

    assert shown(perform(Plain, "Delete", state=5)) == (None, None)


class Named(BaseModel):
    name: str


@pytest.mark.parametrize("hint", [Named, int | str, Annotated[Named, "x"]])
def test_a_state_that_can_not_be_made_needs_a_default(hint):
    class Strict(DurableEntity):
        state: hint

        def get(self):
            return self.state

    failure = perform(Strict, "get").failure
    assert failure.type == "perdure.errors.DataError"
    assert failure.message.startswith(
        "entity '@counter@a' has no state yet, and its type can't be made without arguments"
    )
    assert failure.message.endswith("give 'state' of class 'Strict' a default")
    assert shown(perform(Strict, "get", state={"name": "ann"} if hint is not int | str else 5))[0]


def test_an_optional_state_is_none_at_first():
    class Perhaps(DurableEntity):
        state: Named | None

        def begin(self, name: str):
            assert self.state is None
            self.state = Named(name=name)

    assert perform(Perhaps, "begin", "ann") == Outcome('{"name":"ann"}', "null")


def test_a_state_that_no_longer_fits_can_be_deleted():
    refused = perform(Person, "befriend", "ann", state="unfit")
    assert refused.failure.type == "perdure.errors.DataError"
    assert refused.state == '"unfit"'
    assert perform(Person, "delete", state="unfit") == Outcome(None, "null")


def test_the_case_of_an_operation_matters_only_if_it_must():
    assert shown(perform(Counter, "Add", 5)) == (5, 5)
    assert shown(perform(Double, "ADD"))[1] == "capital"
    assert shown(perform(Double, "add", 2))[1] == 2


@pytest.mark.parametrize(
    "operation", ["missing", "_hidden", "set_state", "state", "_alias", "entity_context", "__init__"]
)
def test_what_is_no_operation(operation):
    failure = perform(Counter, operation, state=5).failure
    assert failure.type == "perdure.errors.UnknownOperationError"
    assert f"entity 'Counter' has no operation '{operation}'; it has: 'add', " in failure.message


def test_methods_that_raise_change_nothing():
    for operation in ("fail", "fail_later"):
        outcome = perform(Counter, operation, state=5)
        assert (outcome.state, outcome.failure.message) == ("5", "no")


def test_effects_of_methods():
    outcome = perform(Counter, "tell")
    assert json.loads(outcome.result) == "mine@counter@a"
    assert [type(effect) for effect in outcome.effects] == [SignalSent, OrchestrationBegun]


def test_orchestrations_go_by_both_names_in_classes_too():
    def bake(context):
        raise AssertionError

    class Oven(DurableEntity):
        def start(self):
            return self.start_new_orchestration(bake, 5, "mine"), self.schedule_new_orchestration("bake", 6, "other")

    assert operations_of(Oven) == ["delete", "start"]
    outcome = perform(Oven, "start")
    assert [(effect.instance_id, effect.name, effect.input) for effect in outcome.effects] == [
        ("mine", "bake", "5"),
        ("other", "bake", "6"),
    ]


def test_inputs_are_read_as_declared():
    @dataclass
    class Order:
        amount: int

    class Shop(DurableEntity):
        def order(self, order: Order) -> str:
            return type(order).__name__

    Shop.order.__annotations__["order"] = Order
    assert shown(perform(Shop, "order", {"amount": 1}))[1] == "Order"


def test_an_operation_takes_one_input():
    with pytest.raises(TypeError, match="operation 'move' of entity class 'Bad' takes more than one input"):

        class Bad(DurableEntity):
            def move(self, x, y):
                raise AssertionError

    with pytest.raises(TypeError, match="operation 'move' of entity class 'Bad' takes its input by name only"):

        class Bad(DurableEntity):
            def move(self, *, x):
                raise AssertionError


def test_types_by_name():
    definition = EntityDefinition(Counter)
    assert definition.hints("add_later") == Hints(int, int)
    assert definition.hints("missing") == Hints()
    assert NoTypes().entity_operation("counter", "add") == Hints()
