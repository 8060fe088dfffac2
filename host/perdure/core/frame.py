"""The frame: a generation's bookkeeping, shared by the context (the user's face) and replay (the driver)."""

from __future__ import annotations

import uuid
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from perdure.core.actions import (
    Action,
    Awaited,
    ContinuedAsNew,
    EntityCalled,
    LockRequested,
    PatchMarked,
    TaskScheduled,
    TimerCreated,
)
from perdure.core.critical_sections import Section, release_of
from perdure.core.histories import PastTurn
from perdure.core.history import EventRaised
from perdure.core.streams import Flow, Outflows, Place
from perdure.core.tasks import Task

_NAMESPACE = uuid.UUID("6b0c6a8e-5c53-5f0e-9a55-6d8d0f2f6c11")


class Frame:
    """Numbers, open tasks, buffered events and the actions asked for so far in this turn."""

    def __init__(
        self, *, instance_id: str, execution: str, input_: str | None, flows: Mapping[str, Flow] | None = None
    ) -> None:
        self.instance_id = instance_id
        self.execution = execution
        self.input = input_
        self.now = datetime.min.replace(tzinfo=UTC)
        self.replaying = False
        self.custom_status: str | None = None
        self.custom_status_set = False
        self.continuation: ContinuedAsNew | None = None
        self.awaited: Task[Any] | None = None
        """What the function waits for."""
        self.past: list[PastTurn] = []
        """The generation's turns up to the present one."""
        self.scheduled: dict[int, Awaited] = {}
        self._asked: list[Action] = []
        self._open: dict[int, Task[Any]] = {}
        self._next_no = 0
        self._waiting: dict[str, deque[Task[Any]]] = defaultdict(deque)
        self._buffered: dict[str, deque[tuple[int, EventRaised, str | None]]] = defaultdict(deque)
        self._event_names: dict[str, str] = {}
        """As they were written where they were waited for last, by their folded form."""
        self._events = 0
        self._patches: dict[str, bool] = {}
        self.outflows = Outflows(flows)
        self.section = Section()
        self.marked: frozenset[str] = frozenset()
        """The patches that the turn being replayed has recorded."""

    # ---- what the context asks for ---------------------------------------------------------------------------------

    def number(self) -> int:
        """Return the next action number."""
        no = self._next_no
        self._next_no += 1
        return no

    def child_execution(self, no: int) -> str:
        """Return the execution id of the child that action `no` starts."""
        return self.derived_id(f"execution/{no}").hex

    def derived_id(self, what: str) -> uuid.UUID:
        """Return a UUID that depends on this generation and `what` only."""
        return uuid.uuid5(_NAMESPACE, f"{self.instance_id}\n{self.execution}\n{what}")

    def ask(self, action: Action) -> None:
        """Ask for something that nothing comes back for."""
        self._asked.append(action)

    def wait_for(self, action: Awaited, task: Task[Any]) -> None:
        """Ask for something whose outcome completes `task`. After continue-as-new nothing waits any more."""
        if self.continuation is not None:
            return
        self._asked.append(action)
        self.scheduled[action.no] = action
        self._open[action.no] = task

    def patched(self, patch_id: str) -> bool:
        """Return whether the code goes the new way at a patch: decided when it is first asked in this generation."""
        if patch_id not in self._patches:
            way = self._patches[patch_id] = not self.replaying or patch_id in self.marked
            if way:
                self.ask(PatchMarked(patch_id))
        return self._patches[patch_id]

    def place(self, entity: str, no: int) -> Place:
        """Return the place of the next message to an entity, which action `no` sends."""
        return self.outflows.next(entity, self.now, f"{self.execution}/{no}")

    def leave_section(self, no: int) -> None:
        """Leave the critical section that was asked for under this number, unless it has been left."""
        entered = self.section.entered
        request = self.section.leave(no)
        if request is not None:
            self.ask(release_of(request, self.outflows, self.now, self.execution, entered=entered))

    def forget(self, no: int) -> None:
        """Stop waiting for action `no`."""
        self._open.pop(no, None)

    def wait_for_event(self, name: str, task: Task[Any]) -> None:
        """Complete `task` with the next event of this name: a buffered one, or one still to come."""
        key = name.casefold()
        if self.continuation is None and self._buffered[key]:
            task._receive(self._buffered[key].popleft()[2])
        else:
            self._waiting[key].append(task)
            self._event_names[key] = name

    def forget_event(self, name: str, task: Task[Any]) -> None:
        """Stop waiting for an event."""
        self._waiting[name.casefold()].remove(task)

    def draw(self) -> float:
        """Return a number from 0 to 1 that depends on this generation and the next action number only."""
        return self.derived_id(f"draw/{self._next_no}").int / 2**128

    # ---- what replay tells it --------------------------------------------------------------------------------------

    def take_actions(self) -> list[Action]:
        """Return the actions asked for since the last call."""
        asked, self._asked = self._asked, []
        return asked

    def close(self, no: int) -> Task[Any] | None:
        """Return the task that waits for action `no` and wait no longer, or None if none does."""
        return self._open.pop(no, None)

    def event_raised(self, event: EventRaised, data: str | None) -> None:
        """Hand an event to a waiter of its name, or buffer it."""
        key = event.name.casefold()
        if self._waiting[key]:
            waiter = self._first_in_line(self._waiting[key])
            self._waiting[key].remove(waiter)
            waiter._receive(data)
        else:
            self._events += 1
            self._buffered[key].append((self._events, event, data))

    def _first_in_line(self, waiters: Sequence[Task[Any]]) -> Task[Any]:
        """Return the oldest waiter that the function waits for at present. Without one, the oldest of all: those that
        the function waited for once, until something else came first, may have been given up.
        """
        return next(self._present(waiters), waiters[0])

    def _present(self, waiters: Sequence[Task[Any]]) -> Iterator[Task[Any]]:
        """Return those that the function waits for at present."""
        awaited = self.awaited
        return (waiter for waiter in waiters if awaited is not None and waiter._leads_to(awaited))

    def awaited_events(self) -> list[str]:
        """Return the names of the events that the function waits for at present."""
        return [self._event_names[key] for key, waiters in self._waiting.items() if any(self._present(waiters))]

    def renew(self, numbers: Sequence[int], next_no: int) -> None:
        """Ask anew for open actions, under numbers from `next_no` on."""
        self._next_no = max(self._next_no, next_no)
        self.outflows.clear()
        for old in numbers:
            task = self._open.pop(old)
            action = self._renewed(self.scheduled[old], self.number())
            task._renew(action.no)
            self.wait_for(action, task)

    def _renewed(self, action: Awaited, no: int) -> Awaited:
        if isinstance(action, TaskScheduled):
            first = action.no if action.first is None else action.first
            return msgspec.structs.replace(action, no=no, placement="queue", first=first)
        if isinstance(action, TimerCreated):
            return msgspec.structs.replace(action, no=no, placement="queue")
        if isinstance(action, EntityCalled):
            return msgspec.structs.replace(action, no=no, place=self.place(action.entity, no))
        if isinstance(action, LockRequested):
            renewed = msgspec.structs.replace(action, no=no, place=self.place(action.entities[0], no))
            self.section.ask(renewed, takes_children=self.section.takes_children)
            return renewed
        return msgspec.structs.replace(
            action, no=no, execution_id=self.child_execution(no), earlier=[*action.earlier, action.execution_id]
        )

    def stop_waiting(self) -> None:
        """The function has ended: events that still come are for the next generation."""
        self._waiting.clear()

    def unconsumed(self) -> list[EventRaised]:
        """Return the buffered events in the order in which they came."""
        buffered = [entry for entries in self._buffered.values() for entry in entries]
        return [event for _, event, _ in sorted(buffered, key=lambda entry: entry[0])]
