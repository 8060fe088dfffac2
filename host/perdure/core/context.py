"""The context that orchestrator functions are given: the only way in which they may touch the world."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, overload

from perdure.core.actions import (
    ContinuedAsNew,
    EventSent,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)
from perdure.core.data import from_json, to_json
from perdure.core.frame import Frame
from perdure.core.hints import FunctionTypes, Hints, NoTypes, activity_hints, orchestrator_hints
from perdure.core.histories import HistoryEvent, history_events
from perdure.core.naming import check_instance_id, check_text, checked_tags, name_of
from perdure.core.replay_safe import ReplaySafeLogger
from perdure.core.retry import RetryPolicy, next_wait
from perdure.core.tasks import RetryTask, Task, TimedEvent, TimerTask, WhenAll, WhenAny
from perdure.core.typed import read_as

R = TypeVar("R")


class OrchestrationContext:
    """What an orchestrator function works with.

    Everything it offers is deterministic: the same history gives the same answers. Actions are scheduled when they
    are called; yielding (or awaiting) the task they return waits for its result.
    """

    def __init__(
        self,
        frame: Frame,
        *,
        name: str,
        version: str | None,
        parent_instance_id: str | None,
        input_type: Any = None,
        types: FunctionTypes | None = None,
    ) -> None:
        self.name = name
        """Name of the orchestrator function."""
        self.version = version
        self.parent_instance_id = parent_instance_id
        self._frame = frame
        self._input_type = input_type
        self._types: FunctionTypes = types or NoTypes()
        self._uuids = 0
        self._random: random.Random | None = None
        self._function_context = SimpleNamespace()

    # ---- input, time, identity -----------------------------------------------------------------------------

    def get_input(self, expected_type: Any = None) -> Any:
        """Return the orchestration's input.

        Args:
            expected_type: what to read it as; by default what the orchestrator's own hints say.

        Raises:
            DataError: it does not fit.
        """
        hint = self._input_type if expected_type is None else expected_type
        return read_as(self._frame.input, hint, f"the input of orchestration '{self.name}'")

    @property
    def instance_id(self) -> str:
        """Id of this instance."""
        return self._frame.instance_id

    @property
    def execution_id(self) -> str:
        """Names this generation of this instance; continue-as-new begins another."""
        return self._frame.execution

    @property
    def is_replaying(self) -> bool:
        """Whether the function is being taken through history it has been through before."""
        return self._frame.replaying

    @property
    def will_continue_as_new(self) -> bool:
        """Whether `continue_as_new` has been called."""
        return self._frame.continuation is not None

    @property
    def current_utc_datetime(self) -> datetime:
        """The orchestration's time (aware, UTC): when the current turn began. It never runs backwards."""
        return self._frame.now

    @property
    def histories(self) -> list[HistoryEvent]:
        """The history of this generation up to the present turn, oldest event first, without inputs and results."""
        return history_events(self._frame.past, self.name, self.version)

    @property
    def function_context(self) -> SimpleNamespace:
        """An object without attributes of its own, to be filled at will: what a Functions host might have added."""
        return self._function_context

    def new_guid(self) -> uuid.UUID:
        """Return a new UUID, the same one in every replay."""
        self._uuids += 1
        return self._frame.derived_id(f"uuid/{self._uuids}")

    def new_uuid(self) -> str:
        """Return a new UUID as text, the same one in every replay."""
        return str(self.new_guid())

    def random(self) -> random.Random:
        """Return this generation's random number generator, seeded the same way in every replay."""
        if self._random is None:
            self._random = random.Random(self._frame.derived_id("random").int)  # noqa: S311 - determinism is the point
        return self._random

    def create_replay_safe_logger(self, logger: Any) -> Any:
        """Return a logger that is silent while history is replayed, so that every line appears once."""
        return ReplaySafeLogger(logger, lambda: self._frame.replaying)

    def patched(self, patch_id: str) -> bool:
        """Return whether to run the new code of a change that running instances may not go along with.

        True for an instance that gets here for the first time, false while one that was here before the change is
        replayed; what is decided first holds for the whole generation. Guard the new code with it and keep the old code
        beside it until no instance from before the change is left; then remove both the old code and the call.

        Args:
            patch_id: names the change; at most 200 characters.
        """
        return self._frame.patched(check_text(patch_id, "the id of a patch", 200))

    # ---- activities, sub-orchestrations, timers ------------------------------------------------------------

    @overload
    def call_activity(
        self,
        name: Callable[..., Awaitable[R]],
        input_: Any = None,
        expected_type: None = None,
        *,
        return_type: None = None,
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
        placement: Literal["queue"] | None = None,
    ) -> Task[R]: ...

    @overload
    def call_activity(
        self,
        name: Callable[..., R],
        input_: Any = None,
        expected_type: None = None,
        *,
        return_type: None = None,
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
        placement: Literal["queue"] | None = None,
    ) -> Task[R]: ...

    @overload
    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        expected_type: Any = None,
        *,
        return_type: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
        placement: Literal["queue"] | None = None,
    ) -> Task[Any]: ...

    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        expected_type: Any = None,
        *,
        return_type: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
        placement: Literal["queue"] | None = None,
    ) -> Task[Any]:
        """Schedule an activity.

        Args:
            name: the activity's name, or the decorated function itself.
            input_: its input, anything that has a JSON form.
            expected_type: what to read its result as; by default what its own return hint says.
            return_type: another name of `expected_type`.
            retry_policy: how to retry when it fails; None fails at once.
            tags: texts for whoever looks at it: they stand in the history, and in the activity's context.
            placement: "queue" has it always go through the queue, never run in place; for work that is heavy or may
                end its process.

        Raises:
            DataError: the input has no JSON form; from the task: the result does not fit the type.
            TaskFailedError: (from the task) the activity failed.
        """
        activity = name_of(name, "activity")
        data = to_json(input_, f"the input of activity '{activity}'")
        checked = checked_tags(tags)
        if placement not in (None, "queue"):
            raise ValueError(f"placement is 'queue' or None, not {placement!r}")
        hint = _first(
            expected_type, return_type, self._output_hint(name, self._types.activity(activity), activity_hints)
        )
        reads = _reads(hint, f"the result of activity '{activity}'")

        def attempt(first: int | None) -> Task[Any]:
            no = self._frame.number()
            pinned = placement == "queue"
            return self._await(TaskScheduled(no, activity, data, pinned=pinned, tags=checked, first=first), reads)

        return self._with_retry(retry_policy, attempt)

    def call_activity_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryPolicy,
        input_: Any = None,
        expected_type: Any = None,
    ) -> Task[Any]:
        """Schedule an activity that is tried again as `retry_options` say; see `call_activity`."""
        return self.call_activity(name, input_, expected_type, retry_policy=retry_options)

    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        return_type: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        """Start another orchestration as a child of this one and wait for its output.

        Args:
            name: the orchestrator's name, or the decorated function itself.
            input_: its input, anything that has a JSON form.
            instance_id: id of the child; by default one is derived, the same in every replay.
            version: version that the child starts with.
            expected_type: what to read its output as; by default what its own return hint says.
            return_type: another name of `expected_type`.
            retry_policy: how to retry when the child fails; with `instance_id`, each attempt replaces the one before.
            tags: texts to find the child by and to show with it.

        Raises:
            DataError: the input has no JSON form; from the task: the output does not fit the type.
            TaskFailedError: (from the task) the child failed, or was terminated.
        """
        child = name_of(name, "sub-orchestrator")
        data = to_json(input_, f"the input of sub-orchestration '{child}'")
        if instance_id is not None:
            check_instance_id(instance_id)
        checked = checked_tags(tags)
        hint = _first(
            expected_type, return_type, self._output_hint(name, self._types.orchestrator(child), orchestrator_hints)
        )
        reads = _reads(hint, f"the output of sub-orchestration '{child}'")

        def attempt(_first: int | None) -> Task[Any]:
            no = self._frame.number()
            action = SubOrchestrationScheduled(
                no,
                child,
                instance_id or self._frame.derived_id(f"child/{no}").hex,
                self._frame.child_execution(no),
                data,
                version,
                checked,
            )
            return self._await(action, reads)

        return self._with_retry(retry_policy, attempt)

    def call_sub_orchestrator_with_retry(  # noqa: PLR0917 - Durable Functions' own parameters, in their order
        self,
        name: str | Callable[..., Any],
        retry_options: RetryPolicy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
    ) -> Task[Any]:
        """Start a child orchestration that is tried again as `retry_options` say."""
        return self.call_sub_orchestrator(name, input_, instance_id, version, expected_type, retry_policy=retry_options)

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Return a task that completes at a time (naive ones mean UTC) or after a while; it can be cancelled."""
        if isinstance(fire_at, timedelta):
            due = self._frame.now + fire_at
        elif isinstance(fire_at, datetime):
            due = fire_at.astimezone(UTC) if fire_at.tzinfo else fire_at.replace(tzinfo=UTC)
        else:
            raise TypeError(f"create_timer takes a datetime or a timedelta, not {type(fire_at).__name__}")
        no = self._frame.number()
        task = TimerTask(no, self._cancel_timer)
        self._frame.wait_for(TimerCreated(no, due), task)
        return task

    def when_all(self, tasks: Sequence[Task[Any]]) -> Task[list[Any]]:
        """Return a task that completes with all results, or fails as soon as one of the tasks fails."""
        return WhenAll(_checked(tasks, "task_all"))

    def when_any(self, tasks: Sequence[Task[Any]]) -> Task[Any]:
        """Return a task that completes with the first of the tasks to complete or fail; with None if there is none."""
        return WhenAny(_checked(tasks, "task_any"))

    def task_all(self, activities: Sequence[Task[Any]]) -> Task[list[Any]]:
        """Another name of `when_all`."""
        return self.when_all(activities)

    def task_any(self, activities: Sequence[Task[Any]]) -> Task[Any]:
        """Another name of `when_any`."""
        return self.when_any(activities)

    # ---- events ----------------------------------------------------------------------------------------------

    def wait_for_external_event(
        self, name: str, expected_type: Any = None, *, timeout: timedelta | None = None
    ) -> Task[Any]:
        """Return a task that completes with the data of the next external event of this name (case is ignored).

        Events that came before are buffered, and several waiters are served in order.

        Args:
            name: the event's name.
            expected_type: what to read its data as.
            timeout: give up after this long: the task then raises TimeoutError.

        Raises:
            DataError: (from the task) the data do not fit the type.
        """
        check_text(name, "an external event's name")
        frame = self._frame
        task: Task[Any] = Task(reads=_reads(expected_type, f"the data of event '{name}'"))
        frame.wait_for_event(name, task)
        if timeout is None or task.is_completed:
            return task
        return TimedEvent(task, self.create_timer(timeout), name, lambda: frame.forget_event(name, task))

    def send_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Raise an external event at another orchestration; nothing to wait for."""
        check_instance_id(instance_id)
        check_text(name, "an external event's name")
        text = to_json(data, f"the data of event '{name}'")
        self._frame.ask(EventSent(self._frame.number(), instance_id, name, text))

    # ---- the orchestration itself ------------------------------------------------------------------------------

    def continue_as_new(self, input_: Any, *, save_events: bool = True, new_version: str | None = None) -> None:
        """Begin anew with a fresh history and this input, once the function returns or would wait for something.

        Args:
            input_: input of the next generation.
            save_events: whether events that nobody waited for are kept for it.
            new_version: version of the next generation; None keeps the present one.
        """
        data = to_json(input_, "the input of continue_as_new")
        self._frame.continuation = ContinuedAsNew(data, save_events, new_version)

    def set_custom_status(self, status: Any) -> None:
        """Show something (anything with a JSON form) in the instance's status, until it is set again."""
        self._frame.custom_status = to_json(status, "the custom status")
        self._frame.custom_status_set = True

    @property
    def custom_status(self) -> Any:
        """The custom status that this generation has set last, or None."""
        return from_json(self._frame.custom_status)

    # ---- shared by the above -------------------------------------------------------------------------------------

    def _await(
        self, action: TaskScheduled | SubOrchestrationScheduled, reads: Callable[[str | None], Any]
    ) -> Task[Any]:
        task: Task[Any] = Task(action.no, reads)
        self._frame.wait_for(action, task)
        return task

    @staticmethod
    def _output_hint(
        function: str | Callable[..., Any], known: Hints, read: Callable[[Callable[..., Any]], Hints]
    ) -> Any:
        """Return what a function declares to return: as the app knows it by name, or as the function itself says."""
        if known.output is not None or isinstance(function, str):
            return known.output
        return read(function).output

    def _with_retry(self, policy: RetryPolicy | None, attempt: Callable[[int | None], Task[Any]]) -> Task[Any]:
        if policy is None:
            return attempt(None)
        frame = self._frame
        began = frame.now
        return RetryTask(
            attempt,
            lambda attempts, error: next_wait(
                policy,
                attempts=attempts,
                first_began=began,
                now=frame.now,
                error=error,
                draw=frame.draw,
            ),
            self.create_timer,
        )

    def _cancel_timer(self, task: TimerTask) -> None:
        assert task.id is not None  # noqa: S101 - a timer has a number
        self._frame.forget(task.id)
        self._frame.ask(TimerCanceled(task.id))


def _first(*hints: Any) -> Any:
    return next((hint for hint in hints if hint is not None), None)


def _reads(hint: Any, what: str) -> Callable[[str | None], Any]:
    return partial(read_as, hint=hint, what=what)


def _checked(tasks: Sequence[Task[Any]], caller: str) -> Sequence[Task[Any]]:
    for task in tasks:
        if not isinstance(task, Task):
            raise TypeError(f"{caller} takes a list of tasks, not one with {type(task).__name__} in it")
    return tasks
