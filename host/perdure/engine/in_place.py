"""What a session runs in place: lone activities and short timers, beside the session's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from perdure.core.actions import TaskScheduled, TimerCreated
from perdure.core.messages import ActivityCall, Completion
from perdure.engine.activities import ActivityRunner
from perdure.engine.clock import Clock

Key = tuple[str, int]
"""Execution (with its generation) and action number."""


class InPlace:
    """Runs actions and keeps their outcomes until the session takes them."""

    def __init__(self, instance_id: str, runner: ActivityRunner, clock: Clock, wake: Callable[[], None]) -> None:
        self._instance_id = instance_id
        self._runner = runner
        self._clock = clock
        self._wake = wake
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._outcomes: list[tuple[str, Completion]] = []
        self._error: Exception | None = None

    @property
    def busy(self) -> bool:
        """Whether anything runs, or has an outcome that nobody has taken."""
        return bool(self._running or self._outcomes)

    def busy_with(self, execution: str) -> bool:
        """Whether anything of this generation runs, or has an outcome that nobody has taken."""
        return any(where == execution for where, _ in (*self._running, *self._outcomes))

    @property
    def has_outcomes(self) -> bool:
        """Whether there are outcomes to take."""
        return bool(self._outcomes) or self._error is not None

    def start(self, execution: str, action: TaskScheduled | TimerCreated) -> None:
        """Run an action, unless it runs already or its outcome waits to be taken."""
        key = (execution, action.no)
        if key in self._running or any(key == (where, done.no) for where, done in self._outcomes):
            return
        self._running[key] = asyncio.create_task(self._run(key, action))

    def take(self) -> list[tuple[str, Completion]]:
        """Return the outcomes (with their execution) that have come since the last call.

        Raises what kept an action from having one: the session can't answer for it any more.
        """
        if self._error is not None:
            raise self._error
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def put_back(self, outcomes: list[tuple[str, Completion]]) -> None:
        """Return outcomes that could not be committed, to be taken again."""
        self._outcomes = [*outcomes, *self._outcomes]

    def abandon(self) -> None:
        """Forget everything: whoever takes the instance over runs it again."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()
        self._outcomes.clear()

    async def _run(self, key: Key, action: TaskScheduled | TimerCreated) -> None:
        execution, no = key
        try:
            if isinstance(action, TaskScheduled):
                call = ActivityCall.of(action)
                outcome = await self._runner.run(self._instance_id, execution, call)
            else:
                outcome = await self._wait(no, action.fire_at)
        except Exception as error:  # noqa: BLE001 - told to the session when it takes the outcomes
            self._error = error
        else:
            self._outcomes.append((execution, outcome))
        self._running.pop(key, None)
        self._wake()

    async def _wait(self, no: int, fire_at: datetime) -> Completion:
        while (left := (fire_at - self._clock.now()).total_seconds()) > 0:
            await self._clock.sleep(left)
        return Completion(no)
