"""Typed data: JSON read back as what a type hint declares.

What JSON itself can hold (texts, numbers, lists, dictionaries and typed dictionaries of these) is handed over as it is,
whatever the hint says: apps that were written without checks keep running. Everything else a hint can name is made
and checked by pydantic, or by the class's own `from_json`. Stored data never decides what is imported: a class is only
rebuilt if user code has named it, in a hint or with `register_type`.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from collections import abc
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, is_typeddict

from perdure.errors import DataError

Reader = Callable[[str], Any]
"""Reads JSON text. Raises DataError."""

C = TypeVar("C", bound=type)

_NATIVE = (Any, object, None, type(None), str, int, float, bool, dict, list, abc.Mapping, abc.Sequence, abc.Iterable)
_NATIVE_ORIGINS = {dict, list, abc.Mapping, abc.MutableMapping, abc.Sequence, abc.Iterable, Literal}
_TAKES_TYPED_DICTIONARIES = sys.version_info >= (3, 12)
_SHOWN = 100
"""Characters of an unfit value that an error shows."""

_registered: dict[tuple[str, str], type] = {}


def register_type(cls: C) -> C:
    """Let a class with `to_json` and `from_json` be rebuilt wherever its objects were written, even without a hint.

    Usable as a decorator.

    Raises:
        TypeError: the class lacks one of the two.
    """
    if not is_self_describing(cls):
        raise TypeError(f"{getattr(cls, '__qualname__', cls)} needs to_json and from_json to be registered")
    _registered[_named(cls)] = cls
    return cls


def is_self_describing(cls: object) -> bool:
    """Whether this is a class that writes and reads its objects itself, the way Durable Functions asks for."""
    return isinstance(cls, type) and all(callable(getattr(cls, name, None)) for name in ("to_json", "from_json"))


def described(value: Any) -> dict[str, Any]:
    """Return what is written for an object of such a class."""
    cls = type(value)
    module, name = _named(cls)
    return {"__class__": name, "__module__": module, "__data__": cls.to_json(value)}


def read_as(text: str | None, hint: Any, what: str) -> Any:
    """Read JSON text as the hint declares. None (no datum at all) reads as None.

    Args:
        text: JSON text.
        hint: a type, or whatever can stand in an annotation; None or Any takes the JSON as it is.
        what: how an error names the value, such as "the input of activity 'pay'".

    Raises:
        DataError: the value does not fit; it names `what`, the field and the value.
    """
    if text is None:
        return None
    try:
        return reader_of(hint)(text)
    except _Unfit as unfit:
        raise DataError(f"{what} is no {_shown_hint(hint)}: {unfit}") from unfit.__cause__


def problem_with(hint: Any) -> str | None:
    """Return why values can't be read as this hint, or None if they can."""
    try:
        reader_of(hint)
    except UnusableHint as unusable:
        return str(unusable)
    return None


class UnusableHint(DataError):
    """Nothing can be read as this hint."""


class _Unfit(Exception):
    """The value does not fit; the text says where."""


def reader_of(hint: Any) -> Reader:
    """Return what reads JSON as a hint declares. Raises UnusableHint."""
    try:
        return _cached_reader(hint)
    except TypeError:  # not hashable, such as Annotated[int, [1]]
        return _reader(hint)


def _reader(hint: Any) -> Reader:
    if is_self_describing(hint):
        return _OwnReader(hint)
    own = {_named(cls): cls for cls in _classes_in(hint) if is_self_describing(cls)}
    if own:
        return lambda text: _load(text, own)
    return _load if _is_native(hint) else _PydanticReader(hint)


_cached_reader = lru_cache(maxsize=1_000)(_reader)


