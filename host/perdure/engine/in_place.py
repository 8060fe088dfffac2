"""What a session runs in place: few or short activities and short timers, beside the session's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from perdure.core.actions import TaskScheduled, TimerCreated
from perdure.core.messages import ActivityCall, Completion
from perdure.engine.activities import ActivityRunner
from perdure.engine.clock import Clock

_MOMENT = 0.01
"""Seconds: about what a commit takes on Azure. One that takes in more outcomes saves the next."""

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
        self._activities: set[Key] = set()
        """Those of what runs that are activities."""
        self._gathering: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    @property
    def busy(self) -> bool:
        """Whether anything runs, or has an outcome that nobody has taken."""
        return bool(self._running or self._outcomes)

    def busy_with(self, execution: str) -> bool:
        """Whether anything of this generation runs, or has an outcome that nobody has taken."""
        return any(where == execution for where, _ in (*self._running, *self._outcomes))

    def runs_activities(self, execution: str) -> bool:
        """Whether activities of this generation run."""
        return any(where == execution for where, _ in self._activities)

    @property
    def has_outcomes(self) -> bool:
        """Whether there are outcomes to take: while other activities run, those of a moment are gathered."""
        return self._error is not None or (bool(self._outcomes) and self._gathering is None)

    def has(self, execution: str, no: int) -> bool:
        """Whether an action runs, or has an outcome that nobody has taken."""
        key = (execution, no)
        return key in self._running or any(key == (where, done.no) for where, done in self._outcomes)

    def start(self, execution: str, action: TaskScheduled | TimerCreated) -> None:
        """Run an action, unless it runs already or its outcome waits to be taken."""
        if self.has(execution, action.no):
            return
        key = (execution, action.no)
        self._running[key] = asyncio.create_task(self._run(key, action))
        if isinstance(action, TaskScheduled):
            self._activities.add(key)

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
        self._activities.clear()
        self._outcomes.clear()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

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
        self._activities.discard(key)
        if not self._activities:
            self._gathered()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_MOMENT, self._gathered)

    def _gathered(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._wake()

    async def _wait(self, no: int, fire_at: datetime) -> Completion:
        while (left := (fire_at - self._clock.now()).total_seconds()) > 0:
            await self._clock.sleep(left)
        return Completion(no)
