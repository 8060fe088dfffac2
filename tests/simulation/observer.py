"""Watches the store of a simulation after every call, and tells what must never be seen there."""

from __future__ import annotations

import asyncio

from perdure.core.actions import OrchestrationCompleted, TaskScheduled
from perdure.core.codec import decode_turns
from perdure.core.history import (
    EventRaised,
    ExecutionRewound,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    Turn,
)
from perdure.core.outbox import execution_of
from perdure.core.status import ENDED
from perdure.storage.memory import MemoryStore
from perdure.storage.rows import Row
from tests.simulation.corpus import Ledger

_OUTCOMES = (TaskCompleted, TaskFailed, TimerFired, SubOrchestrationCompleted, SubOrchestrationFailed)


class Observer:
    """Reads every turn once, when it has become durable."""

    def __init__(self, store: MemoryStore, ledger: Ledger) -> None:
        self.wrong: list[str] = []
        self._store = store
        self._ledger = ledger
        self._seen: set[tuple[str, str, int]] = set()
        self._outcomes: set[tuple[str, int]] = set()
        self._events: set[tuple[str, str]] = set()
        self._ended: set[str] = set()

    def __call__(self, method: str) -> None:
        if method not in ("insert", "merge", "replace"):
            return
        for hub in self._store.hubs.values():
            for instance_id, row in hub.rows.items():
                self._look(instance_id, row, hub.segments)

    def _look(self, instance_id: str, row: Row, segments: dict[tuple[str, str], bytes]) -> None:
        key = (instance_id, row.etag, 0)
        if key in self._seen:
            return
        self._seen.add(key)
        turns = [turn for name in row.segments for turn in decode_turns(segments[instance_id, name])]
        turns += [turn for entry in row.tail for turn in decode_turns(entry)]
        for turn in turns:
            mark = (instance_id, turn.commit, turn.generation)
            if mark not in self._seen:
                self._seen.add(mark)
                self._read(instance_id, row, turn)
        ends = [action for turn in turns for action in turn.actions if isinstance(action, OrchestrationCompleted)]
        shown = row.instance
        if bool(ends) != (shown.status in ENDED):
            self.wrong.append(f"{instance_id}: status {shown.status} and history differ")
        if ends and (ends[-1].status, ends[-1].output) != (shown.status, shown.output):
            self.wrong.append(f"{instance_id}: {shown.status} with {shown.output}, and history differs: {ends[-1]}")
        if not ends and shown.kind == "orchestration" and (shown.output, shown.completed_at) != (None, None):
            self.wrong.append(f"{instance_id}: has not ended, but has the output {shown.output}")

    def _read(self, instance_id: str, row: Row, turn: Turn) -> None:
        execution = execution_of(row.instance.execution_id, turn.generation)
        rewound = any(isinstance(event, ExecutionRewound) for event in turn.events)
        if rewound:
            self._ended.discard(row.instance.execution_id)
            self._ledger.done = {key: at for key, at in self._ledger.done.items() if key[0] != execution}
        if row.instance.execution_id in self._ended and turn.events:
            self.wrong.append(f"{instance_id}: a turn after the end")
        for action in turn.actions:
            if isinstance(action, TaskScheduled):
                step = action.no if action.first is None else action.first
                self._ledger.scheduled.add((f"{instance_id}/{execution}/{step}", action.name))
            if isinstance(action, OrchestrationCompleted):
                self._ended.add(row.instance.execution_id)
        for event in turn.events if not rewound else []:  # what stays is recorded anew
            if isinstance(event, _OUTCOMES):
                if (execution, event.no) in self._outcomes:
                    self.wrong.append(f"{instance_id}: outcome of #{event.no} recorded twice")
                self._outcomes.add((execution, event.no))
                self._ledger.done[execution, event.no] = asyncio.get_running_loop().time()
            if isinstance(event, EventRaised):
                if (execution, event.id) in self._events:
                    self.wrong.append(f"{instance_id}: event {event.id} recorded twice")
                self._events.add((execution, event.id))
