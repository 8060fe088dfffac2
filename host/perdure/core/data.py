"""User data: JSON text on the wire, or a reference to a payload that holds it.

Everywhere in history, rows and messages a datum is a `str`: JSON text in ASCII, or `@` and the id of a payload
stored under the instance that the datum belongs to. JSON text never begins with `@`, so the two can't be mixed up.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any

from perdure.core.typed import described, is_self_describing
from perdure.errors import DataError

INLINE_LIMIT = 30 * 1024
"""Largest datum, in characters, that travels inside a row or a message. An Azure table property takes 64 KiB of
UTF-16, and a queue message 48 KiB in which each quote and backslash of the datum is escaped once more."""

DEPTH_LIMIT = 500
"""Lists and dictionaries inside one another that a datum may have: what one Python version writes, others must be able
to read (3.11 gets as far as 990)."""
SIZE_LIMIT = 100 * 1024 * 1024
"""Characters of the largest datum."""

_REFERENCE = "@"
_SHALLOW = 12
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def to_json(value: Any, what: str = "value") -> str:
    """Write `value` as JSON text in ASCII.

    Dataclasses, pydantic models, datetimes, UUIDs, Decimals, enums, bytes (base64) and sets are written as pydantic
    writes them, and so are dictionary keys of such types; objects with `to_json` and `from_json` write themselves.

    Args:
        value: what to write.
        what: how an error names it, such as "the input of activity 'pay'".

    Raises:
        DataError: it has no JSON form (NaN and infinities have none either), or one that is nested more than 500 deep
            or has more than 100 Mi characters.
    """
    try:
        text = _dumped(value)
    except RecursionError as error:
        raise DataError(f"{what} can't be written as JSON: it is nested too deep, {DEPTH_LIMIT} are allowed") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} can't be written as JSON: {error}") from error
    if len(text) > SIZE_LIMIT:
        raise DataError(
            f"{what} has {len(text)} characters of JSON, but {SIZE_LIMIT} are allowed: store it elsewhere, and hand "
            f"over where"
        )
    if (depth := _depth(text)) > DEPTH_LIMIT:
        raise DataError(f"{what} can't be written as JSON: it is nested {depth} deep, {DEPTH_LIMIT} are allowed")
    return text


def _depth(text: str) -> int:
    """Return how many lists and dictionaries are inside one another; 0 for JSON too small to exceed the limit."""
    if len(text) <= DEPTH_LIMIT or text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return 0
    if _is_shallow(text.encode().translate(None, _NO_BRACKETS)):
        return 0
    brackets = _STRING.sub("", text).encode().translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)))


def _is_shallow(brackets: bytes) -> bool:
    """Tell quickly of most large data that they are: take away the innermost pairs, a few times."""
    for _ in range(_SHALLOW):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets


def _dumped(value: Any) -> str:
    try:
        return _encoder.encode(value)
    except TypeError as error:
        if not str(error).startswith("keys must be"):
            raise
        return _encoder.encode(_with_written_keys(value))


def _with_written_keys(value: Any) -> Any:
    """Return lists and dictionaries with keys that JSON can hold."""
    if isinstance(value, dict):
        return {_written_key(key): _with_written_keys(item) for key, item in value.items()}
    return [_with_written_keys(item) for item in value] if isinstance(value, list | tuple) else value


def _written_key(key: Any) -> Any:
    if key is None or isinstance(key, str | int | float):
        return key
    written = _rich(key)
    if not isinstance(written, str):
        raise TypeError(f"{type(key).__qualname__} can't be the key of a dictionary in JSON")
    return written


def from_json(text: str | None) -> Any:
    """Read JSON text back. None (no datum at all) reads as None."""
    return None if text is None else json.loads(text)


def reference(payload_id: str) -> str:
    """Return the datum that refers to a payload."""
    return _REFERENCE + payload_id


def payload_of(datum: str | None) -> str | None:
    """Return the payload id a datum refers to, or None if it is inline or absent."""
    return datum[1:] if datum is not None and datum.startswith(_REFERENCE) else None


def fits_inline(datum: str) -> bool:
    """Whether a datum may travel inside rows and messages, once escaped as a JSON string."""
    return len(datum) + datum.count('"') + datum.count("\\") <= INLINE_LIMIT


def _rich(value: Any) -> Any:
    """Return what JSON can hold of a value that it can't hold as it is."""
    if is_self_describing(type(value)):
        return described(value)
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, inf_nan_mode="constants", bytes_mode="base64", fallback=_unknown)
    except PydanticSerializationError as error:
        raise TypeError(f"{type(value).__qualname__} has no JSON form") from error


def _unknown(value: Any) -> Any:
    """Write what pydantic does not know, somewhere inside what it does."""
    if is_self_describing(type(value)):
        return described(value)
    raise TypeError(f"{type(value).__qualname__} has no JSON form")


_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_rich)
