"""Keeping a host process alive, and starting it anew when the app's files change.

The supervisor imports nothing of the app. It talks to the host process through a pipe: closing it asks for a
drained stop, and the operating system closes it when the supervisor dies.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import IO, cast

from perdure.local.child import command
from perdure.local.exit_codes import FAILED, SECOND_INTERRUPT, START_FAILED
from perdure.local.interrupts import Interrupts
from perdure.local.logs import complain, say
from perdure.local.options import HostOptions
from perdure.local.reloading import watching

_FIRST_DELAY = 0.5
_LAST_DELAY = 30.0
_SETTLED_AFTER = 60.0
"""Seconds of life after which a crash counts as the first one again."""

_NAMES_SHOWN = 3

_KILL_AFTER = 10.0
"""Seconds beyond the drain timeout after which a host process that does not stop is killed."""


@dataclass(frozen=True)
class Changed:
    """Files of the app changed."""

    names: list[str]


@dataclass(frozen=True)
class Exited:
    """A host process ended."""

    child: Child


@dataclass(frozen=True)
class StopAsked:
    """Ctrl-C or SIGTERM."""

    insists: bool
    """It is the second one."""


Event = Changed | Exited | StopAsked


class Child:
    """A host process.

    Args:
        options: What it runs.
        bound: The socket to listen on; None leaves it to the process.
        events: Told when it ends.
        after_change: It starts because of a change, and so shows more of an error.
    """

    def __init__(
        self,
        options: HostOptions,
        bound: socket.socket | None,
        events: queue.SimpleQueue[Event],
        *,
        after_change: bool,
    ) -> None:
        self.after_change = after_change
        self._started = time.monotonic()
        self._events = events
        self._process, self._control = _spawn(options, bound, after_change=after_change)
        threading.Thread(target=self._wait, name="host process", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """Its exit code once it has ended; negative for a signal."""
        return self._process.returncode

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def ask_to_stop(self) -> None:
        """Ask it to drain and exit."""
        self._control.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def _wait(self) -> None:
        self._process.wait()
        self._control.close()
        self._events.put(Exited(self))


def _spawn(
    options: HostOptions, bound: socket.socket | None, *, after_change: bool
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    if sys.platform == "win32":
        line = command(options, 0, None, show_frames=after_change)
        process = subprocess.Popen(line, stdin=subprocess.PIPE)  # noqa: S603 - our own command line
        return process, cast("IO[bytes]", process.stdin)
    listening_fd = None if bound is None else bound.fileno()
    read_end, write_end = os.pipe()
    line = command(options, read_end, listening_fd, show_frames=after_change)
    inherited = [read_end] if listening_fd is None else [read_end, listening_fd]
    # the new process must not die of a Ctrl-C before it can handle one; ignored signals are inherited
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(line, pass_fds=inherited)  # noqa: S603 - our own command line
    finally:
        signal.signal(signal.SIGINT, previous)
        os.close(read_end)
    return process, os.fdopen(write_end, "wb", buffering=0)


class Supervisor:
    """Runs host processes one after the other, from the main thread.

    Args:
        options: What they run.
        bound: The socket that they listen on in turn; None leaves it to each (Windows can't hand one on).
    """

    def __init__(self, options: HostOptions, bound: socket.socket | None) -> None:
        self._options = options
        self._bound = bound
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._child: Child | None = None
        self._stopping = False
        self._interrupts = Interrupts()
        self._reloading = False
        self._first = True
        self._delay = _FIRST_DELAY
        self._start_at: float | None = None
        self._kill_at: float | None = None

    def run(self) -> int:
        """Supervise until stopped; return the exit code. SIGINT and SIGTERM stay handled after that, too."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        with watching(self._options.app_dir, lambda names: self._events.put(Changed(names))):
            self._start(after_change=False)
            try:
                while (code := self._step()) is None:
                    pass
            finally:
                if self._child is not None:
                    self._child.kill()
        return code

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._events.put(StopAsked(insists=self._interrupts.insists()))

    def _step(self) -> int | None:
        """Handle the next event or due time; return the exit code when all is over."""
        try:
            event = self._events.get(timeout=self._seconds_to_wait())
        except queue.Empty:
            self._do_what_is_due()
            return None
        match event:
            case StopAsked(insists):
                return self._on_stop_asked(insists=insists)
            case Changed(names):
                self._on_change(names)
                return None
            case Exited(child):
                return self._on_exit(child)

    def _seconds_to_wait(self) -> float | None:
        due = [moment for moment in (self._start_at, self._kill_at) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at and self._child is not None:
            complain("The host process does not stop: killing it. What it was doing will be delivered again.")
            self._kill_at = None
            self._child.kill()
        if self._start_at is not None and now >= self._start_at:
            self._start(after_change=False)

    def _start(self, *, after_change: bool) -> None:
        self._start_at = self._kill_at = None
        self._reloading = False
        self._child = Child(self._options, self._bound, self._events, after_change=after_change)

    def _ask_to_stop(self, child: Child) -> None:
        child.ask_to_stop()
        self._kill_at = time.monotonic() + self._options.drain_timeout + _KILL_AFTER

    def _on_stop_asked(self, *, insists: bool) -> int | None:
        if insists:
            return SECOND_INTERRUPT  # the child is killed on the way out
        if self._child is None:
            return 0
        if not self._stopping:
            self._stopping = True
            self._ask_to_stop(self._child)
        return None

    def _on_change(self, names: list[str]) -> None:
        if self._stopping:
            return
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        say(f"Changed: {', '.join(names[:_NAMES_SHOWN])}{more}. Restarting the functions.")
        if self._child is None:
            self._start(after_change=True)
        elif not self._reloading:
            self._reloading = True
            self._ask_to_stop(self._child)

    def _on_exit(self, child: Child) -> int | None:
        self._child = self._kill_at = None
        code = child.exit_code
        first, self._first = self._first, False
        if self._stopping:
            return 0
        if self._reloading:
            self._start(after_change=True)
        elif code == 0:
            return 0  # somebody stopped it by its own process id
        elif code == START_FAILED and first:
            return FAILED
        elif code == START_FAILED and child.after_change:
            say("Waiting for the next change.")
        else:
            self._restart_later(child)
        return None

    def _restart_later(self, child: Child) -> None:
        if child.age > _SETTLED_AFTER:
            self._delay = _FIRST_DELAY
        complain(f"The host process ended ({_how(child.exit_code)}). Starting it again in {self._delay:g} s.")
        self._start_at = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _LAST_DELAY)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
