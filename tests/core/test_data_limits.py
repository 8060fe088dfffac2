"""How deep and how large data may be, how many tags there may be, and which names and times are none."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from perdure.core import data
from perdure.core.data import DEPTH_LIMIT, from_json, to_json
from perdure.core.entity_id import EntityId
from perdure.core.naming import checked_tags
from perdure.core.times import EARLIEST_START, start_time
from perdure.errors import DataError
from tests.core.driving import Driver


def nested(depth, make):
    value = make(None)
    for _ in range(depth - 1):
        value = make(value)
    return value


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: ["[{", inner, "]"]])
def test_data_may_be_nested_so_deep_and_no_deeper(make):
    deepest = nested(DEPTH_LIMIT, make)
    assert from_json(to_json(deepest)) == deepest
    with pytest.raises(DataError, match=f"nested {DEPTH_LIMIT + 1} deep, {DEPTH_LIMIT} are allowed"):
        to_json(nested(DEPTH_LIMIT + 1, make), "the input")
    with pytest.raises(DataError, match=f"nested too deep, {DEPTH_LIMIT} are allowed"):
        to_json(nested(100_000, make), "the input")


def test_wide_data_are_not_deep():
    numbered = {str(number): {} for number in range(2_000)}
    for wide in ([{"a": [1]}] * 2_000, numbered, ["]}" * 9, '[{\\"' * 999, [[]] * 999]):
        assert json.loads(to_json(wide)) == wide


def test_data_that_are_wide_and_deep_are_measured_exactly():
    comb = nested(DEPTH_LIMIT - 1, lambda inner: [[], inner, {}, "[["])
    assert from_json(to_json(comb)) == comb
    with pytest.raises(DataError, match=f"nested {DEPTH_LIMIT + 1} deep"):
        to_json([comb])


def test_data_may_be_so_large_and_no_larger(monkeypatch):
    monkeypatch.setattr(data, "SIZE_LIMIT", 1_000)
    assert to_json("x" * 998) == '"' + "x" * 998 + '"'
    with pytest.raises(DataError, match="the input has 1001 characters of JSON, but 1000 are allowed"):
        to_json("x" * 999, "the input")


def test_tags_are_a_dictionary_and_not_too_many():
    fits = {str(number): "\x00" * 130 for number in range(10)}  # a control character is written as six
    assert checked_tags(fits) == fits
    assert checked_tags(None) == {}
    with pytest.raises(TypeError, match="tags are a dictionary of texts, not list"):
        checked_tags(["a"])
    with pytest.raises(ValueError, match="1001 tags: 1000 are allowed"):
        checked_tags({str(number): "" for number in range(1_001)})
    with pytest.raises(ValueError, match="the tags have 8416 characters in all: 8000 are allowed"):
        checked_tags({**fits, "more": "\x00" * 98 + '"\\' * 2 + "ä" * 6})


def test_an_entity_id_is_read_from_texts_only():
    with pytest.raises(TypeError, match="an entity id is a text, not int"):
        EntityId.parse(5)


def test_an_instance_starts_in_1601_at_the_earliest():
    assert start_time(datetime(1601, 1, 1, tzinfo=UTC)) == EARLIEST_START
    with pytest.raises(ValueError, match="start_at is out of range: 1600"):
        start_time(datetime(1600, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda context: context.wait_for_external_event(""), "an external event's name can't be empty"),
        (lambda context: context.send_event("other", ""), "an external event's name can't be empty"),
        (lambda context: context.create_timer(timedelta.max), "create_timer: the calendar does not reach"),
        (lambda context: context.create_timer(timedelta.min), "create_timer: the calendar does not reach"),
    ],
)
def test_what_an_orchestrator_can_not_ask_for_is_its_own_error(ask, told):
    def order(context):
        try:
            return (yield ask(context))
        except ValueError as error:
            return str(error)

    driver = Driver(order)
    driver.start()
    assert told in driver.output
