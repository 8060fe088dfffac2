"""Replay: drives an orchestrator function over history and new events.

An `Orchestration` is one generation of one instance, run as far as it has been told. Feed it the turns of its history
(`replay`), then each new turn's events (`advance`). It never raises for what user code does: an exception that leaves
the function is the orchestration's failure. It raises `NonDeterminismError` when the code asks for other actions than
history records.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import zip_longest
from typing import Any, assert_never

import msgspec

from perdure.core.actions import (
    Action,
    ContinuedAsNew,
    EntityCalled,
    OrchestrationCompleted,
    PatchMarked,
    SubOrchestrationScheduled,
    TaskScheduled,
    TimerCreated,
)
from perdure.core.context import OrchestrationContext
from perdure.core.data import payload_of, to_json
from perdure.core.determinism import comparable, same, told
from perdure.core.failure import Failure, TaskFailedError, failure_of
from perdure.core.frame import Frame
from perdure.core.hints import FunctionTypes, orchestrator_hints
from perdure.core.histories import PastTurn, without_data
from perdure.core.history import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    Turn,
)
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.streams import Flow
from perdure.core.tasks import Task
from perdure.errors import DataError, NonDeterminismError

_UNAFFECTED_BY_PAUSES = ExecutionSuspended | ExecutionResumed | ExecutionTerminated | ExecutionRewound
OrchestratorFunction = Callable[..., Any]
"""A generator function, an `async def` function or a plain one, of `(context)` or `(context, input)`."""


class Decision(msgspec.Struct, frozen=True):
    """What a turn decided."""

    at: datetime
    actions: list[Action]
    custom_status: str | msgspec.UnsetType | None
    """JSON of the custom status if the turn set it."""
    unconsumed: list[EventRaised]
    """If the generation has ended: the events that nobody waited for."""


class Orchestration:
    """A generation of an instance, suspended where its history ends."""

    def __init__(
        self,
        function: OrchestratorFunction,
        *,
        instance_id: str,
        name: str,
        execution: str,
        version: str | None = None,
        input_: str | None = None,
        parent_instance_id: str | None = None,
        suspended: bool = False,
        input_type: Any = None,
        types: FunctionTypes | None = None,
        flows: Mapping[str, Flow] | None = None,
    ) -> None:
        self._frame = Frame(instance_id=instance_id, execution=execution, input_=input_, flows=flows)
        self._context = OrchestrationContext(
            self._frame,
            name=name,
            version=version,
            parent_instance_id=parent_instance_id,
            input_type=orchestrator_hints(function, input_type).input,
            types=types,
        )
        self._function = function
        self._stack: Any = None
        self._ended = False
        self._suspended = suspended
        self._paused: list[tuple[Event, Mapping[str, str]]] = []
        """What came during the pause, and the payloads that belong to it."""

    @property
    def awaited_events(self) -> list[str]:
        """Names of the external events that the function waits for where its history ends."""
        return self._frame.awaited_events()

    def replay(self, turn: Turn, payloads: Mapping[str, str]) -> list[Action]:
        """Run a turn of history again, and return what the code asks for in it.

        Args:
            turn: the next turn of this generation.
            payloads: JSON text by payload id, for the data that the turn's events refer to.

        Raises:
            NonDeterminismError: the code asks for other actions than the turn records.
        """
        self._frame.replaying = True
        self._frame.marked = frozenset(action.id for action in turn.actions if isinstance(action, PatchMarked))
        asked = self._run(turn.at, turn.events, payloads)
        if not any(isinstance(event, ExecutionTerminated) for event in turn.events):
            self._compare(turn, asked)
        return asked

    def advance(self, now: datetime, events: Sequence[Event], payloads: Mapping[str, str]) -> Decision:
        """Run a new turn over `events` and return what it decides.

        The turn's time is `now`, but never earlier than the last turn's, nor than a fired timer's due time.
        """
        frame = self._frame
        frame.replaying = False
        frame.custom_status_set = False
        due = [timer.fire_at for event in events if (timer := self._fired(event)) is not None]
        at = max([now, frame.now, *due])
        actions = self._run(at, events, payloads)
        return Decision(
            at=at,
            actions=actions,
            custom_status=frame.custom_status if frame.custom_status_set else msgspec.UNSET,
            unconsumed=frame.unconsumed() if self._ended else [],
        )

    # ---- a turn --------------------------------------------------------------------------------------------------

    def _run(self, at: datetime, events: Sequence[Event], payloads: Mapping[str, str]) -> list[Action]:
        frame = self._frame
        frame.now = at
        turn = PastTurn(at, frame.replaying, without_data(events))
        frame.past.append(turn)
        for event in events:
            self._apply(event, payloads)
        turn.actions = actions = frame.take_actions()
        return actions

    def _apply(self, event: Event, payloads: Mapping[str, str]) -> None:  # noqa: C901, PLR0912 - a case for each event
        if self._ended and not isinstance(event, EventRaised):
            return
        if self._suspended and not isinstance(event, _UNAFFECTED_BY_PAUSES):
            self._paused.append((event, payloads))
            return
        match event:
            case ExecutionStarted():
                self._start(payloads)
            case TaskCompleted(no, result) | SubOrchestrationCompleted(no, result):
                self._complete(no, _resolved(result, payloads))
            case TaskFailed(no, failure):
                self._fail(no, "activity", failure)
            case SubOrchestrationFailed(no, failure):
                self._fail(no, "sub-orchestration", failure)
            case TimerFired(no):
                self._complete(no, None)
            case EntityOperationCompleted(no, result):
                self._complete(no, _resolved(result, payloads))
            case EntityOperationFailed(no, failure):
                self._fail(no, "entity operation", failure)
            case EntityLockGranted(no):
                self._frame.section.grant()
                self._complete(no, None)
            case EventRaised():
                self._frame.event_raised(event, _resolved(event.data, payloads))
            case ExecutionTerminated():
                self._ended = True  # decided without the orchestrator: see core/termination.py
            case ExecutionRewound():
                self._frame.renew(event.renewed, event.next_no)
            case ExecutionSuspended():
                self._suspended = True
            case ExecutionResumed():
                self._end_pause()
            case _:
                assert_never(event)
        self._go_on()

    def _end_pause(self) -> None:
        self._suspended = False
        paused, self._paused = self._paused, []
        for event, payloads in paused:
            self._apply(event, payloads)

    def _start(self, payloads: Mapping[str, str]) -> None:
        self._frame.input = _resolved(self._frame.input, payloads)
        try:
            outcome = self._function(*_arguments(self._function, self._context))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is the orchestration's failure
            self._finish(error=error)
            return
        if inspect.isgenerator(outcome) or inspect.iscoroutine(outcome):
            self._stack = outcome
        else:
            self._finish(value=outcome)

    def _complete(self, no: int, text: str | None) -> None:
        self._answer(no, lambda task: task._receive(text))

    def _fail(self, no: int, kind: str, failure: Failure) -> None:
        action = self._frame.scheduled.get(no)
        if isinstance(action, EntityCalled):
            name = f"{action.operation}' of '{action.entity}"
        else:
            name = action.name if isinstance(action, TaskScheduled | SubOrchestrationScheduled) else f"#{no}"
        self._answer(no, lambda task: task._fail(TaskFailedError(f"{kind} '{name}'", failure, no)))

    def _answer(self, no: int, deliver: Callable[[Task[Any]], None]) -> None:
        task = self._frame.close(no)
        if task is not None:  # else it is a timer that was cancelled in this very turn
            deliver(task)

    def _go_on(self) -> None:
        """Run the function until it waits for something that has not happened."""
        while self._stack is not None and not self._ended:
            waits_for = self._frame.awaited
            if waits_for is not None and not waits_for.is_completed:
                return
            try:
                self._wait(self._resume(waits_for))
            except StopIteration as stop:
                self._finish(value=stop.value)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - see _start
                self._finish(error=error)

    def _wait(self, yielded: Any) -> None:
        if self._frame.continuation is None:
            self._frame.awaited = _as_task(yielded)
        else:  # a generation that is to be followed by another waits for nothing
            self._finish()

    def _resume(self, finished: Task[Any] | None) -> Any:
        error = finished.get_exception() if finished is not None else None
        if error is not None:
            return self._stack.throw(error)
        return self._stack.send(finished.get_result() if finished is not None else None)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, value: Any = None, error: BaseException | None = None) -> None:
        if error is None and self._frame.continuation is not None:
            self._end(self._frame.continuation)
            return
        output = None
        if error is None:
            try:
                output = to_json(value, f"the output of orchestration '{self._context.name}'")
            except DataError as unwritable:
                error = unwritable
        if error is None:
            self._end(OrchestrationCompleted(OrchestrationRuntimeStatus.Completed, output))
        else:
            failure = failure_of(error)
            status = OrchestrationRuntimeStatus.Failed
            self._end(OrchestrationCompleted(status, to_json(str(failure)), failure, _causes(error)))

    def _end(self, action: ContinuedAsNew | OrchestrationCompleted) -> None:
        self._ended = True
        self._frame.stop_waiting()
        stack, self._stack = self._stack, None
        if stack is not None:
            _close(stack)
        self._frame.ask(action)  # the last of the turn's actions, whatever clean-up code asks for

    # ---- determinism -------------------------------------------------------------------------------------------------

    def _compare(self, turn: Turn, asked: list[Action]) -> None:
        for recorded, now in zip_longest(comparable(turn.actions), comparable(asked)):
            if recorded is None or now is None or not same(recorded, now):
                context = self._context
                version = f" (version {context.version})" if context.version else ""
                difference = f"history records {told(recorded)}, but the code now asks for {told(now)}"
                raise NonDeterminismError(
                    f"instance '{context.instance_id}': history and code of orchestrator '{context.name}'{version} "
                    f"differ: {difference}. "
                    f"Orchestrator code must ask for the same things in the same order as when this instance began; "
                    f"deploy code that does and the instance goes on.",
                    difference,
                )

    def _fired(self, event: Event) -> TimerCreated | None:
        action = self._frame.scheduled.get(event.no) if isinstance(event, TimerFired) else None
        return action if isinstance(action, TimerCreated) else None


def _causes(error: BaseException) -> list[int]:
    """Return the actions whose failures an error comes from: it may have been raised for one, or while one was being
    handled, or be a group of such errors.
    """
    causes: list[int] = []
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, TaskFailedError) and each.no is not None:
            causes.append(each.no)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return sorted(set(causes))


def _resolved(datum: str | None, payloads: Mapping[str, str]) -> str | None:
    payload_id = payload_of(datum)
    return datum if payload_id is None else payloads[payload_id]


def _arguments(function: OrchestratorFunction, context: OrchestrationContext) -> tuple[Any, ...]:
    """`(context)` or `(context, input)`, as the function's signature asks."""
    required = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    return (context, context.get_input()) if len(required) > 1 else (context,)


def _as_task(yielded: Any) -> Task[Any]:
    if isinstance(yielded, Task):
        return yielded
    task: Task[Any] = Task()
    task._fail(
        TypeError(
            f"an orchestrator can only wait for durable tasks, not for {type(yielded).__name__}: use the context's "
            f"methods, and put everything else into activities"
        )
    )
    return task


def _close(stack: Any) -> None:
    with suppress(BaseException):  # the orchestration has ended; its clean-up code can't change that
        stack.close()
