"""Running activities: how many at once, on the event loop or in a bounded pool of threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from perdure.core.data import to_json
from perdure.core.failure import Failure, failure_of
from perdure.core.messages import ActivityCall, Completion
from perdure.core.typed import read_as
from perdure.engine.delivery import WorkerStopped
from perdure.engine.durations import Durations
from perdure.engine.payloads import PayloadDesk
from perdure.engine.placement import ENOUGH
from perdure.engine.registry import ActivityContext, Registry, current_activity
from perdure.engine.watch import Watch
from perdure.storage.protocol import PayloadMissing
from perdure.streaming import StreamDesk, StreamUnavailable

_log = logging.getLogger("perdure.activities")


class ActivityRunner:
    """Runs activities of one worker.

    Args:
        registry: the app's functions.
        payloads: where large inputs and results are.
        limit: activities running at once; sync ones have as many threads.
        durations: learns how long they take.
        watch: tells of those that do not come back.
        streams: makes, on the event loop, what opens their streams.
    """

    def __init__(
        self,
        registry: Registry,
        payloads: PayloadDesk,
        limit: int,
        *,
        durations: Durations,
        watch: Watch,
        streams: Callable[[], StreamDesk] | None = None,
    ) -> None:
        self._registry = registry
        self._make_desk = streams
        self._desk: StreamDesk | None = None
        self._payloads = payloads
        self.durations = durations
        self._watch = watch
        self._keeps = f": it keeps one of {limit} places"
        self._slots = asyncio.Semaphore(limit)
        self._limit = limit
        self._in_hand: dict[object, float] = {}
        """How many seconds what runs, or waits for a place, is expected to take."""
        self.draining = False
        self._closed = False
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="perdure-activity")

    @property
    def has_room(self) -> bool:
        """Whether an activity could begin soon: at once, or after others that are short."""
        soon = not self._slots.locked() or sum(self._in_hand.values()) < ENOUGH * self._limit
        return soon and not self.draining

    def knows(self, name: str) -> bool:
        """Whether the app has an activity of this name."""
        return name in self._registry.activities

    def drain(self) -> None:
        """Have no room from now on; what is handed over all the same is run."""
        self.draining = True

    async def run(self, instance_id: str, execution: str, call: ActivityCall) -> Completion:
        """Run an activity and return its outcome; whatever it raises is a failure, not an error of ours.

        Raises:
            StorageUnavailable: its input or result can't be moved, or its stream not written; run it again later.
        """
        if self._desk is None and self._make_desk is not None:
            self._desk = self._make_desk()
        context = ActivityContext(instance_id, execution, call.no, call.name, call.tags, call.first, self._desk)
        turn = object()
        self._in_hand[turn] = ENOUGH if (seconds := self.durations.of(call.name)) is None else seconds
        try:
            return await self._run(context, call)
        finally:
            del self._in_hand[turn]

    async def _run(self, context: ActivityContext, call: ActivityCall) -> Completion:
        instance_id = context.instance_id
        async with self._slots:
            try:
                text = await self._payloads.text(instance_id, call.input)
            except PayloadMissing as missing:
                return Completion(call.no, failure=failure_of(missing))
            try:
                hint = self._registry.activities.hints(call.name).input
                value = read_as(text, hint, f"the input of activity '{call.name}'")
                with self._watch.over("activity", call.name, instance_id, self._keeps):
                    result = await self._call(context, value)
                written = to_json(result, f"the result of activity '{call.name}'")
            except _Raised as raised:
                if isinstance(raised.error, StreamUnavailable):
                    raise raised.error from None
                return self._failed(instance_id, call, raised.error)
            except BaseException as error:
                if _is_ours(error):
                    raise
                return self._failed(instance_id, call, error)
        return Completion(call.no, await self._payloads.offload(instance_id, written))

    async def _call(self, context: ActivityContext, value: object) -> object:
        function = self._registry.activities.get(context.name)
        loop = asyncio.get_running_loop()
        if inspect.iscoroutinefunction(function):
            reset = current_activity.set(context)
            began = loop.time()
            try:
                return await function(value)
            finally:
                self.durations.note(context.name, loop.time() - began)
                current_activity.reset(reset)
        variables = contextvars.copy_context()
        variables.run(current_activity.set, context)
        done = await loop.run_in_executor(self._threads, variables.run, _timed, loop.time, function, value)
        self.durations.note(context.name, done.seconds)
        if isinstance(done.outcome, _Raised):
            raise done.outcome
        return done.outcome

    def _failed(self, instance_id: str, call: ActivityCall, error: BaseException) -> Completion:
        if self._closed:
            raise WorkerStopped(f"this worker was stopped while activity '{call.name}' ran") from error
        _log.warning("activity '%s' of instance '%s' failed", call.name, instance_id, exc_info=error)
        return Completion(call.no, failure=failure_of(error))

    def close(self) -> None:
        """Stop taking work; threads end with what they run. What has not come to an end has no outcome."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Raised(Exception):
    """What a function in a thread raised. As it is it must not reach the event loop: a KeyboardInterrupt would end the
    loop, a StopIteration means something else there.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class _Done(NamedTuple):
    """What came of a function in a thread: its result, or what it raised."""

    outcome: object
    seconds: float


def _timed(time: Callable[[], float], function: Callable[[Any], object], value: object) -> _Done:
    began = time()
    try:
        outcome = function(value)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the activity's failure
        outcome = _Raised(error)
    return _Done(outcome, time() - began)


def _is_ours(error: BaseException) -> bool:
    """Whether it comes from the worker's shutting down, or from a store that is away, and not from the activity."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    # the first is thrown into a coroutine that is closed
    return isinstance(error, GeneratorExit | StreamUnavailable)


def lost(name: str, deliveries: int) -> Failure:
    """Return the failure of an activity that was delivered too often without an outcome."""
    return Failure(
        "ActivityLostError",
        f"activity '{name}' was begun {deliveries} times and never came to an end: it, or the orchestrator as it goes "
        f"on, probably ends its process (out of memory, a crash in native code, a time-out of the host). Look at the "
        f"host's log, mend it, and run the orchestration again.",
    )
