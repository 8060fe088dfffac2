"""Values of a workflow as JSON that says what they are, read back only into types that the workflow declares.

What JSON can hold stands for itself. Everything else is an object with a `$type`: `tuple`, `set`, `bytes`, `datetime`
and the like for Python's own types, the qualified name for a class that the workflow declares. Nothing is imported
by such a name, and no code of a class runs when its object is read, but that of the framework's own `from_dict`.
"""

from __future__ import annotations

import math
import typing
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin
from uuid import UUID

from agent_framework import AgentResponse, WorkflowEvent
from pydantic import BaseModel

from perdure.agents.workflows.builtin_types import READERS, WRITERS, pairs
from perdure.agents.workflows.declared_types import DeclaredTypes
from perdure.agents.workflows.errors import UndeclaredTypeError
from perdure.errors import StoredDataError

TYPE = "$type"
_NAMED_TYPES: dict[str, Any] = {
    each.__name__: each
    for each in (str, int, float, bool, bytes, list, dict, tuple, set, frozenset, object, datetime, date, time)
} | {"timedelta": timedelta, "Decimal": Decimal, "UUID": UUID, "NoneType": type(None), "Any": Any}
_TYPE_NAMES = {kind: name for name, kind in _NAMED_TYPES.items()}


class Codec:
    """Writes and reads the values of one workflow."""

    def __init__(self, types: DeclaredTypes) -> None:
        self._types = types

    # ---- writing -------------------------------------------------------------------------------------------------

    def encode(self, value: Any) -> Any:
        """Return JSON for a value. Raises UndeclaredTypeError (with the type's name) if it holds another type."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {TYPE: "float", "value": repr(value)}
        if kind is list:
            return [self.encode(item) for item in value]
        if kind is dict:
            return self._encode_dict(value)
        write = WRITERS.get(kind)
        if write is not None:
            return {TYPE: kind.__name__, **write(self.encode, value)}
        return self._encode_object(value)

    def can_encode(self, value: Any) -> bool:
        """Whether a value can be written."""
        try:
            self.encode(value)
        except (UndeclaredTypeError, RecursionError):
            return False
        return True

    def encode_type(self, hint: Any) -> Any:
        """Return JSON for a type: of an answer, for example."""
        if hint is None or hint in _TYPE_NAMES:
            return _TYPE_NAMES[type(None) if hint is None else hint]
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            return {"union": [self.encode_type(each) for each in arguments]}
        if origin is typing.Literal:
            return {"literal": [self.encode(each) for each in arguments]}
        if origin is not None:
            return {"of": self.encode_type(origin), "arguments": [self.encode_type(each) for each in arguments]}
        if hint is ...:
            return "..."
        if isinstance(hint, type):
            return self._types.name_of(hint)
        raise UndeclaredTypeError(str(hint))

    def _encode_dict(self, value: dict[Any, Any]) -> Any:
        if TYPE not in value and all(type(key) is str for key in value):
            return {key: self.encode(item) for key, item in value.items()}
        return {TYPE: "dict", "items": pairs(self.encode, value)}

    def _encode_object(self, value: Any) -> Any:
        if isinstance(value, type) or get_origin(value) is not None:
            return {TYPE: "type", "value": self.encode_type(value)}
        cls = type(value)
        name = self._types.name_of(cls)
        if isinstance(value, Enum):
            return {TYPE: name, "member": value.name, "value": self.encode(value.value)}
        if isinstance(value, WorkflowEvent):
            return {TYPE: name, "fields": self._fields(_event_arguments(value))}
        if isinstance(value, AgentResponse):
            parsed = {"value": self.encode(value.value)} if value.value is not None else {}
            return {TYPE: name, "dict": value.to_dict(), **parsed}
        if isinstance(value, BaseModel):
            return self._encode_model(value, name)
        if is_dataclass(value):
            names = [field.name for field in fields(value) if hasattr(value, field.name)]
            return {TYPE: name, "fields": self._fields({each: getattr(value, each) for each in names})}
        if isinstance(value, tuple):
            return {TYPE: name, "items": [self.encode(item) for item in value]}
        if _writes_itself(cls):
            return {TYPE: name, "dict": value.to_dict()}
        if hasattr(value, "__dict__") and not isinstance(value, list | dict | str | int | float | set | BaseException):
            return {TYPE: name, "fields": self._fields(vars(value))}
        raise UndeclaredTypeError(name)

    def _encode_model(self, value: BaseModel, name: str) -> Any:
        written = {TYPE: name, "fields": self._fields(dict(value.__dict__)), "set": sorted(value.model_fields_set)}
        if value.__pydantic_extra__:
            written["extra"] = self._fields(value.__pydantic_extra__)
        if value.__pydantic_private__:
            written["private"] = self._fields(value.__pydantic_private__)
        return written

    def _fields(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self.encode(value) for name, value in values.items()}

    # ---- reading -------------------------------------------------------------------------------------------------

    def decode(self, data: Any) -> Any:
        """Return the value that JSON stands for.

        Raises:
            UndeclaredTypeError: it names a type that the workflow does not declare.
            StoredDataError: it is damaged.
        """
        if isinstance(data, list):
            return [self.decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        tag = data.get(TYPE)
        if tag is None:
            return {key: self.decode(item) for key, item in data.items()}
        try:
            read = READERS.get(tag)
            if read is not None:
                return read(self.decode, data)
            if tag == "type":
                return self.decode_type(data["value"])
            return self._decode_object(self._types.named(tag), data)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StoredDataError(f"what is stored as a '{tag}' can't be read: {error!r}") from error

    def decode_type(self, data: Any) -> Any:
        """Return the type that JSON stands for. Raises UndeclaredTypeError."""
        if isinstance(data, str):
            if data == "...":
                return ...
            return _NAMED_TYPES[data] if data in _NAMED_TYPES else self._types.named(data)
        if "union" in data:
            return Union[tuple(self.decode_type(each) for each in data["union"])]  # noqa: UP007 - made of a tuple
        if "literal" in data:
            return typing.Literal[tuple(self.decode(each) for each in data["literal"])]
        return self.decode_type(data["of"])[tuple(self.decode_type(each) for each in data["arguments"])]

    def _decode_object(self, cls: type, data: dict[str, Any]) -> Any:
        if "member" in data:
            return cast("type[Enum]", cls)[data["member"]]
        if "items" in data:
            return tuple.__new__(cast("type[tuple[Any, ...]]", cls), [self.decode(item) for item in data["items"]])
        if "dict" in data:
            parsed = {"value": self.decode(data["value"])} if "value" in data else {}
            return cast("Any", cls).from_dict({**data["dict"], **parsed})
        values = {name: self.decode(value) for name, value in data["fields"].items()}
        if issubclass(cls, WorkflowEvent):
            return cls(**values)
        if issubclass(cls, BaseModel):
            return self._decode_model(cls, values, data)
        made = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def _decode_model(self, cls: type[BaseModel], values: dict[str, Any], data: dict[str, Any]) -> BaseModel:
        made = cls.__new__(cls)
        extra, private = data.get("extra"), data.get("private")
        object.__setattr__(made, "__dict__", values)
        object.__setattr__(made, "__pydantic_fields_set__", set(data["set"]))
        extended = cls.model_config.get("extra") == "allow"
        object.__setattr__(made, "__pydantic_extra__", self.decode(extra or {}) if extended else None)
        if private is not None or cls.__private_attributes__:
            object.__setattr__(made, "__pydantic_private__", self.decode(private or {}))
        else:
            object.__setattr__(made, "__pydantic_private__", None)
        return made


def _writes_itself(cls: type) -> bool:
    return all(callable(getattr(cls, name, None)) for name in ("to_dict", "from_dict"))


def _event_arguments(event: WorkflowEvent[Any]) -> dict[str, Any]:
    """Return what a workflow event can be made of again."""
    return {name.removeprefix("_"): value for name, value in vars(event).items() if value is not None}