def _load(text: str, own: dict[tuple[str, str], type] | None = None) -> Any:
    """Read JSON, with the objects of classes that are registered or in `own`."""
    if not own and not _registered:
        return json.loads(text)

    def rebuilt(content: dict[str, Any]) -> Any:
        if content.keys() != {"__class__", "__module__", "__data__"}:
            return content
        key = (str(content["__module__"]), str(content["__class__"]))
        cls = (own or {}).get(key) or _registered.get(key)
        return content if cls is None else _made(cls, content["__data__"])

    return json.loads(text, object_hook=rebuilt)


class _OwnReader:
    """Reads objects of one class that reads itself, whether they were written with its name or without."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._own = {_named(cls): cls}

    def __call__(self, text: str) -> Any:
        value = _load(text, self._own)
        return value if value is None or isinstance(value, self._cls) else _made(self._cls, value)


class _PydanticReader:
    """Reads with pydantic. The hint stands in a tuple, so that our configuration reaches dataclasses and typed
    dictionaries, which take none of their own; models keep theirs.
    """

    def __init__(self, hint: Any) -> None:
        from pydantic import ConfigDict, TypeAdapter
        from pydantic.errors import PydanticUserError

        config = ConfigDict(val_json_bytes="base64")
        wrapped: Any = types.GenericAlias(tuple, (hint if _TAKES_TYPED_DICTIONARIES else portable(hint),))
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(wrapped, config=config)
        except (PydanticUserError, NameError, TypeError, AttributeError) as error:
            why = str(error).partition("\n")[0].partition(". ")[0]
            raise UnusableHint(f"nothing can be read as {_shown_hint(hint)}: {why}") from error

    def __call__(self, text: str) -> Any:
        from pydantic import ValidationError

        try:
            return self._adapter.validate_json(f"[{text}]")[0]
        except ValidationError as error:
            problems = [_problem(each["loc"][1:], each["msg"], each.get("input")) for each in error.errors()]
            more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""  # noqa: PLR2004 - enough to see
            raise _Unfit("; ".join(problems[:3]) + more) from error


def _made(cls: Any, data: Any) -> Any:
    try:
        return cls.from_json(data)
    except Exception as error:
        raise _Unfit(f"{cls.__qualname__}.from_json raised {type(error).__name__}: {error}") from error


def _problem(place: tuple[int | str, ...], why: str, value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    field = ".".join(map(str, place))
    return f"{f'field {field!r}: ' if field else ''}{why} (got {shown})"


def _is_native(hint: Any) -> bool:
    """Whether JSON holds such values as they are."""
    if isinstance(hint, TypeVar) or any(hint is native for native in _NATIVE):
        return True
    if is_typeddict(hint):
        try:
            return all(map(_is_native, typing.get_type_hints(hint).values()))
        except NameError:
            return True  # it can't be checked, so it is not
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return all(map(_is_native, arguments))
    if origin is Literal:
        return all(argument is None or type(argument) in (str, int, bool) for argument in arguments)
    if origin is Annotated:
        return False
    if origin in (dict, abc.Mapping, abc.MutableMapping):
        return arguments[0] in (str, Any) and _is_native(arguments[1])
    return origin in _NATIVE_ORIGINS and all(map(_is_native, arguments))


def portable(hint: Any) -> Any:
    """Return the hint as pydantic takes it before Python 3.12: without the typed dictionaries of `typing`."""
    if is_typeddict(hint):
        import typing_extensions

        fields = typing.get_type_hints(hint, include_extras=True)
        total = getattr(hint, "__total__", True)
        make: Any = typing_extensions.TypedDict
        return make(hint.__name__, {name: portable(field) for name, field in fields.items()}, total=total)
    origin, arguments = get_origin(hint), get_args(hint)
    if not arguments or origin in (Literal, Annotated):
        return hint
    if origin in (typing.Required, typing.NotRequired):
        return origin[portable(arguments[0])]
    generic: Any = Union if origin is types.UnionType else origin
    return generic[tuple(map(portable, arguments))]


def _classes_in(hint: Any) -> Iterator[Any]:
    yield hint
    for argument in get_args(hint):
        yield from _classes_in(argument)


def _named(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__name__


def _shown_hint(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
