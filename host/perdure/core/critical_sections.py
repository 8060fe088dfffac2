"""Critical sections: entities locked for one orchestration at a time.

The entities of a section are locked in the order of their ids, the request hopping from one to the next, so two
orchestrations can't wait for each other. A section is left at the end of its `with` block, and at the latest with the
generation that entered it, however that ends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self

from perdure.core.actions import Action, ContinuedAsNew, LockRequested, LocksReleased, OrchestrationCompleted
from perdure.core.history import EntityLockGranted, Event
from perdure.core.state import State
from perdure.core.streams import Outflows
from perdure.core.tasks import Task
from perdure.errors import LockingRulesViolationError


class EntityLock:
    """A critical section that has been entered; leaving its `with` block unlocks the entities."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    def release(self) -> None:
        """Leave the section; leaving it again does nothing."""
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._leave()


class LockTask(Task[EntityLock]):
    """The wait for a critical section: `with (yield task):`, `with await task:` or `async with task:`."""

    def __init__(self, no: int, leave: Callable[[int], None]) -> None:
        super().__init__(no, lambda _: EntityLock(self._leave))
        self._leave_section = leave

    async def __aenter__(self) -> EntityLock:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        assert self.id is not None  # noqa: S101 - a lock has a number, another one after a rewind
        self._leave_section(self.id)

    def __enter__(self) -> EntityLock:
        raise TypeError("wait for the lock before you enter it: 'with (yield context.lock_entities(...)):'")

    def __exit__(self, *_: object) -> None:
        """Never reached: entering raises."""

    def __await__(self) -> Generator[Task[EntityLock], None, EntityLock]:
        return super().__await__()


class Section:
    """What a generation has locked, or is about to lock."""

    def __init__(self) -> None:
        self.request: LockRequested | None = None
        self.entered = False
        self.takes_children = False

    def ask(self, request: LockRequested, *, takes_children: bool = False) -> None:
        """Begin to wait for a section, in which sub-orchestrations may be called or not."""
        self.request, self.entered, self.takes_children = request, False, takes_children

    def grant(self) -> None:
        """The section that was asked for is entered."""
        self.entered = True

    def leave(self, no: int) -> LockRequested | None:
        """Return the request of the section that ends, None if it has ended already."""
        if self.request is None or self.request.no != no:
            return None
        request, self.request = self.request, None
        return request

    @property
    def locked(self) -> Sequence[str]:
        """Instance ids of the locked entities."""
        return self.request.entities if self.request is not None and self.entered else ()

    def check_lock(self) -> None:
        """Raise if another section can't be asked for now."""
        if self.request is not None:
            raise LockingRulesViolationError(
                "an orchestration can have one critical section at a time: leave it before you lock other entities, or "
                "lock them all at once"
            )

    def lock_for_call(self, entity: str, execution: str) -> str | None:
        """Return the name of the section that a call belongs to; raise if the entity must not be called in it."""
        if self.request is None:
            return None
        self._check_held(f"entity '{entity}'")
        if entity not in self.locked:
            raise LockingRulesViolationError(
                f"in a critical section only its entities can be called, and entity '{entity}' is not one of them: "
                f"lock it, too, or call it outside"
            )
        return lock_name(execution, self.request.no)

    def check_signal(self, entity: str) -> None:
        """Raise if the entity must not be signalled."""
        if entity in self.locked:
            raise LockingRulesViolationError(
                f"entity '{entity}' is locked by this critical section: call it instead of signalling it"
            )

    def check_child(self, name: str) -> None:
        """Raise if no sub-orchestration can be started: it might wait for what its parent has locked."""
        self._check_held(f"sub-orchestration '{name}'")
        if self.locked and not self.takes_children:
            raise LockingRulesViolationError(
                f"sub-orchestration '{name}' can't be called in a critical section: call it outside, or say "
                f"lock_entities(..., sub_orchestrations=True) if it never needs what is locked"
            )

    def _check_held(self, what: str) -> None:
        """Raise while a section is waited for: what is called then may come to wait for its end."""
        if self.request is not None and not self.entered:
            raise LockingRulesViolationError(
                f"{what} can't be called while a lock is waited for: enter the section first, with "
                f"'async with context.lock_entities(...):' or 'with (yield context.lock_entities(...)):'"
            )


def lock_name(execution: str, no: int) -> str:
    """Name a critical section."""
    return f"{execution}/{no}"


def release_of(request: LockRequested, outflows: Outflows, now: Any, execution: str, *, entered: bool) -> LocksReleased:
    """Return what unlocks a section's entities."""
    entities = request.entities if entered else request.entities[:1]
    places = [outflows.next(entity, now, f"{execution}/{request.no}/release") for entity in entities]
    return LocksReleased(request.no, request.entities, places)


def with_releases(
    actions: Sequence[Action], events: Sequence[Event], state: State, now: Any, execution: str
) -> list[Action]:
    """Return the actions of a turn; if they end the generation, with what leaves its critical sections before the end.

    Args:
        actions: what the turn has decided.
        events: what it took in.
        state: the generation before it.
        now: its time.
        execution: the generation's name.
    """
    if not actions or not isinstance(actions[-1], OrchestrationCompleted | ContinuedAsNew):
        return list(actions)
    requests = dict(state.unreleased)
    requests |= {action.no: action for action in actions if isinstance(action, LockRequested)}
    for action in actions:
        if isinstance(action, LocksReleased):
            requests.pop(action.no, None)
    if not requests:
        return list(actions)
    entered = state.entered | {event.no for event in events if isinstance(event, EntityLockGranted)}
    outflows = state.outflows_after(actions, now)
    releases = [
        release_of(request, outflows, now, execution, entered=no in entered) for no, request in requests.items()
    ]
    return [
        *actions[:-1],
        *(LocksReleased(each.no, each.entities, each.places, implied=True) for each in releases),
        actions[-1],
    ]
