"""Running functions: their context, their outputs, their log lines, and the account of what is running."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import azure.functions as func

from perdure.errors import PerdureError
from perdure.local.catalog import CONTEXT, LocalFunction
from perdure.local.logs import HOST_LOGGER

_logger = logging.getLogger(HOST_LOGGER)
_thread_local = threading.local()
_OWN_CODE = Path(__file__).parent
_T = TypeVar("_T")


class InvocationError(PerdureError):
    """A function raised; the error has been logged and is this one's cause."""


class Out(func.Out[Any]):
    """What a function puts its output into."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Set the value."""
        self._value = val

    def get(self) -> Any:
        """Return the value, None if it was never set."""
        return self._value


@dataclass(frozen=True)
class Outcome:
    """What a function gave back."""

    value: Any
    outputs: Mapping[str, Any]
    """Value of each output parameter that was set, by name."""


@dataclass(frozen=True)
class _TraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True)
class InvocationContext:
    """What a parameter named `context` receives: the attributes of `azure.functions.Context`."""

    invocation_id: str
    function_name: str
    function_directory: str
    thread_local_storage: threading.local
    trace_context: _TraceContext
    retry_context: _RetryContext


class Invoker:
    """Runs functions, sync ones in a thread pool and async ones on the loop.

    Args:
        threads: Size of the pool; None takes `PYTHON_THREADPOOL_THREAD_COUNT`, as Azure's worker does, else
            Python's own default.
    """

    def __init__(self, threads: int | None = None) -> None:
        count = threads or int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or 0) or None
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="function")
        self._running: set[asyncio.Task[Any]] = set()
        self._in_threads: set[Future[Any]] = set()

    @property
    def running(self) -> int:
        """Number of invocations under way."""
        return len(self._running)

    @property
    def threads_busy(self) -> bool:
        """Whether a sync function still runs, possibly one whose invocation was given up."""
        return any(call.running() for call in list(self._in_threads))

    async def invoke(
        self,
        function: LocalFunction,
        argument: Any,
        *,
        reason: str,
        finish: Callable[[Outcome], Awaitable[_T]],
        trace_parent: str = "",
    ) -> _T:
        """Run the function with its trigger's argument, then `finish` on what it gave back, as one invocation.

        Raises:
            InvocationError: Either of them raised, or the host gave the invocation up; it has been logged.
        """
        task = asyncio.ensure_future(self._invoke(function, argument, reason, finish, trace_parent))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise InvocationError(f"Function {function.name} was given up: the host stops.") from None

    async def wait_idle(self, seconds: float) -> None:
        """Wait until nothing runs, for at most `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._running and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._running, timeout=left)

    async def cancel_running(self) -> None:
        """Give up what still runs: async functions are cancelled, sync ones are no longer waited for."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Take no more sync calls; those under way are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _invoke(
        self,
        function: LocalFunction,
        argument: Any,
        reason: str,
        finish: Callable[[Outcome], Awaitable[_T]],
        trace_parent: str,
    ) -> _T:
        context = _context(function, trace_parent)
        level = logging.DEBUG if function.internal else logging.INFO
        tag = f"'Functions.{function.name}'"
        _logger.log(level, "Executing %s (Reason='%s', Id=%s)", tag, reason, context.invocation_id)
        started = time.perf_counter()

        def ended(how: str) -> str:
            duration = round((time.perf_counter() - started) * 1000)
            return f"Executed {tag} ({how}, Id={context.invocation_id}, Duration={duration}ms)"

        try:
            result = await finish(await self._call(function, argument, context))
        except asyncio.CancelledError:
            _logger.log(level, "%s", ended("Cancelled"))
            raise
        except Exception as error:
            _logger.error("%s\n%s", ended("Failed"), _user_traceback(error))  # noqa: TRY400 - trimmed by hand
            raise InvocationError(f"Function {function.name} failed: {error}") from error
        _logger.log(level, "%s", ended("Succeeded"))
        return result

    async def _call(self, function: LocalFunction, argument: Any, context: InvocationContext) -> Outcome:
        outs = {binding.name: Out() for binding in function.outputs}
        arguments: dict[str, Any] = {function.trigger.name: argument, **outs}
        if function.takes_context:
            arguments[CONTEXT] = context
        if function.is_async:
            _thread_local.invocation_id = context.invocation_id
            value = await function.call(**arguments)
        else:
            value = await self._call_in_thread(function, arguments, context.invocation_id)
        if value is not None and function.return_binding is None:
            raise RuntimeError(
                f"function {function.name} has no $return binding but returned {type(value).__name__}, not None"
            )
        return Outcome(value, {name: out.get() for name, out in outs.items() if out.get() is not None})

    async def _call_in_thread(self, function: LocalFunction, arguments: dict[str, Any], invocation_id: str) -> Any:
        variables = contextvars.copy_context()

        def call() -> Any:
            _thread_local.invocation_id = invocation_id
            return variables.run(function.call, **arguments)

        future = self._pool.submit(call)
        self._in_threads.add(future)
        future.add_done_callback(self._in_threads.discard)
        return await asyncio.wrap_future(future)


def _context(function: LocalFunction, trace_parent: str) -> InvocationContext:
    return InvocationContext(
        invocation_id=str(uuid4()),
        function_name=function.name,
        function_directory=str(Path(inspect.getfile(inspect.unwrap(function.call))).parent),
        thread_local_storage=_thread_local,
        trace_context=_TraceContext(trace_parent),
        retry_context=_RetryContext(),
    )


def _user_traceback(error: BaseException) -> str:
    """Format the traceback without the host's own leading frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def _is_machinery(filename: str) -> bool:
    path = Path(filename)
    return path.parent == _OWN_CODE or path.parts[-3:] == ("concurrent", "futures", "thread.py")
