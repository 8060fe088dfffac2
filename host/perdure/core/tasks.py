"""Tasks: what an orchestrator yields or awaits.

A task is completed by replay, never by itself; composite tasks are completed by their children.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Generic, TypeVar

from perdure.core.data import from_json
from perdure.core.failure import TaskFailedError
from perdure.errors import DataError

T = TypeVar("T")


class TaskState(Enum):
    """Where a task stands."""

    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2


class Task(Generic[T]):
    """Something an orchestration waits for: `result = yield task` or `result = await task`."""

    def __init__(self, no: int | None = None, reads: Callable[[str | None], Any] = from_json) -> None:
        self.id = no
        """Number of the action behind it, unique within a generation; None for composite tasks."""
        self.state = TaskState.RUNNING
        self._reads = reads
        self._value: T | None = None
        self._error: Exception | None = None
        self._parents: list[_Composite[Any]] = []

    @property
    def is_completed(self) -> bool:
        """Whether it has succeeded or failed."""
        return self.state is not TaskState.RUNNING

    is_complete = is_completed

    @property
    def is_faulted(self) -> bool:
        """Whether it has failed."""
        return self.state is TaskState.FAILED

    is_failed = is_faulted

    @property
    def result(self) -> Any:
        """What it returned; the error itself if it failed, None before it is completed: as in Durable Functions."""
        return self._value if self._error is None else self._error

    def get_result(self) -> T:
        """Return what it returned; raise its error if it failed, ValueError if it is not completed."""
        if self.state is TaskState.RUNNING:
            raise ValueError("this task has not completed: yield or await it first")
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value] # set when it succeeded

    def get_exception(self) -> Exception | None:
        """Return the error it failed with, or None."""
        return self._error

    def _leads_to(self, task: Task[Any]) -> bool:
        """Whether this is the task, or the task waits for it."""
        return self is task or any(parent._leads_to(task) for parent in self._parents if not parent.is_completed)

    def __await__(self) -> Generator[Task[T], None, T]:
        if not self.is_completed:
            yield self
        return self.get_result()

    def __iter__(self) -> Generator[Task[T], None, T]:
        return self.__await__()

    def _renew(self, no: int) -> None:
        """The action behind it is asked for anew, under another number."""
        self.id = no
        for parent in self._parents:
            parent._child_renewed()

    def _receive(self, text: str | None) -> None:
        """Succeed with what the text reads as; fail if it can't be read as that."""
        try:
            value = self._reads(text)
        except DataError as error:
            self._fail(error)
        else:
            self._succeed(value)

    def _succeed(self, value: T) -> None:
        self._finish(TaskState.SUCCEEDED, value, None)

    def _fail(self, error: Exception) -> None:
        self._finish(TaskState.FAILED, None, error)

    def _finish(self, state: TaskState, value: T | None, error: Exception | None) -> None:
        if self.is_completed:
            return
        self.state, self._value, self._error = state, value, error
        for parent in self._parents:
            parent._child_finished(self)
        self._parents.clear()


class TimerTask(Task[None]):
    """A durable timer."""

    def __init__(self, no: int, cancel: Callable[[TimerTask], None]) -> None:
        super().__init__(no)
        self._cancel = cancel
        self.is_cancelled = False

    def cancel(self) -> None:
        """Forget the timer; it never completes then. Raises ValueError if it has fired already."""
        if self.is_completed:
            raise ValueError("this timer has fired already: it can't be cancelled")
        if not self.is_cancelled:
            self.is_cancelled = True
            self._cancel(self)


class _Composite(Task[T]):
    def _watch(self, children: Sequence[Task[Any]]) -> None:
        for child in children:
            if child.is_completed:
                self._child_finished(child)
            else:
                parents = child._parents
                while parents and parents[-1].is_completed:  # in a loop of WhenAny, one more each time round
                    parents.pop()
                parents.append(self)

    def _child_finished(self, child: Task[Any]) -> None:
        raise NotImplementedError

    def _child_renewed(self) -> None:
        """A child is asked for anew, after a rewind."""

    def _follow(self, child: Task[T]) -> None:
        """End as a child has ended."""
        error = child.get_exception()
        if error is None:
            self._succeed(child.get_result())
        else:
            self._fail(error)


class WhenAll(_Composite[list[Any]]):
    """Completes with the results in the order of the tasks; fails as soon as one of them fails."""

    def __init__(self, children: Sequence[Task[Any]]) -> None:
        super().__init__()
        self.children = list(children)
        self._missing = len(self.children)
        if not self.children:
            self._succeed([])
        self._watch(self.children)

    def _child_finished(self, child: Task[Any]) -> None:
        self._missing -= 1
        error = child.get_exception()
        if error is not None:
            self._fail(error)
        elif self._missing == 0:
            self._succeed([task.get_result() for task in self.children])


class WhenAny(_Composite[Task[Any] | None]):
    """Completes with the first of the tasks that completes, whether it succeeded or failed; with None if it has none
    to wait for.
    """

    def __init__(self, children: Sequence[Task[Any]]) -> None:
        super().__init__()
        self.children = list(children)
        if not self.children:
            self._succeed(None)
        self._watch(self.children)

    def _child_finished(self, child: Task[Any]) -> None:
        self._succeed(child)


class RetryTask(_Composite[Any]):
    """Attempts with waits between them, until one succeeds or the policy gives up."""

    def __init__(
        self,
        attempt: Callable[[int | None], Task[Any]],
        wait: Callable[[int, TaskFailedError], timedelta | None],
        timer: Callable[[timedelta], Task[None]],
    ) -> None:
        super().__init__()
        self._attempt = attempt
        self._wait = wait
        self._timer = timer
        self._attempts = 0
        self._begin()

    def _child_renewed(self) -> None:
        self._attempts = 1  # what comes after a rewind is a new round

    def _begin(self) -> None:
        self._attempts += 1
        task = self._attempt(self.id)
        self.id = self.id if self.id is not None else task.id
        self._watch([task])

    def _child_finished(self, child: Task[Any]) -> None:
        error = child.get_exception()
        if isinstance(child, TimerTask):
            self._begin()
        elif error is None:
            self._succeed(child.get_result())
        else:
            try:
                wait = self._wait(self._attempts, error) if isinstance(error, TaskFailedError) else None
            except Exception as broken:  # noqa: BLE001 - the policy's handler is the user's: so is what it raises
                self._fail(broken)
                return
            if wait is None:
                self._fail(error)
            else:
                self._watch([self._timer(wait)])


class TimedEvent(_Composite[Any]):
    """An external event, or TimeoutError if its timer fires first."""

    def __init__(self, event: Task[Any], timer: TimerTask, name: str, give_up: Callable[[], None]) -> None:
        super().__init__(event.id)
        self._event = event
        self._timer = timer
        self._name = name
        self._give_up = give_up
        self._watch([event, timer])

    def _child_finished(self, child: Task[Any]) -> None:
        if child is self._event:
            self._timer.cancel()
            self._follow(child)
        else:
            self._give_up()
            self._fail(TimeoutError(f"external event '{self._name}' did not arrive in time"))
