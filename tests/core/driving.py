"""A tiny stand-in for the engine: runs an orchestrator turn by turn and keeps its history."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from perdure.core.actions import ContinuedAsNew, OrchestrationCompleted
from perdure.core.failure import Failure
from perdure.core.history import (
    Event,
    EventRaised,
    ExecutionStarted,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    Turn,
)
from perdure.core.replay import Decision, Orchestration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def done(no: int, result: Any = None) -> TaskCompleted:
    return TaskCompleted(no, json.dumps(result))


def failed(no: int, kind: str = "ValueError", message: str = "boom", **more: Any) -> TaskFailed:
    return TaskFailed(no, Failure(kind, message, **more))


def child_done(no: int, result: Any = None) -> SubOrchestrationCompleted:
    return SubOrchestrationCompleted(no, json.dumps(result))


def child_failed(no: int, message: str = "boom") -> SubOrchestrationFailed:
    return SubOrchestrationFailed(no, Failure("ValueError", message))


def fired(no: int) -> TimerFired:
    return TimerFired(no)


def event(name: str, data: Any = None, message_id: str = "m") -> EventRaised:
    return EventRaised(message_id, name, json.dumps(data))


class Driver:
    """Runs one generation. `cold=True` replays everything before each turn, as after a restart."""

    def __init__(self, function: Any, input_: Any = None, *, cold: bool = False, **names: Any) -> None:
        self._function = function
        self._options = {
            "instance_id": "one",
            "name": getattr(function, "__name__", "f"),
            "execution": "e.0",
            "input_": json.dumps(input_),
        } | names
        self._cold = cold
        self._live = self.fresh()
        self.now = NOON
        self.turns: list[Turn] = []
        self.last: Decision | None = None

    def fresh(self) -> Orchestration:
        return Orchestration(self._function, **self._options)

    def start(self) -> list[Any]:
        return self.turn(ExecutionStarted())

    def turn(self, *events: Event, after: float = 1.0) -> list[Any]:
        self.now += timedelta(seconds=after)
        if self._cold:
            self._live = self.replayed()
        decision = self._live.advance(self.now, events, {})
        self.last = decision
        self.turns.append(Turn("c", "s", 0, decision.at, [], [], list(events), decision.actions))
        return decision.actions

    def replayed(self, function: Any = None) -> Orchestration:
        orchestration = Orchestration(function or self._function, **self._options)
        for turn in self.turns:
            orchestration.replay(turn, {})
        return orchestration

    @property
    def end(self) -> OrchestrationCompleted | ContinuedAsNew:
        action = self.turns[-1].actions[-1]
        assert isinstance(action, OrchestrationCompleted | ContinuedAsNew)
        return action

    @property
    def output(self) -> Any:
        end = self.end
        assert isinstance(end, OrchestrationCompleted)
        return json.loads(end.output) if end.output is not None else None

    @property
    def custom_status(self) -> Any:
        assert self.last is not None
        status = self.last.custom_status
        return status if status is msgspec.UNSET or status is None else json.loads(status)
