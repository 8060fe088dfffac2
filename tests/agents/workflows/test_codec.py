"""What a workflow stores says what it is, and is read only into types that the workflow declares."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import pytest
from agent_framework import (
    AgentExecutorResponse,
    AgentResponse,
    AgentSession,
    Content,
    Message,
    SubWorkflowRequestMessage,
    WorkflowEvent,
)
from pydantic import BaseModel, PrivateAttr

from perdure.agents.workflows import UndeclaredTypeError, WorkflowRegistrationError
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.declared_types import DeclaredTypes
from perdure.agents.workflows.framework import MESSAGE_TYPES
from perdure.agents.workflows.plain import plain
from perdure.errors import StoredDataError


class Colour(Enum):
    RED = ("r", 1)


class Level(IntEnum):
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    colour: Colour = Colour.RED


@dataclass
class Whole:
    """Names `Part` only by holding it."""

    parts: list[Part]
    about: dict[str, Any] = field(default_factory=dict)
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made += 1


@dataclass
class Special(Whole):
    note: str = ""


class Model(BaseModel, extra="allow"):
    part: Part | None = None
    when: datetime | None = None
    children: list[Model] = []
    _seen: int = PrivateAttr(default=0)


class Point(NamedTuple):
    x: int
    y: Part


class Row(TypedDict):
    part: Part


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and vars(self) == vars(other)

    __hash__ = None


class Undeclared:
    pass


Name = NewType("Name", Part)
CODEC = Codec(DeclaredTypes([*MESSAGE_TYPES, Whole, Model, Point, Plain, Level, Colour]))
AWARE = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def there_and_back(value: Any) -> Any:
    return CODEC.decode(json.loads(json.dumps(CODEC.encode(value), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1 << 70,
        1.5,
        "text\n\ud7ff",
        [1, ["a", None]],
        {"a": {"b": []}},
        {1: "a", "1": "b", (1, 2): 3, None: 4},
        {"$type": "not a type"},
        math.inf,
        (1, (2,)),
        {1, "a"},
        frozenset({(1, 2)}),
        deque([1, 2], maxlen=3),
        OrderedDict(b=1, a=2),
        Counter("aab"),
        defaultdict(list, {"a": [1]}),
        b"\x00\xff",
        bytearray(b"ab"),
        1 + 2j,
        AWARE,
        datetime(2026, 1, 2, fold=1),  # noqa: DTZ001 - a naive one comes back naive
        date(2026, 1, 2),
        time(3, 4, tzinfo=UTC),
        timedelta(days=-1, microseconds=5),
        Decimal("1.10"),
        UUID(int=7),
        Colour.RED,
        Level.HIGH,
        Part(1),
        Whole([Part(2)], {"model": Part(3)}),
        Special([Part(4)], note="a subclass that nobody declared"),
        Model(part=Part(8), when=AWARE, children=[Model()], more=Part(5)),
        Point(1, Part(6)),
        Plain({"at": Part(7)}),
        [str, Part, None, list[int], dict[str, Part] | None, tuple[int, ...], Literal["a", 1], Any],
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_as_they_were(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_comes_back_as_nan():
    assert math.isnan(there_and_back(math.nan))


def test_objects_are_read_without_being_made_anew():
    whole = Whole([])
    assert there_and_back(whole).made == 1


def test_private_attributes_of_models_are_kept():
    model = Model()
    model._seen = 3
    back = there_and_back(model)
    assert back._seen == 3
    assert back.model_fields_set == set()


def test_messages_of_the_framework():
    said = Message("user", ["hi", Content.from_function_call("c", "f", arguments={"a": 1})], author_name="me")
    answer = AgentResponse(messages=[said], response_id="r", value=Part(1))
    back = there_and_back(AgentExecutorResponse("a", answer, [said]))
    assert back.agent_response.value == Part(1)
    assert back.agent_response.to_dict() == answer.to_dict()
    assert back.full_conversation[0].to_dict() == said.to_dict()
    session = AgentSession(session_id="s")
    session.state["notes"] = {"a": [1]}
    assert there_and_back(session).to_dict() == session.to_dict()


def test_requests_of_wrapped_workflows():
    event = WorkflowEvent.request_info("id", "asks", Part(1), list[str] | None)
    back = there_and_back(SubWorkflowRequestMessage(event, "wraps")).source_event
    assert (back.request_id, back.source_executor_id, back.data) == ("id", "asks", Part(1))
    assert (back.response_type, back.request_type) == (list[str] | None, Part)


def test_framework_types_are_named_without_their_private_modules():
    assert CODEC.encode(Message("user", ["hi"]))["$type"] == "agent_framework.Message"


@pytest.mark.parametrize(
    "value", [Undeclared(), [Undeclared()], {"a": (Undeclared(),)}, ValueError("x"), object(), print, sys]
)
def test_what_is_not_declared_is_refused(value):
    assert not CODEC.can_encode(value)
    with pytest.raises(UndeclaredTypeError, match="a type that the workflow does not declare"):
        CODEC.encode(value)


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", f"{__name__}.Undeclared", "builtins.eval", ""])
def test_stored_names_import_nothing(name):
    with pytest.raises(UndeclaredTypeError):
        CODEC.decode({"$type": name, "fields": {}})


@pytest.mark.parametrize(
    "data",
    [
        {"$type": f"{__name__}.Part"},
        {"$type": f"{__name__}.Colour", "member": "BLUE"},
        {"$type": "datetime", "value": "soon"},
        {"$type": "defaultdict", "items": [], "factory": "open"},
        {"$type": ["list"], "items": []},
    ],
)
def test_damaged_data_are_told_of(data):
    with pytest.raises(StoredDataError, match="can't be read"):
        CODEC.decode(data)


def test_an_unknown_factory_is_refused():
    with pytest.raises(UndeclaredTypeError):
        CODEC.encode(defaultdict(lambda: 1))


def test_plain_json_has_the_data_and_not_the_types():
    value = {
        "model": Model(part=Part(1), extra={1}),
        "whole": Whole([Part(1)]),
        "at": AWARE,
        "pairs": {1: (2, b"a")},
        "level": Level.HIGH,
        "said": Message("user", ["hi"]),
    }
    shown = plain(CODEC.encode(value))
    assert shown["model"]["part"] == {"number": 1, "colour": ["r", 1]}
    assert shown["whole"] == {"parts": [{"number": 1, "colour": ["r", 1]}], "about": {}, "made": 1}
    assert shown["model"]["extra"] == [1]
    assert (shown["at"], shown["pairs"], shown["level"]) == (AWARE.isoformat(), {"1": [2, "YQ=="]}, 2)
    assert shown["said"]["role"] == "user"


def test_annotations_declare_what_they_name():
    types = DeclaredTypes([Row, Name, "list[Unknown]", list["Model"] | None])
    assert types.named(f"{__name__}.Part") is Part
    assert types.name_of(Part) == f"{__name__}.Part"


def test_two_classes_of_one_name_are_refused():
    def another() -> type:
        @dataclass
        class Local:
            number: int

        return Local

    with pytest.raises(WorkflowRegistrationError, match="two classes are named"):
        DeclaredTypes([another(), another()])
