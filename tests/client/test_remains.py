"""What is left of an orchestration whose row is gone: purging its id deletes it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.client import Client
from perdure.engine.deleting import dated_start_input_id, start_input_id
from tests.engine.bench import NOON, Bench, Clock

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def storage():
    return Bench(lambda _: None).storage


async def purge(storage):
    assert (await Client(storage, clock=Clock()).purge_instance_history("one")).instances_deleted == 0
    return await storage.list_payloads("one")


async def test_segments_and_payloads_go(storage):
    await storage.put_segment("one", "00000000-000000-c", b"history")
    await storage.put_payload("one", "p", b"data")
    await storage.put_payload("one-more", "p", b"data")
    assert await purge(storage) == []
    assert await storage.list_segments("one") == []
    assert await storage.list_payloads("one-more") == ["p"]


async def test_the_input_of_a_start_that_was_never_made_goes_after_an_hour(storage):
    old, new = (dated_start_input_id(name, NOON - age) for name, age in (("a", HOUR + SECOND), ("b", HOUR - SECOND)))
    await storage.put_payload("one", old, b"data")
    await storage.put_payload("one", new, b"data")
    assert await purge(storage) == [new]


async def test_the_input_of_a_child_stays_until_its_parent_starts_it(storage):
    await storage.put_payload("one", start_input_id("child"), b"data")
    assert await purge(storage) == [start_input_id("child")]
