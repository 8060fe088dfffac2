"""Failures as data: what went wrong in an activity or orchestration, told across processes."""

from __future__ import annotations

import traceback

import msgspec

from perdure.errors import PerdureError

MESSAGE_LIMIT = 4_000
STACK_LIMIT = 8_000
"""Bytes of JSON that the message and the stack of the outermost failure may take; each inner one may take half as
many. So a whole chain takes less than 24 KB, and fits into a queue message and a column of 64 KiB of UTF-16."""
_DEPTH_LIMIT = 4


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A failure, bounded in size so that it always fits into a queue message."""

    type: str
    """Qualified name of the exception's class, without `builtins.`."""
    message: str
    """At most 4,000 characters."""
    stack: str | None = None
    """The innermost part of the traceback, at most 8,000 characters."""
    inner: Failure | None = None
    non_retryable: bool = False

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class TaskFailedError(PerdureError):
    """An activity or sub-orchestration failed; raised where the orchestrator awaits it."""

    def __init__(self, what: str, details: Failure) -> None:
        super().__init__(f"{what} failed: {details}")
        self.what = what
        self.details = details

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

    def is_caused_by(self, error: type[BaseException] | str) -> bool:
        """Whether this failure or one that caused it is of the given type (a class or a qualified name)."""
        name = error if isinstance(error, str) else qualified_name(error)
        failure: Failure | None = self.details
        while failure is not None:
            if name in (failure.type, failure.type.rpartition(".")[2]):
                return True
            failure = failure.inner
        return False


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
        )
    assert described is not None  # noqa: S101 - a chain has at least one link
    return described


def _chain(error: BaseException | None) -> list[Failure]:
    links: list[Failure] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        stack = "".join(traceback.format_tb(error.__traceback__))
        links.append(
            Failure(
                qualified_name(type(error)), _text_of(error), stack, non_retryable=isinstance(error, NonRetryableError)
            )
        )
        if isinstance(error, TaskFailedError):
            failure: Failure | None = error.details
            while failure is not None:
                links.append(failure)
                failure = failure.inner
            break
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return links


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
