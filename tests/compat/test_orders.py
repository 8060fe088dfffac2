"""An app of several blueprints: functions called by name and by themselves, children, the classic orchestrator."""

from __future__ import annotations

import pytest

ORDER = {"id": 7, "item": "samovar", "parts": ["lid", "body"]}


@pytest.fixture
async def app(deploy):
    return await deploy("orders")


async def test_an_order_runs_through_all_blueprints(app):
    url = await app.start_with("POST", "orchestrators/ProcessOrder", ORDER)
    output = await app.completed(url)
    instance_id = (await app.status(url))["instanceId"]
    shipped = {"order": 7, "parcel": "parcel of 7", "id": f"ship-{instance_id}", "parent": instance_id}
    assert output == {
        "reserved": "reserved samovar",
        "price": 7,
        "shipped": shipped,
        "again": "more",
        "generated": True,
        "report": ["- LID", "- BODY"],
    }


async def test_the_singleton_pattern(app):
    url = await app.start_with("PUT", "orders/7", ORDER)
    await app.completed(url)
    again = await app.start_with("PUT", "orders/7", ORDER | {"parts": []})
    assert (await app.completed(again))["report"] == []


async def test_a_blueprints_functions_have_their_names(app):
    assert {"http_start", "put_order"} <= set(app.functions)
    assert not {"ProcessOrder", "ship", "ReserveItem", "describe"} & set(app.functions)
