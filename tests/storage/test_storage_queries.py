import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from perdure.storage.protocol import Storage
from perdure.storage.rows import Instance, InstanceQuery, RowUpdate
from tests.storage.providers import NOON, new_row


def hours(count: float):
    return NOON + timedelta(hours=count)


async def ids(storage: Storage, **conditions) -> list[str]:
    return [instance.instance_id for instance in await everything(storage, InstanceQuery(**conditions))]


async def everything(storage: Storage, query: InstanceQuery, top: int = 100) -> list[Instance]:
    instances, continuation = [], None
    while True:
        page = await storage.query(query, top=top, continuation=continuation)
        assert len(page.instances) <= top
        instances += page.instances
        continuation = page.continuation
        if continuation is None:
            return instances


@pytest.fixture
async def orders(storage):
    rows = [
        new_row("order-1", status="Running", created_at=hours(1), tail=[b"t"], tags={"a": "b"}, output='"o"'),
        new_row("order-2", status="Completed", created_at=hours(2)),
        new_row("order-3", status="Failed", created_at=hours(3)),
        new_row("ORDER-4", status="Running", created_at=hours(4)),
        new_row("orders", status="Running", created_at=hours(5)),
        new_row("@cart@order-1", status="Running", created_at=hours(1), kind="entity"),
    ]
    await asyncio.gather(*(storage.insert(row) for row in rows))
    return {row.instance.instance_id: row.instance for row in rows}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, {"order-1", "order-2", "order-3", "ORDER-4", "orders"}),
        ({"kind": "entity"}, {"@cart@order-1"}),
        ({"id_prefix": "order-"}, {"order-1", "order-2", "order-3"}),
        ({"id_prefix": "order-1"}, {"order-1"}),
        ({"id_prefix": "order-10"}, set()),
        ({"id_prefix": "@cart@", "kind": "entity"}, {"@cart@order-1"}),
        ({"statuses": ("Running",)}, {"order-1", "ORDER-4", "orders"}),
        ({"statuses": ("Completed", "Failed")}, {"order-2", "order-3"}),
        ({"statuses": ("it's",)}, set()),
        ({"statuses": (*"abcdefghijklmnopq", "Failed", "Running"), "id_prefix": "order-"}, {"order-1", "order-3"}),
        ({"tags": {"a": "b"}}, {"order-1"}),
        ({"tags": {"a": "b", "c": "d"}}, set()),
        ({"tags": {"a": "B"}}, set()),
        ({"tags": {"x' OR 1=1 --": '"'}}, set()),
        ({"created_from": hours(3)}, {"order-3", "ORDER-4", "orders"}),
        ({"created_to": hours(3)}, {"order-1", "order-2", "order-3"}),
        ({"created_from": hours(2), "created_to": hours(4)}, {"order-2", "order-3", "ORDER-4"}),
        ({"created_from": hours(2) + timedelta(microseconds=1), "created_to": hours(3)}, {"order-3"}),
        ({"id_prefix": "order", "statuses": ("Running",), "created_to": hours(4)}, {"order-1"}),
        ({"kind": "entity", "statuses": ("Running",), "created_from": hours(1)}, {"@cart@order-1"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_a_query_returns_exactly_what_meets_all_conditions(storage, orders, conditions, expected):
    assert set(await ids(storage, **conditions)) == expected


async def test_a_query_returns_all_columns(storage, orders):
    assert {instance.instance_id: instance for instance in await everything(storage, InstanceQuery())} == {
        name: instance for name, instance in orders.items() if instance.kind == "orchestration"
    }


async def test_times_of_a_query_may_be_in_any_zone_and_reach_any_limit(storage, orders):
    tokyo = hours(3).astimezone(timezone(timedelta(hours=9)))
    assert set(await ids(storage, created_from=tokyo, created_to=tokyo)) == {"order-3"}

    whole = {"created_from": datetime.min.replace(tzinfo=UTC), "created_to": datetime.max.replace(tzinfo=UTC)}
    assert len(await ids(storage, **whole)) == 5

    with pytest.raises(ValueError, match="zone"):
        await storage.query(InstanceQuery(created_from=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point


async def test_rows_that_are_being_deleted_are_left_out(storage, orders):
    row = await storage.read("order-2")
    await storage.merge("order-2", row.etag, RowUpdate(updated_at=NOON, commit="c", deleting=True))

    assert set(await ids(storage, id_prefix="order-")) == {"order-1", "order-3"}


async def test_pages_cover_every_row_once_in_a_stable_order(storage, orders):
    query = InstanceQuery(id_prefix="order")

    by_one = await everything(storage, query, top=1)
    by_two = await everything(storage, query, top=2)
    at_once = await everything(storage, query)

    assert len(at_once) == 4
    assert by_one == by_two == at_once


async def test_pages_of_a_filter_that_skips_rows_are_complete(storage, orders):
    assert [i.instance_id for i in await everything(storage, InstanceQuery(statuses=("Failed",)), top=1)] == ["order-3"]


async def test_a_query_pages_past_1000_rows(storage):
    expected = {f"bulk-{number:04}" for number in range(1030)}
    gate = asyncio.Semaphore(32)

    async def insert(instance_id: str) -> None:
        async with gate:
            await storage.insert(new_row(instance_id))

    await asyncio.gather(*map(insert, expected))

    first = await storage.query(InstanceQuery(), top=1000)
    assert len(first.instances) == 1000
    found = [instance.instance_id for instance in await everything(storage, InstanceQuery(), top=1000)]
    assert len(found) == 1030
    assert set(found) == expected
    assert len(await everything(storage, InstanceQuery(id_prefix="bulk-10"), top=7)) == 30


async def test_a_foreign_continuation_is_refused(provider, storage, orders):
    token = (await storage.query(InstanceQuery(), top=1)).continuation
    other = provider.open(storage.hub + "b")
    await other.create()

    for bad in ("", "x", "nonsense!", token[:-1], token + "A", token[::-1], '{"PartitionKey": "a"}', "é"):
        with pytest.raises(ValueError, match="continuation"):
            await storage.query(InstanceQuery(), continuation=bad)
    with pytest.raises(ValueError, match="continuation"):
        await other.query(InstanceQuery(), continuation=token)


@pytest.mark.parametrize("top", [0, -1, 1001])
async def test_a_page_has_1_to_1000_rows(storage, top):
    with pytest.raises(ValueError, match="1000"):
        await storage.query(InstanceQuery(), top=top)
