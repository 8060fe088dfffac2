"""The calls of the context: activities, sub-orchestrations, HTTP, timers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, TypeVar, overload

from perdure.core.actions import SubOrchestrationScheduled, TaskScheduled, TimerCanceled, TimerCreated
from perdure.core.data import to_json
from perdure.core.entity_id import check_orchestration_id
from perdure.core.frame import Frame
from perdure.core.hints import FunctionTypes, Hints, NoTypes, activity_hints, orchestrator_hints
from perdure.core.http_calls import DEFAULT_TIMEOUT, HTTP_ACTIVITY, HttpCall, ManagedIdentityTokenSource, http_request
from perdure.core.naming import checked_tags, name_of
from perdure.core.retry import RetryPolicy, next_wait
from perdure.core.tasks import RetryTask, Task, TimerTask
from perdure.core.times import instant
from perdure.core.typed import read_as
from perdure.core.versions import checked_version

R = TypeVar("R")


class Calls:
    """The part of the context that asks for work and for time."""

    def __init__(self, frame: Frame, types: FunctionTypes | None) -> None:
        self._frame = frame
        self._types: FunctionTypes = types or NoTypes()

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
            version: version that the child starts with, at most 100 characters; by default the worker's own.
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
            check_orchestration_id(instance_id)
        self._frame.section.check_child(child)
        checked, its_version = checked_tags(tags), checked_version(version)
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
                its_version,
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

    def call_http(  # noqa: PLR0917 - Durable Functions' own parameters, in their order
        self,
        method: str,
        uri: str,
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        token_source: ManagedIdentityTokenSource | None = None,
        is_raw_str: bool = False,
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,
        retry_policy: RetryPolicy | None = None,
        asynchronous_pattern_enabled: bool = True,
    ) -> Task[dict[str, Any]]:
        """Make an HTTP call; the task's result is `{"statusCode": ..., "headers": {...}, "content": text}`.

        Redirects are followed; credentials don't go to another origin.

        Args:
            method: HTTP method.
            uri: absolute URI.
            content: the body, written as JSON; None for none.
            headers: request headers. They stand in the history: use a token source for secrets.
            token_source: adds a token of the app's identity, which does not.
            is_raw_str: send a str as it is, not as JSON.
            timeout: for each exchange.
            retry_policy: how to retry when there is no answer, or one of 408, 429 and 5xx; None returns such an answer.
            asynchronous_pattern_enabled: after an answer 202 with a Location, ask there until the answer is another
                one, as often as its Retry-After says.

        Raises:
            TypeError, ValueError: the request can't be sent.
            TaskFailedError: (from the task) there was no answer.
        """
        request = http_request(
            method,
            uri,
            content,
            headers,
            token_source,
            is_raw_str=is_raw_str,
            timeout=timeout,
            retries=retry_policy is not None,
        )
        return HttpCall(
            request,
            lambda each: self.call_activity(HTTP_ACTIVITY, each, retry_policy=retry_policy),
            self.create_timer,
            lambda: self._frame.now,
            follow=asynchronous_pattern_enabled,
        )

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Return a task that completes at a time (naive ones mean UTC) or after a while; it can be cancelled.

        Raises ValueError for a time that the calendar does not reach, TypeError for what is none.
        """
        if isinstance(fire_at, timedelta):
            due = self._later(fire_at)
        elif isinstance(fire_at, datetime):
            due = instant(fire_at)
        else:
            raise TypeError(f"create_timer takes a datetime or a timedelta, not {type(fire_at).__name__}")
        no = self._frame.number()
        task = TimerTask(no, self._cancel_timer)
        self._frame.wait_for(TimerCreated(no, due), task)
        return task

    def _later(self, wait: timedelta) -> datetime:
        try:
            return self._frame.now + wait
        except OverflowError:
            raise ValueError(f"create_timer: the calendar does not reach {wait} from now") from None

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
