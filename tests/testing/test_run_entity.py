"""Operations of an entity alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

import perdure_functions as df
from perdure.errors import DataError
from perdure.testing import BegunOrchestration, Signal, run_entity

app = df.DFApp()
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@app.entity_trigger(context_name="context", entity_name="Tally")
def tally(context: df.DurableEntityContext):
    match context.operation_name:
        case "add":
            context.set_state(context.get_state(lambda: 0) + context.get_input())
            context.set_result(context.get_state())
        case "reset":
            context.destruct_on_exit()
        case "tell":
            context.signal_entity(df.EntityId("Other", "b"), "hear", {"from": context.entity_key})
            context.signal_entity(context.entity_id, "add", 1, context.current_utc_datetime + timedelta(hours=1))
            context.start_new_orchestration("report", 7, "report-1", tags={"kind": "daily"})
            if context.get_input() == "and fail":
                context.set_state(-1)
                raise ValueError("on purpose")


class Basket(BaseModel):
    items: list[str] = []


@app.entity_trigger(context_name="context")
class Shopping(df.DurableEntity):
    state: Basket

    async def put(self, item: str) -> Basket:
        await asyncio.sleep(0)
        self.state.items.append(item)
        return self.state

    def empty(self, into: Basket) -> Basket:
        into.items += self.state.items
        self.state.items.clear()
        return into

    def count(self) -> int:
        return len(self.state.items)


def test_one_operation():
    run = run_entity(tally, "add", 5, state=3)
    assert (run.state, run.result, run.error) == (8, 8, None)
    assert run.entity_id == df.EntityId("Tally", "test")


def test_several_operations_each_on_what_the_last_one_left():
    run = run_entity(tally, [("add", 5), ("add", 6), "reset", ("add", 1)])
    assert [each.result for each in run.operations] == [5, 11, None, 1]
    assert [(each.operation, each.input) for each in run.operations][:2] == [("add", 5), ("add", 6)]
    assert run.state == 1


def test_an_entity_that_deletes_itself_has_no_state():
    run = run_entity(tally, "reset", state=3)
    assert run.state is None
    assert run.state_text is None


def test_signals_and_orchestrations():
    run = run_entity(tally, "tell", key="a", now=NOON)
    assert run.signals == [
        Signal(df.EntityId("other", "b"), "hear", {"from": "a"}),
        Signal(df.EntityId("tally", "a"), "add", 1, NOON + timedelta(hours=1)),
    ]
    assert run.orchestrations == [BegunOrchestration("report", 7, "report-1", tags={"kind": "daily"})]
    assert run.state is None, "what it signals to itself is not performed"


def test_an_operation_that_fails_changes_and_sends_nothing():
    run = run_entity(tally, [("add", 2), ("tell", "and fail")])
    assert run.state == 2
    assert (run.signals, run.orchestrations) == ([], [])
    assert run.result is None
    assert run.error is not None
    assert run.error.is_caused_by(ValueError)
    assert run.operations[0].error is None


def test_classes_with_async_operations_and_typed_state():
    run = run_entity(Shopping, [("put", "tea"), ("put", "milk"), "count"], state=Basket(items=["bread"]))
    assert run.result == 3
    assert run.state == {"items": ["bread", "tea", "milk"]}
    assert run.get_state(Basket) == Basket(items=["bread", "tea", "milk"])


async def test_async_operations_in_an_async_test():
    assert run_entity(Shopping, "put", "tea").state == {"items": ["tea"]}


def test_an_unknown_operation_fails():
    run = run_entity(Shopping, "steal", "tea")
    assert run.error is not None
    assert "has no operation 'steal'; it has: 'count', 'delete', 'empty', 'put'" in run.error.message


def test_an_input_that_does_not_fit_fails_the_operation():
    assert run_entity(Shopping, "empty", {"items": ["tea"]}, state=Basket(items=["milk"])).result["items"] == [
        "tea",
        "milk",
    ]
    run = run_entity(Shopping, "empty", {"items": "none"})
    assert run.error is not None
    assert run.error.is_caused_by(DataError)


def test_plain_functions_and_those_of_two_arguments():
    def doubled(context, amount: int):
        context.set_state(amount * 2)
        return amount * 3

    run = run_entity(doubled, "any", 4)
    assert (run.state, run.result) == (8, 12)


def test_the_time_and_the_key():
    def told(context):
        return [context.entity_key, context.is_newly_constructed, context.current_utc_datetime]

    assert run_entity(told, "any", now=NOON, key="k").result == ["k", True, NOON.isoformat().replace("+00:00", "Z")]
    assert run_entity(told, "any", now=NOON.replace(tzinfo=None), state=1).result == [
        "test",
        False,
        NOON.isoformat().replace("+00:00", "Z"),
    ]


@pytest.mark.parametrize("operations", [[("add", 1, 2)], [3], [()], [(3, 1)]])
def test_what_is_no_operation(operations):
    with pytest.raises(TypeError, match="an operation is"):
        run_entity(tally, operations)


def test_what_is_no_entity():
    with pytest.raises(TypeError, match="made of DurableEntity, and 'Basket' is not"):
        run_entity(Basket, "put")
    with pytest.raises(ValueError, match="is to perform nothing"):
        run_entity(tally, [])


def test_data_without_a_json_form():
    with pytest.raises(DataError):
        run_entity(tally, "add", object())
    with pytest.raises(DataError):
        run_entity(tally, "add", 1, state=object())
