"""The types that a workflow declares: the only ones that its stored data can name."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel

from perdure.agents.workflows.errors import UndeclaredTypeError, WorkflowRegistrationError

_PLAIN_MODULES = {
    "builtins",
    "typing",
    "collections",
    "collections.abc",
    "types",
    "datetime",
    "decimal",
    "uuid",
    "enum",
}
_PLAIN_MODULES |= {"abc", "pydantic.main", "pydantic", "typing_extensions", "asyncio", "pathlib"}


def type_name(cls: type) -> str:
    """Return the name by which stored data names a class; the framework's own classes without their private modules."""
    module = cls.__module__
    if module.startswith("agent_framework"):
        module = module.partition("._")[0]
    return f"{module}.{cls.__qualname__}"


class DeclaredTypes:
    """Classes by name: those that handlers declare, those that these hold, and the subclasses of both."""

    def __init__(self, hints: Iterable[Any] = ()) -> None:
        self._by_name: dict[str, type] = {}
        self._seen: set[Any] = set()
        for hint in hints:
            self.add(hint)

    def add(self, hint: Any) -> None:
        """Declare whatever classes an annotation names, and those that their fields name.

        Raises:
            WorkflowRegistrationError: another class of the same name is declared.
        """
        waiting = [hint]
        while waiting:
            waiting.extend(self._take(waiting.pop()))

    def name_of(self, cls: type) -> str:
        """Return the name of a declared class. Raises UndeclaredTypeError."""
        if not self._knows(cls):
            raise UndeclaredTypeError(type_name(cls))
        return type_name(cls)

    def named(self, name: str) -> type:
        """Return the declared class of this name. Raises UndeclaredTypeError."""
        if name not in self._by_name:
            for cls in [*self._by_name.values()]:
                for derived in _derived(cls):
                    self.add(derived)
        if name not in self._by_name:
            raise UndeclaredTypeError(name)
        return self._by_name[name]

    def _knows(self, cls: type) -> bool:
        if self._by_name.get(type_name(cls)) is cls:
            return True
        if any(self._by_name.get(type_name(base)) is base for base in cls.__mro__[1:]):
            self.add(cls)
            return True
        return False

    def _take(self, hint: Any) -> list[Any]:
        """Declare a class; return what else there is to declare."""
        try:
            if hint in self._seen:
                return []
            self._seen.add(hint)
        except TypeError:  # Annotated with something that has no hash
            return list(get_args(hint))[:1]
        origin = get_origin(hint)
        if origin is Annotated:
            return [get_args(hint)[0]]
        if origin is Literal:
            return [type(value) for value in get_args(hint) if isinstance(value, Enum)]
        if origin is not None:
            return [origin, *(each for argument in get_args(hint) for each in _flat(argument))]
        if isinstance(hint, typing.NewType):
            return [hint.__supertype__]
        if isinstance(hint, TypeVar):
            return [each for each in (hint.__bound__, *hint.__constraints__) if each is not None]
        if not isinstance(hint, type):
            return [hint.__value__] if hasattr(hint, "__value__") else []
        if typing.is_typeddict(hint):
            return list(field_hints(hint).values())
        if hint.__module__ in _PLAIN_MODULES:
            return []
        name = type_name(hint)
        if self._by_name.setdefault(name, hint) is not hint:
            raise WorkflowRegistrationError(
                f"two classes are named '{name}', so stored data can't tell them apart: rename one of them"
            )
        return list(field_hints(hint).values())


def field_hints(cls: type) -> dict[str, Any]:
    """Return the annotations of a class's fields; of those that can't be resolved, none."""
    if issubclass(cls, BaseModel):
        return {name: field.annotation for name, field in cls.model_fields.items()}
    try:
        return dict(_resolved(cls))  # type: ignore[arg-type]  # typeshed: no hash
    except (NameError, TypeError, AttributeError):
        if dataclasses.is_dataclass(cls):
            return {field.name: field.type for field in dataclasses.fields(cls) if not isinstance(field.type, str)}
        return {}


@functools.lru_cache(maxsize=1_000)  # every workflow of an app names much the same classes
def _resolved(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _flat(argument: Any) -> Iterator[Any]:
    """Yield what an argument of a generic type names: `Callable` has lists among them."""
    if isinstance(argument, list | tuple):
        yield from argument
    else:
        yield argument


def _derived(cls: type) -> Iterator[type]:
    derived: type
    for derived in type.__subclasses__(cls):
        yield derived
        yield from _derived(derived)
