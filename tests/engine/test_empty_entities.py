"""What becomes of entities that have no state any more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.entity_id import EntityId
from perdure.storage.protocol import Conflict
from perdure.testing import AppHarness

ENTITY = EntityId("note", "a")
AN_HOUR = timedelta(hours=1, minutes=1)
LARGE = "x" * 100_000


def note(context):
    if context.operation_name == "delete":
        context.destruct_on_exit()
    else:
        context.set_state(context.get_input())


@pytest.fixture
def harness():
    with AppHarness(entities=[note]) as harness:
        yield harness


@pytest.fixture
def storage(harness):
    return harness.client.storage


async def row_of(storage):
    return await storage.read(str(ENTITY))


def test_its_row_goes_by_itself(harness, storage):
    harness.signal_entity(ENTITY, "write", 1)
    harness.signal_entity(ENTITY, "delete")
    assert harness.run(lambda _: row_of(storage)) is not None
    harness.skip(AN_HOUR)
    assert harness.run(lambda _: row_of(storage)) is None
    assert harness.run(lambda _: storage.queue_length("harness-control")) == 0, "and nothing is under way to it"


def test_it_may_begin_again(harness, storage):
    for text in ("once", "twice"):
        harness.signal_entity(ENTITY, "write", text)
        assert harness.entity_state(ENTITY) == text
        harness.signal_entity(ENTITY, "delete")
        harness.skip(AN_HOUR)
        assert harness.run(lambda _: row_of(storage)) is None


def test_one_that_is_used_within_the_hour_stays(harness, storage):
    harness.signal_entity(ENTITY, "delete")
    harness.skip(timedelta(minutes=50))
    harness.signal_entity(ENTITY, "write", 1)
    harness.skip(timedelta(days=1))
    assert harness.entity_state(ENTITY) == 1


def test_a_large_input_outlives_the_row_of_the_entity_that_it_is_for(harness, storage):
    harness.signal_entity(ENTITY, "delete")
    harness.signal_entity(ENTITY, "write", LARGE, signal_time=timedelta(hours=5))
    harness.skip(timedelta(hours=2))
    assert harness.run(lambda _: row_of(storage)) is None
    harness.skip(timedelta(hours=3, seconds=1))
    assert harness.entity_state(ENTITY) == LARGE
    harness.signal_entity(ENTITY, "delete")
    assert harness.run(lambda _: storage.list_payloads(str(ENTITY))) == []


def test_a_row_that_changes_while_it_is_about_to_go(harness, storage, monkeypatch):
    harness.signal_entity(ENTITY, "delete")
    merge, lost = storage.merge, []

    async def lose_the_first_race(instance_id, etag, update):
        if update.deleting and not lost:
            lost.append(instance_id)
            raise Conflict
        return await merge(instance_id, etag, update)

    monkeypatch.setattr(storage, "merge", lose_the_first_race)
    harness.skip(AN_HOUR)
    assert lost == [str(ENTITY)]
    assert harness.run(lambda _: row_of(storage)) is None
