"""Timer-triggered functions, and the record of when each fired last.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perdure.local.catalog import LocalFunction
from perdure.local.conversions import timer_argument
from perdure.local.errors import HostError
from perdure.local.invocation import InvocationError, Invoker
from perdure.local.logs import HOST_LOGGER
from perdure.local.ncrontab import Schedule, parse_schedule
from perdure.local.outputs import Outputs
from perdure.local.settings import resolve_expressions

_logger = logging.getLogger(HOST_LOGGER)

_LONGEST_NAP = 30.0
"""Seconds: the clock is looked at again, since it may be set, and a laptop may sleep."""

_MONITORED_FROM = timedelta(minutes=1)
"""As on Azure, more frequent timers don't record their runs and are never past due."""


class TimerMonitor:
    """Remembers in a small file when a timer should have fired next, to notice that it did not.

    Args:
        path: The file.
        schedule_text: The schedule; a record of another one does not count.
    """

    def __init__(self, path: Path, schedule_text: str) -> None:
        self._path = path
        self._schedule_text = schedule_text

    def missed(self, now: datetime) -> bool:
        """Whether an occurrence on record has passed without a run."""
        try:
            record = json.loads(self._path.read_text(encoding="utf-8"))
            return record["schedule"] == self._schedule_text and datetime.fromisoformat(record["next"]) < now
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError) as error:
            _logger.warning("The timer record %s can't be read, ignoring it: %s", self._path, error)
            return False

    def record(self, next_due: datetime) -> None:
        """Write down the next occurrence."""
        content = json.dumps({"schedule": self._schedule_text, "next": next_due.isoformat()})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(content, encoding="utf-8")
        except OSError as error:
            _logger.warning("The timer record %s can't be written: %s", self._path, error)


class Timer:
    """Fires one function by its schedule, never twice at once.

    Args:
        function: The timer-triggered function.
        invoker: Runs it.
        outputs: Takes its outputs.
        environ: Where the settings in the schedule live.
        state_dir: Folder for the record of runs.
        clock: Tells the time, aware and in UTC.

    Raises:
        HostError: The schedule makes no sense.
    """

    def __init__(
        self,
        function: LocalFunction,
        invoker: Invoker,
        outputs: Outputs,
        environ: Mapping[str, str],
        state_dir: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        fields = function.trigger.fields
        text = resolve_expressions(str(fields["schedule"]), environ, f"The schedule of function {function.name}")
        try:
            self._schedule: Schedule = parse_schedule(text)
        except ValueError as error:
            raise HostError(f"The schedule of function {function.name} can't be read: {error}.") from error
        self._clock = clock
        self._function = function
        self._invoker = invoker
        self._outputs = outputs
        self._run_on_startup = bool(fields.get("runOnStartup"))
        use_monitor = fields.get("useMonitor") is not False and _is_rare(self._schedule, clock())
        self._monitor = TimerMonitor(state_dir / f"{function.name.lower()}.json", text) if use_monitor else None
        self._last: datetime | None = None

    async def run(self) -> None:
        """Fire whenever due, until cancelled; that does not cancel a run under way."""
        now = self._clock()
        past_due = self._monitor is not None and self._monitor.missed(now)
        if past_due or self._run_on_startup:
            await asyncio.shield(self.fire(past_due=past_due))
        while (due := self._schedule.next_after(self._clock())) is not None:
            if self._monitor is not None:
                self._monitor.record(due)
            while (left := (due - self._clock()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock is the condition
                await asyncio.sleep(min(left, _LONGEST_NAP))
            await asyncio.shield(self.fire(past_due=False))

    async def fire(self, *, past_due: bool) -> None:
        """Run the function now; a failure is only logged, the next occurrence comes anyway."""
        now = self._clock()
        upcoming = self._schedule.next_after(now)
        status = {
            "Last": (self._last or now).isoformat(),
            "Next": "" if upcoming is None else upcoming.isoformat(),
            "LastUpdated": now.isoformat(),
        }
        annotation = self._function.annotations.get(self._function.trigger.name)
        try:
            await self._invoker.invoke(
                self._function,
                timer_argument(past_due=past_due, status=status, annotation=annotation),
                reason=f"Timer fired at {now.isoformat()}",
                finish=lambda outcome: self._outputs.send(self._function, outcome),
            )
        except InvocationError:
            _logger.debug("Timer %s goes on after a failure.", self._function.name)
        self._last = now


def _is_rare(schedule: Schedule, now: datetime) -> bool:
    first = schedule.next_after(now)
    second = None if first is None else schedule.next_after(first)
    return first is not None and second is not None and second - first >= _MONITORED_FROM
