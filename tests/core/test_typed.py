"""Typed data: what is written by one side comes back on the other as declared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from perdure.core import typed
from perdure.core.data import to_json
from perdure.core.hints import activity_hints, orchestrator_hints
from perdure.core.typed import problem_with, read_as, register_type
from perdure.errors import DataError
from tests.core.driving import Driver, child_done, done, event, fired

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Size(StrEnum):
    SMALL = "small"


class Rank(IntEnum):
    FIRST = 1


class Item(BaseModel):
    name: str
    price: Decimal = Decimal("1.10")


class Order(BaseModel):
    items: list[Item]
    due: datetime
    note: str | None = None


@dataclass
class Point:
    x: float
    y: float = 0.0


@dataclass
class Shape:
    points: list[Point]
    raw: bytes = b""
    tags: set[str] = field(default_factory=set)


class Pair(NamedTuple):
    left: int
    right: Decimal


class Plain(TypedDict):
    name: str
    more: NotRequired[list[int]]


class Rich(TypedDict):
    at: datetime
    raw: bytes


class Own:
    """Writes itself, as Durable Functions asks for."""

    def __init__(self, value):
        self.value = value

    @staticmethod
    def to_json(own):
        return str(own.value)

    @staticmethod
    def from_json(text):
        return Own(int(text))

    def __eq__(self, other):
        return isinstance(other, Own) and self.value == other.value

    __hash__ = None


class Opaque:
    pass


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ROUND_TRIPS = [
    (Order(items=[Item(name="tea")], due=NOON), Order),
    ([Item(name="tea"), Item(name="milk", price=Decimal("0.30"))], list[Item]),
    (Shape([Point(1.5), Point(2, 3)], b"\xff\x00", {"a"}), Shape),
    ({"a": Shape([])}, dict[str, Shape]),
    (Pair(1, Decimal("2.50")), Pair),
    ({"at": NOON, "raw": b"\xff"}, Rich),
    (NOON, datetime),
    (date(2026, 3, 1), date),
    (timedelta(days=1, microseconds=5), timedelta),
    (UUID(int=5), UUID),
    (Decimal("1.100"), Decimal),
    (b"\x00\xff", bytes),
    (Colour.RED, Colour),
    (Size.SMALL, Size),
    (Rank.FIRST, Rank),
    ({1, 2}, set[int]),
    (frozenset({Decimal(1)}), frozenset[Decimal]),
    ((1, "a", None), tuple[int, str, None]),
    ({UUID(int=1): [Decimal("0.1")]}, dict[UUID, list[Decimal]]),
    ({1: "a"}, dict[int, str]),
    ([{date(2026, 1, 1): (Colour.RED,)}], list[dict[date, tuple[Colour, ...]]]),
    (None, Item | None),
    (Item(name="tea"), Optional[Item]),  # noqa: UP045 - the old form
    (Point(1.0), Item | Point),
    (Item(name="tea"), Annotated[Item, "for later"]),
    (Own(5), Own),
    ([Own(5), None], list[Own | None]),
    ({"a": {"b": Own(5)}}, dict[str, dict[str, Own]]),
    ("text", str),
    ({"any": ["thing", 1, 1.5, True, None]}, Any),
]


@pytest.mark.parametrize(("value", "hint"), ROUND_TRIPS, ids=[str(hint) for _, hint in ROUND_TRIPS])
def test_round_trips(value, hint):
    read = read_as(to_json(value), hint, "it")
    assert read == value
    assert type(read) is type(value)


NATIVE = [
    str, int, float, bool, dict, list, None, Any, object, T, dict[str, Any], list[int], Mapping[str, float], str | int,
    str | None, Literal["a", 1], Plain, list[Plain], dict[str, list[dict[str, int]]],
]  # fmt: skip


@pytest.mark.parametrize("hint", NATIVE, ids=map(str, NATIVE))
def test_what_json_can_hold_is_handed_over_as_it_is(hint):
    """Apps that were written without checks keep running, whatever they receive."""
    value = {"a": [1, "x", {"b": None}]}
    assert read_as(json.dumps(value), hint, "it") == value


def test_falsy_values_stay_what_they_are():
    for value in (0, "", False, [], {}, 0.0, None):
        read = read_as(to_json(value), None, "it")
        assert read == value
        assert type(read) is type(value)


def test_errors_name_the_value_the_field_and_what_was_given():
    text = json.dumps({"items": [{"name": "tea", "price": "much"}], "due": "soon"})
    with pytest.raises(DataError) as caught:
        read_as(text, Order, "the input of activity 'pay'")
    told = str(caught.value)
    assert told.startswith("the input of activity 'pay' is no Order: field 'items.0.price': ")
    assert "(got 'much')" in told
    assert "field 'due': " in told


def test_errors_stay_short():
    with pytest.raises(DataError) as caught:
        read_as(json.dumps([{"x": "y" * 10_000}] * 50), list[Point], "it")
    assert len(str(caught.value)) < 1_000
    assert "(and 47 more)" in str(caught.value)


def test_a_class_that_cannot_read_its_data_is_named():
    with pytest.raises(DataError, match=r"it is no Own: Own\.from_json raised ValueError: invalid literal"):
        read_as('"x"', Own, "it")


def test_stored_data_never_decides_what_is_made(monkeypatch):
    monkeypatch.setattr(typed, "_registered", {})
    text = to_json({"own": Own(5)})
    shown = {"__class__": "Own", "__module__": __name__, "__data__": "5"}
    assert read_as(text, None, "it") == {"own": shown}
    register_type(Own)
    assert read_as(text, None, "it") == {"own": Own(5)}
    assert read_as(text.replace("Own", "Other"), None, "it") == {"own": shown | {"__class__": "Other"}}


def test_only_classes_that_read_themselves_are_registered():
    with pytest.raises(TypeError, match="Opaque needs to_json and from_json"):
        register_type(Opaque)


def test_hints_that_nothing_can_be_read_as():
    assert "nothing can be read as Opaque" in problem_with(Opaque)
    assert problem_with(list[Item]) is None


def test_constraints_of_annotated_hints_hold():
    hint = Annotated[int, Field(ge=0)]
    assert read_as("5", hint, "it") == 5
    with pytest.raises(DataError, match="greater than or equal to 0"):
        read_as("-1", hint, "it")


def test_keys_that_json_cannot_hold():
    with pytest.raises(DataError, match="tuple can't be the key"):
        to_json({"a": [{(1, 2): 3}]})


# ---- hints of functions --------------------------------------------------------------------------------------------


def test_hints_of_activities():
    def pay(order: Order, at: int = 0) -> list[Item]: ...

    async def pay_async(order: Order) -> Item: ...

    def bare(order): ...

    assert activity_hints(pay)[:2] == (Order, list[Item])
    assert activity_hints(pay_async)[:2] == (Order, Item)
    assert activity_hints(bare)[:2] == (None, None)


@pytest.mark.parametrize(
    ("annotation", "output"),
    [
        (Generator[Any, Any, Item], Item),
        (Generator, None),
        (Iterator[int], None),
        (AsyncIterator[int], None),
        (Awaitable[Item], Item),
        (Item, Item),
        (None, type(None)),
    ],
)
def test_what_an_orchestrator_gives_out_in_the_end(annotation, output):
    def flow(context, order): ...

    flow.__annotations__ = {"order": Order, "return": annotation}
    assert orchestrator_hints(flow)[:2] == (Order, output)


def test_the_trigger_may_name_the_input():
    def flow(context): ...

    assert orchestrator_hints(flow, Order).input is Order
    refused = orchestrator_hints(flow, Opaque)
    assert refused.input is None
    assert refused.problems == (f"input_type: {problem_with(Opaque)}",)


def test_hints_that_do_not_resolve_are_told_and_the_others_hold():
    def pay(order: Missing, more: int = 0) -> Item: ...  # noqa: F821 - that is the point

    hints = activity_hints(pay)
    assert hints[:2] == (None, Item)
    assert hints.problems == (
        "the hint of its parameter 'order', 'Missing', can't be resolved: name 'Missing' is not defined",
    )

    def flow(context) -> Missing: ...  # noqa: F821

    assert "the hint of its result" in orchestrator_hints(flow).problems[0]


def test_things_without_a_signature_have_no_hints():
    assert activity_hints(print) is not None
    assert activity_hints(type) == (None, None, ())


# ---- in orchestrations ---------------------------------------------------------------------------------------------


def pay(order: Order) -> Item: ...


def child(context, order: Order) -> Generator[Any, Any, Point]: ...


def test_an_orchestration_works_with_declared_types():
    seen = []

    def flow(context, order: Order):
        seen.append(order)
        seen.append((yield context.call_activity(pay, order)))
        seen.append((yield context.call_activity("other", order, expected_type=Decimal)))
        seen.append((yield context.call_activity("other", order, return_type=UUID)))
        seen.append((yield context.call_sub_orchestrator(child, order)))
        seen.append((yield context.wait_for_external_event("go", Item)))
        seen.append(context.get_input(dict))
        return seen[1]

    order = Order(items=[], due=NOON)
    driver = Driver(flow, json.loads(to_json(order)))
    driver.start()
    driver.turn(done(0, {"name": "tea"}))
    driver.turn(done(1, "1.50"))
    driver.turn(done(2, str(UUID(int=1))))
    driver.turn(child_done(3, {"x": 1}))
    driver.turn(event("go", {"name": "go"}))
    assert seen[:6] == [order, Item(name="tea"), Decimal("1.50"), UUID(int=1), Point(1.0), Item(name="go")]
    assert seen[6]["items"] == []
    assert driver.output == {"name": "tea", "price": "1.10"}


def test_a_result_that_does_not_fit_is_raised_where_it_is_awaited():
    def flow(context):
        try:
            yield context.call_activity(pay)
        except DataError as error:
            return str(error)

    driver = Driver(flow)
    driver.start()
    driver.turn(done(0, {"nome": "tea"}))
    assert driver.output.startswith("the result of activity 'pay' is no Item: field 'name': Field required")


def test_an_event_that_does_not_fit_does_not_lose_the_next():
    def flow(context):
        try:
            yield context.wait_for_external_event("go", Item, timeout=timedelta(hours=1))
        except DataError:
            return (yield context.wait_for_external_event("go", Item)).name

    driver = Driver(flow)
    driver.start()
    driver.turn(event("go", 5))
    driver.turn(event("go", {"name": "tea"}))
    assert driver.output == "tea"


def test_an_input_that_does_not_fit_fails_the_orchestration():
    def flow(context, order: Order):
        return None

    driver = Driver(flow, {"items": 7})
    driver.start()
    assert "the input of orchestration 'flow' is no Order: field 'items'" in driver.output


def test_frozen_and_slotted_dataclasses():
    cls = dataclasses.make_dataclass("Slotted", [("at", datetime)], frozen=True, slots=True)
    assert read_as(to_json(cls(NOON)), cls, "it") == cls(NOON)


def test_timers_read_nothing():
    def flow(context):
        return (yield context.create_timer(timedelta(seconds=1)))

    driver = Driver(flow)
    driver.start()
    driver.turn(fired(0))
    assert driver.output is None


class Nested(TypedDict, total=False):
    rows: list[Rich]
    plain: Plain


def test_typed_dictionaries_before_python_3_12():
    """pydantic takes those of typing_extensions there; they are made of ours."""
    hint = typed.portable(dict[str, Nested | None] | list[Annotated[int, "n"]])
    row = {"at": "2026-03-01T12:00:00Z", "raw": "_w=="}
    read = read_as(json.dumps({"a": {"rows": [row]}, "b": None}), hint, "it")
    assert read == {"a": {"rows": [{"at": NOON, "raw": b"\xff"}]}, "b": None}
    assert typed.portable(Literal["a"]) == Literal["a"]


class Unresolved(TypedDict):
    what: Missing  # noqa: F821 - that is the point


def test_a_typed_dictionary_that_cannot_be_resolved_is_not_checked():
    assert read_as('{"what": 1}', Unresolved, "it") == {"what": 1}


def test_hints_that_cannot_be_hashed():
    hint = Annotated[Item, ["unhashable"]]
    assert read_as('{"name": "tea"}', hint, "it") == Item(name="tea")


def test_an_object_that_writes_itself_may_stand_in_a_model():
    @dataclass
    class Box:
        own: Any
        when: datetime

    assert json.loads(to_json(Box(Own(5), NOON)))["own"]["__data__"] == "5"
    with pytest.raises(DataError, match="Opaque"):
        to_json(Box(Opaque(), NOON))


def test_data_that_are_absent_read_as_none():
    assert read_as(None, Item, "it") is None


def test_only_the_hint_that_cannot_be_read_is_told():
    def pay(order: Opaque) -> Item: ...

    hints = activity_hints(pay)
    assert hints[:2] == (None, Item)
    assert hints.problems == (f"the hint of its input: {problem_with(Opaque)}",)
