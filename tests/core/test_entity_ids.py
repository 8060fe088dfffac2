"""Entity ids and the streams to entities."""

from datetime import timedelta

import pytest

from perdure.core.entity_id import EntityId, EntityInstanceId, check_orchestration_id, instance_id_of, is_entity_id
from perdure.core.streams import CARRIED, RENEWED_AFTER, Flow, Outflows, Place
from tests.core.driving import NOON


def test_the_name_keeps_its_case_and_compares_without_it():
    one, other = EntityId("Counter", "K"), EntityInstanceId(entity="counter", key="K")
    assert one == other
    assert hash(one) == hash(other)
    assert (one.name, one.entity, one.key, str(one), repr(one)) == (
        "Counter",
        "Counter",
        "K",
        "@counter@K",
        "EntityId('Counter', 'K')",
    )
    assert repr(other) == "EntityInstanceId('counter', 'K')"
    assert one != EntityId("counter", "k")
    assert one != "@counter@K"
    assert one != EntityId("other", "K")
    assert EntityId("a", "z") < EntityId("b", "a")


@pytest.mark.parametrize("key", ["k", "a@b", "@", "ü ß/\\?#%", "a" * 247])
def test_an_id_reads_back(key):
    written = str(EntityId("counter", key))
    assert is_entity_id(written)
    assert EntityId.parse(written) == EntityId("COUNTER", key)
    assert EntityId.get_entity_id(written).key == key
    assert EntityId.get_scheduler_id(EntityId("Counter", key)) == written
    assert instance_id_of(written) == instance_id_of(EntityId("Counter", key)) == written


def test_where_the_management_api_has_it():
    assert EntityId.get_entity_id_url_path(EntityId("Counter", "k")) == "entities/Counter/k"


@pytest.mark.parametrize(
    ("name", "key", "why"),
    [
        ("", "k", "name can't be empty"),
        ("counter", "", "key of an entity 'counter' can't be empty"),
        ("a@b", "k", "can't have an '@'"),
        ("counter", "k" * 248, "at most 254 characters together, not 255"),
        ("\ud800", "k", "lone surrogate"),
    ],
)
def test_what_is_no_id(name, key, why):
    with pytest.raises(ValueError, match=why):
        EntityId(name, key)


@pytest.mark.parametrize("text", ["", "counter", "@counter", "@counter@", "@@k", "order@7"])
def test_what_reads_as_no_id(text):
    assert not is_entity_id(text)
    with pytest.raises(ValueError, match="is written '@name@key'"):
        EntityId.parse(text)


def test_an_entity_is_given_by_its_id():
    with pytest.raises(TypeError, match="by its EntityId, not by int"):
        instance_id_of(7)


def test_messages_to_one_entity_are_numbered():
    outflows = Outflows()
    assert [str(outflows.next("a", NOON, name)) for name in ("x", "y", "z")] == ["x#0", "x#1", "x#2"]
    assert outflows.next("b", NOON, "b") == Place("b", 0)


def test_after_a_silence_a_new_stream_is_begun():
    outflows = Outflows({"a": Flow("old", 7, NOON)})
    assert outflows.next("a", NOON + RENEWED_AFTER, "new") == Place("old", 7)
    assert outflows.next("a", NOON + 2 * RENEWED_AFTER + timedelta(seconds=1), "new") == Place("new", 0)


def test_what_is_forgotten_begins_anew():
    outflows = Outflows({"a": Flow("old", 7, NOON), "b": Flow("old", 1, NOON)})
    outflows.forget("a")
    outflows.forget("never known")
    assert outflows.next("a", NOON, "new") == Place("new", 0)
    outflows.clear()
    assert outflows.next("b", NOON, "new") == Place("new", 0)


def test_the_latest_streams_are_carried_over():
    outflows = Outflows({"old": Flow("s", 1, NOON - RENEWED_AFTER - timedelta(seconds=1))})
    for number in range(CARRIED + 5):
        outflows.next(str(number), NOON, "s")
    outflows.next("3", NOON, "s")
    carried = outflows.recent(NOON)
    assert len(carried) == CARRIED
    assert "old" not in carried
    assert carried["3"].next == 2
    assert "4" not in carried


def test_a_copy_goes_its_own_way():
    outflows = Outflows({"a": Flow("s", 1, NOON)})
    outflows.copy().next("a", NOON, "x")
    assert outflows.next("a", NOON, "x") == Place("s", 1)


def test_an_orchestration_has_no_entity_id():
    assert check_orchestration_id("order@7") == "order@7"
    with pytest.raises(ValueError, match="'@counter@a' is the id of an entity"):
        check_orchestration_id("@counter@a")
