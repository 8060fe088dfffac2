"""Stubs: what answers in a function's place."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from perdure.core.failure import Failure, failure_of
from perdure.errors import PerdureError
from perdure.testing.errors import StuckError


class StubExhausted(PerdureError, AssertionError):
    """A stub was called more often than it has outcomes."""


class outcomes:  # noqa: N801 - used like a function
    """A stub that answers each call with the next of these: a value, or an exception to raise.

    Args:
        each: the outcomes, in order. A call beyond the last one fails the test.
    """

    def __init__(self, *each: Any) -> None:
        self._each = each
        self._calls = 0

    def __call__(self, _input: Any) -> Any:
        self._calls += 1
        if self._calls > len(self._each):
            raise StubExhausted(f"a stub has {len(self._each)} outcomes and is called once more: give it another one")
        return _answer(self._each[self._calls - 1])


def stub_function(stub: Any) -> Callable[[Any], Any]:
    """Return the function that a stub stands for.

    Args:
        stub: an exception or a class of exceptions is raised; anything else that can be called is called with the
            input; any other value is the result.
    """
    if callable(stub) and not _is_exception(stub):
        answer: Callable[[Any], Any] = stub
        return answer
    return lambda _input: _answer(stub)


def outcome_of(call: Callable[[], str]) -> str | Failure:
    """Return what a call gives, or the failure that its exception is; what fails the test is raised."""
    try:
        return contextvars.copy_context().run(call)
    except (StubExhausted, StuckError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the function's failure
        return failure_of(error)


def _answer(outcome: Any) -> Any:
    if isinstance(outcome, BaseException):
        raise outcome.with_traceback(None)
    if _is_exception(outcome):
        raise outcome
    return outcome


def _is_exception(value: Any) -> bool:
    return isinstance(value, BaseException) or (isinstance(value, type) and issubclass(value, BaseException))


class Awaiting:
    """Awaits what async functions return, for sync code: on an event loop that is made when first needed, in a thread
    if this one has a running loop already.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            self._elsewhere_if_need_be(self._runner.close)
        if self._thread is not None:
            self._thread.shutdown()

    def result(self, value: Any) -> Any:
        """Return the value, or what it results in if it is to be awaited. Raises what it raises."""
        if not inspect.isawaitable(value):
            return value
        runner = self._runner = self._runner or asyncio.Runner()
        variables = contextvars.copy_context()
        return self._elsewhere_if_need_be(lambda: runner.run(_awaited(value), context=variables))

    def _elsewhere_if_need_be(self, work: Callable[[], Any]) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return work()
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="perdure-stubs")
        return self._thread.submit(work).result()


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
