"""How values of Python's own types are written and read, beside those that JSON has."""

from __future__ import annotations

import base64
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from perdure.agents.workflows.errors import UndeclaredTypeError

Convert = Callable[[Any], Any]
"""Writes or reads a value inside another one."""

_FACTORIES = {"list": list, "dict": dict, "set": set, "int": int, "str": str, "float": float}


def pairs(encode: Convert, value: Mapping[Any, Any]) -> list[list[Any]]:
    """Return a dictionary's keys and values, written."""
    return [[encode(key), encode(item)] for key, item in value.items()]


def _dictionary(decode: Convert, items: Iterable[list[Any]]) -> dict[Any, Any]:
    return {decode(key): decode(value) for key, value in items}


def _ordered(encode: Convert, items: Iterable[Any]) -> list[Any]:
    """Return a set's items in an order that does not change from one process to the next."""
    return sorted(map(encode, items), key=repr)


def _factory(value: defaultdict[Any, Any]) -> str | None:
    name = getattr(value.default_factory, "__name__", None)
    if value.default_factory is not None and _FACTORIES.get(name or "") is not value.default_factory:
        raise UndeclaredTypeError(f"defaultdict of {value.default_factory!r}")
    return name


WRITERS: dict[type, Callable[[Convert, Any], dict[str, Any]]] = {
    tuple: lambda encode, value: {"items": [encode(item) for item in value]},
    set: lambda encode, value: {"items": _ordered(encode, value)},
    frozenset: lambda encode, value: {"items": _ordered(encode, value)},
    deque: lambda encode, value: {"items": [encode(item) for item in value], "longest": value.maxlen},
    OrderedDict: lambda encode, value: {"items": pairs(encode, value)},
    Counter: lambda encode, value: {"items": pairs(encode, value)},
    defaultdict: lambda encode, value: {"items": pairs(encode, value), "factory": _factory(value)},
    bytes: lambda _, value: {"value": base64.b64encode(value).decode()},
    bytearray: lambda _, value: {"value": base64.b64encode(value).decode()},
    complex: lambda _, value: {"value": [value.real, value.imag]},
    datetime: lambda _, value: {"value": value.isoformat(), **({"fold": 1} if value.fold else {})},
    date: lambda _, value: {"value": value.isoformat()},
    time: lambda _, value: {"value": value.isoformat()},
    timedelta: lambda _, value: {"value": [value.days, value.seconds, value.microseconds]},
    Decimal: lambda _, value: {"value": str(value)},
    UUID: lambda _, value: {"value": str(value)},
}
"""What is written for a value of exactly this type; the type's name stands beside it."""

READERS: dict[str, Callable[[Convert, dict[str, Any]], Any]] = {
    "float": lambda _, data: float(data["value"]),
    "dict": lambda decode, data: _dictionary(decode, data["items"]),
    "tuple": lambda decode, data: tuple(map(decode, data["items"])),
    "set": lambda decode, data: set(map(decode, data["items"])),
    "frozenset": lambda decode, data: frozenset(map(decode, data["items"])),
    "deque": lambda decode, data: deque(map(decode, data["items"]), data["longest"]),
    "OrderedDict": lambda decode, data: OrderedDict(_dictionary(decode, data["items"])),
    "Counter": lambda decode, data: Counter(_dictionary(decode, data["items"])),
    "defaultdict": lambda decode, data: defaultdict(
        _FACTORIES[data["factory"]] if data["factory"] else None, _dictionary(decode, data["items"])
    ),
    "bytes": lambda _, data: base64.b64decode(data["value"]),
    "bytearray": lambda _, data: bytearray(base64.b64decode(data["value"])),
    "complex": lambda _, data: complex(*data["value"]),
    "datetime": lambda _, data: datetime.fromisoformat(data["value"]).replace(fold=data.get("fold", 0)),
    "date": lambda _, data: date.fromisoformat(data["value"]),
    "time": lambda _, data: time.fromisoformat(data["value"]),
    "timedelta": lambda _, data: timedelta(*data["value"]),
    "Decimal": lambda _, data: Decimal(data["value"]),
    "UUID": lambda _, data: UUID(data["value"]),
}
"""Reads what is written for a type of this name."""
