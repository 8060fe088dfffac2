"""Failures as data: what went wrong in an activity or orchestration, told across processes."""

from __future__ import annotations

import json
import math
import traceback
from typing import Generic

import msgspec

from perdure.errors import PerdureError

MESSAGE_LIMIT = 4_000
STACK_LIMIT = 8_000
"""Bytes of JSON that the message and the stack of the outermost failure may take; each inner one may take half as
many. So a whole chain takes less than 24 KB, and fits into a queue message and a column of 64 KiB of UTF-16."""
PROPERTIES_LIMIT = 2_000
_DEPTH_LIMIT = 4
_BASES_LIMIT = 8
_TASK_FAILED = "perdure.core.failure.TaskFailedError"

Property = str | int | float | bool | None
ErrorType = type[BaseException] | str
"""An exception's class, or its name, qualified or not."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A failure, bounded in size so that it always fits into a queue message."""

    type: str
    """Qualified name of the exception's class, without `builtins.`."""
    message: str
    """At most 4,000 characters."""
    stack: str | None = None
    """The innermost part of the traceback, at most 8,000 characters."""
    inner: Failure | None = None
    """What caused it."""
    non_retryable: bool = False
    bases: tuple[str, ...] = ()
    """Qualified names of the classes that the exception's class derives from, `Exception` and above left out."""
    properties: dict[str, Property] = {}
    """The exception's own public attributes that are texts, numbers, truth values or None; at most 2,000 bytes."""

    def __str__(self) -> str:
        if self.type == _TASK_FAILED:  # its message says it all
            return self.message
        return f"{self.type}: {self.message}" if self.message else self.type

    @property
    def error_type(self) -> str:
        """Another name of `type`."""
        return self.type

    @property
    def stack_trace(self) -> str | None:
        """Another name of `stack`."""
        return self.stack

    @property
    def inner_failure(self) -> Failure | None:
        """Another name of `inner`."""
        return self.inner

    def is_a(self, error: ErrorType) -> bool:
        """Whether this failure, or that of the task whose failure it passes on, is of the given type or a subclass."""
        if self.type == _TASK_FAILED and self.inner is not None and self.inner.is_a(error):
            return True
        names = (self.type, *self.bases)
        if isinstance(error, str):
            return any(error in (name, name.rpartition(".")[2]) for name in names)
        return error in (Exception, BaseException) or qualified_name(error) in names

    def is_caused_by(self, error: ErrorType) -> bool:
        """Whether this failure or one that caused it is of the given type or a subclass."""
        return self.is_a(error) or (self.inner is not None and self.inner.is_caused_by(error))


class TaskFailedError(PerdureError):
    """An activity or sub-orchestration failed; raised where the orchestrator awaits it."""

    def __init__(self, what: str, details: Failure, no: int | None = None) -> None:
        super().__init__(f"{what} failed: {details}")
        self.what = what
        """What failed, such as "activity 'pay'"."""
        self.details = details
        """The failure, with its inner failures and properties."""
        self.no = no
        """Number of the action that failed."""

    @property
    def error_type(self) -> str:
        """Qualified name of the exception that the task raised."""
        return self.details.type

    @property
    def message(self) -> str:
        """Text of the exception that the task raised."""
        return self.details.message

    @property
    def stack_trace(self) -> str | None:
        """The task's own traceback."""
        return self.details.stack

    @property
    def properties(self) -> dict[str, Property]:
        """The exception's own public attributes that are texts, numbers, truth values or None."""
        return self.details.properties

    def is_caused_by(self, error: ErrorType) -> bool:
        """Whether this failure or one that caused it is of the given type or a subclass.

        Args:
            error: the exception's class, or its name, qualified or not.
        """
        return self.details.is_caused_by(error)


class NonRetryableError(PerdureError):
    """Raise it (or a subclass) in an activity to fail at once, whatever the caller's retry policy says."""


def qualified_name(cls: type) -> str:
    """Return the name by which failures tell an exception class."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def failure_of(error: BaseException) -> Failure:
    """Describe an exception with what caused it: the outermost failures, and the one at the bottom."""
    chain = _chain(error)
    if len(chain) > _DEPTH_LIMIT + 1:
        chain = [*chain[:_DEPTH_LIMIT], chain[-1]]
    described: Failure | None = None
    for depth, link in reversed(list(enumerate(chain))):
        described = Failure(
            type=_clip(link.type, 200),
            message=_clip(link.message, MESSAGE_LIMIT >> depth),
            stack=_clip_front(link.stack or "", STACK_LIMIT >> depth) or None,
            inner=described,
            non_retryable=link.non_retryable,
            bases=link.bases,
            properties=_bounded(link.properties, PROPERTIES_LIMIT >> depth),
        )
    assert described is not None  # noqa: S101 - a chain has at least one link
    return described


def _chain(error: BaseException | None) -> list[Failure]:
    links: list[Failure] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        links.append(_link(error))
        if isinstance(error, TaskFailedError):
            failure: Failure | None = error.details
            while failure is not None:
                links.append(failure)
                failure = failure.inner
            break
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return links


def _link(error: BaseException) -> Failure:
    return Failure(
        type=qualified_name(type(error)),
        message=_text_of(error),
        stack="".join(traceback.format_tb(error.__traceback__)),
        non_retryable=isinstance(error, NonRetryableError),
        bases=tuple(_clip(qualified_name(base), 200) for base in _bases(type(error))[:_BASES_LIMIT]),
        properties={} if isinstance(error, TaskFailedError) else _properties(error),
    )


def _bases(cls: type) -> list[type]:
    above = (Exception, BaseException, object, Generic)
    return [base for base in cls.__mro__[1:] if base not in above]


def _properties(error: BaseException) -> dict[str, Property]:
    return {
        name: value
        for name, value in vars(error).items()
        if isinstance(name, str)
        and not name.startswith("_")
        and (value is None or type(value) in (str, int, float, bool))
        and value not in (math.inf, -math.inf)
        and value == value  # noqa: PLR0124 - NaN has no JSON form
    }


def _bounded(properties: dict[str, Property], limit: int) -> dict[str, Property]:
    kept: dict[str, Property] = {}
    for name, value in properties.items():
        try:
            limit -= len(json.dumps({_storable(name): value}))
        except ValueError:  # an int with more digits than Python writes
            continue
        if limit < 0:
            break
        kept[_storable(name)] = _storable(value) if isinstance(value, str) else value
    return kept


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<its __str__ raised {type(broken).__name__}>"


def _clip(text: str, limit: int) -> str:
    kept = text = _storable(text)
    while (size := len(msgspec.json.encode(kept))) > limit:
        kept = kept[: len(kept) * limit // size]
    return kept if kept == text else kept + " [...]"


def _clip_front(text: str, limit: int) -> str:
    kept = text = _storable(text)
    while (size := len(msgspec.json.encode(kept))) > limit:
        kept = kept[len(kept) - len(kept) * limit // size :]
    return kept if kept == text else "[...] " + kept


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
