"""The context that orchestrator functions are given: the only way in which they may touch the world."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

from perdure.core.actions import (
    ContinuedAsNew,
    EventSent,
)
from perdure.core.data import from_json, to_json
from perdure.core.entity_calls import EntityCalls
from perdure.core.entity_id import check_orchestration_id
from perdure.core.frame import Frame
from perdure.core.hints import FunctionTypes
from perdure.core.histories import HistoryEvent, history_events
from perdure.core.naming import check_text
from perdure.core.replay_safe import ReplaySafeLogger
from perdure.core.tasks import Task, TimedEvent, WhenAll, WhenAny
from perdure.core.typed import read_as
from perdure.core.versions import checked_version


class OrchestrationContext(EntityCalls):
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
        super().__init__(frame, types)
        self.name = name
        """Name of the orchestrator function."""
        self.version = version
        self.parent_instance_id = parent_instance_id
        self._input_type = input_type
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

    # ---- several tasks -------------------------------------------------------------------------------------------

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
        if not check_text(name, "an external event's name"):
            raise ValueError("an external event's name can't be empty")
        frame = self._frame
        task: Task[Any] = Task(reads=partial(read_as, hint=expected_type, what=f"the data of event '{name}'"))
        frame.wait_for_event(name, task)
        if timeout is None or task.is_completed:
            return task
        return TimedEvent(task, self.create_timer(timeout), name, lambda: frame.forget_event(name, task))

    def send_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Raise an external event at another orchestration; nothing to wait for."""
        check_orchestration_id(instance_id)
        if not check_text(name, "an external event's name"):
            raise ValueError("an external event's name can't be empty")
        text = to_json(data, f"the data of event '{name}'")
        self._frame.ask(EventSent(self._frame.number(), instance_id, name, text))

    # ---- the orchestration itself ------------------------------------------------------------------------------

    def continue_as_new(self, input_: Any, *, save_events: bool = True, new_version: str | None = None) -> None:
        """Begin anew with a fresh history and this input, once the function returns or would wait for something.

        Args:
            input_: input of the next generation.
            save_events: whether events that nobody waited for are kept for it.
            new_version: version of the next generation, at most 100 characters; None keeps the present one.
        """
        data = to_json(input_, "the input of continue_as_new")
        self._frame.continuation = ContinuedAsNew(data, bool(save_events), checked_version(new_version))

    def set_custom_status(self, status: Any) -> None:
        """Show something (anything with a JSON form) in the instance's status, until it is set again."""
        self._frame.custom_status = to_json(status, "the custom status")
        self._frame.custom_status_set = True

    @property
    def custom_status(self) -> Any:
        """The custom status that this generation has set last, or None."""
        return from_json(self._frame.custom_status)


def _checked(tasks: Sequence[Task[Any]], caller: str) -> Sequence[Task[Any]]:
    for task in tasks:
        if not isinstance(task, Task):
            raise TypeError(f"{caller} takes a list of tasks, not one with {type(task).__name__} in it")
    return tasks
