"""Types, tags and placement through an app's own functions, over its queues."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

import perdure_functions as df
from perdure.errors import DataError
from tests.functions.test_http_api import BASE


class Size(StrEnum):
    SMALL = "small"


class Order(BaseModel):
    item: str
    price: Decimal
    size: Size = Size.SMALL
    due: datetime | None = None


@dataclass
class Receipt:
    order: Order
    raw: bytes
    at: datetime


SEEN: list[Any] = []


def typed_app():
    app = df.DFApp()

    @app.activity_trigger(input_name="order")
    def charge(order: Order) -> Receipt:
        SEEN.append(order)
        return Receipt(order, b"\xff", datetime(2026, 1, 1, tzinfo=UTC))

    @app.activity_trigger(input_name="receipt")
    async def total(receipt: Receipt) -> Decimal:
        SEEN.append((receipt, dict(df.activity_context().tags)))
        return receipt.order.price * 2

    @app.orchestration_trigger(context_name="context")
    def place(context: df.OrchestrationContext, order: Order) -> Generator[Any, Any, Receipt]:
        SEEN.append(order)
        receipt = yield context.call_activity(charge, order, placement="queue")
        doubled = yield context.call_activity("total", receipt, tags={"why": "test"})
        SEEN.append(doubled)
        return receipt

    @app.orchestration_trigger(context_name="context")
    def parent(context: df.OrchestrationContext) -> Generator[Any, Any, bool]:
        order = context.get_input(Order)
        receipt = yield context.call_sub_orchestrator(place, order, "child", tags={"of": "parent"})
        SEEN.append(receipt)
        go = yield context.wait_for_external_event("go", expected_type=set[int])
        return go == {1, 2} and isinstance(receipt, Receipt)

    @app.orchestration_trigger(context_name="context", input_type=Order)
    def by_trigger(context: df.OrchestrationContext) -> str:
        return type(context.get_input()).__name__

    return app


async def test_types_go_in_and_come_back_as_declared(drive):
    SEEN.clear()
    driver = await drive(typed_app())
    client = await driver.app.runtime.client()
    order = Order(item="tea", price=Decimal("1.10"), due=datetime(2026, 5, 1, tzinfo=UTC))
    await client.start_new("parent", "one", order)
    await client.raise_event("one", "go", {1, 2})
    assert (await driver.ended(f"{BASE}/one"))["output"] is True
    receipt = Receipt(order, b"\xff", datetime(2026, 1, 1, tzinfo=UTC))
    assert [order, order, (receipt, {"why": "test"}), Decimal("2.20"), receipt] == SEEN
    child = await client.get_status("child")
    assert (child.tags, child.get_output(Receipt)) == ({"of": "parent"}, receipt)
    assert "perdure-workitems" in driver.delivered  # where placement="queue" sent it


async def test_the_trigger_may_say_the_input_type(drive):
    driver = await drive(typed_app())
    client = await driver.app.runtime.client()
    await client.start_new("by_trigger", "one", {"item": "tea", "price": "1"})
    assert (await driver.ended(f"{BASE}/one"))["output"] == "Order"
    with pytest.raises(DataError, match="the input of orchestration 'by_trigger' is no Order: field 'price'"):
        await client.start_new("by_trigger", "two", {"item": "tea", "price": "much"})


async def test_an_activity_that_gets_what_does_not_fit_fails_by_name(drive):
    app = typed_app()

    @app.orchestration_trigger(context_name="context")
    def careless(context):
        return (yield context.call_activity("charge", {"item": "tea"}))

    driver = await drive(app)
    client = await driver.app.runtime.client()
    await client.start_new("careless", "one")
    output = (await driver.ended(f"{BASE}/one"))["output"]
    assert "the input of activity 'charge' is no Order: field 'price': Field required" in output


def test_a_hint_that_does_not_resolve_is_reported_at_the_start(app_folder, caplog):
    app = df.DFApp()

    @app.activity_trigger(input_name="order")
    def pay(order: Missing) -> str:  # noqa: F821 - that is the point
        return "paid"

    with caplog.at_level(logging.WARNING):
        app.get_functions()
    assert "activity 'pay': the hint of its parameter 'order', 'Missing', can't be resolved" in caplog.text
