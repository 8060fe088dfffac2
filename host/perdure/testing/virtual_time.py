"""An event loop whose time jumps to the next thing that is due: hours pass in milliseconds, the same way every time."""

from __future__ import annotations

import asyncio
import selectors
from asyncio.events import _set_running_loop
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class NothingScheduled(RuntimeError):
    """Every task waits for something that no timer and no other task will bring about."""


class _Selector(selectors.DefaultSelector):
    """Waits for I/O never, and for time by letting it pass."""

    passed = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.when_idle: list[Callable[[], None]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.when_idle:
            waiting, self.when_idle = self.when_idle, []
            for call in waiting:
                call()
            return ready
        if timeout is None:
            raise NothingScheduled("all tasks wait for each other, or for I/O, which virtual time does not know")
        self.passed += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time; `time()` begins at 0. For code without sockets; what is handed to a thread
    runs at once, in no time.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual seconds that have passed."""
        return self._virtual.passed

    def skip(self, seconds: float) -> None:
        """Let time pass at once, as on a machine that is asleep: what was due meanwhile is late."""
        self._virtual.passed += seconds

    async def idle(self) -> None:
        """Wait until nothing else can run unless time passes."""
        idle = asyncio.Event()
        self._virtual.when_idle.append(idle.set)
        await idle.wait()

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - there is no other thread
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Call a function at once."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(without_a_loop(func, *args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future


def without_a_loop(function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    """Call a sync function as if in a thread of its own, where it may run an event loop."""
    loop = asyncio.get_running_loop()
    _set_running_loop(None)
    try:
        return function(*args)
    finally:
        _set_running_loop(loop)


class VirtualClock:
    """The engine's clock on a virtual loop: 2026-01-01 and what has passed since.

    Args:
        loop: the loop.
        skew: seconds by which this clock is ahead of the loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, skew: float = 0.0) -> None:
        self._loop = loop
        self._skew = timedelta(seconds=skew)

    def now(self) -> datetime:
        """Return the time: aware, UTC."""
        return EPOCH + timedelta(seconds=self._loop.time()) + self._skew

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine like `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
