"""A whole app in memory, in time that passes only when nothing else is left to do."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from perdure.client import Client, DurableOrchestrationStatus
from perdure.core.data import from_json, to_json
from perdure.core.entity_id import EntityId
from perdure.core.http_calls import HTTP_ACTIVITY
from perdure.core.status import ENDED
from perdure.engine.settings import EngineSettings
from perdure.errors import InstanceNotFoundError, PerdureError
from perdure.testing.errors import StuckError
from perdure.testing.functions import (
    Function,
    Functions,
    activity_name,
    add_entity,
    add_orchestrator,
    is_entity,
    named,
    plain,
    registry_of,
)
from perdure.testing.harness_hub import SETTINGS, HarnessHub
from perdure.testing.orchestrator_run import Call
from perdure.testing.recorded_history import RecordedHistory, record_history
from perdure.testing.replaying import replayed
from perdure.testing.stubs import stub_function
from perdure.testing.substitution import is_orchestrator, stand_in
from perdure.testing.virtual_time import EPOCH, NothingScheduled, VirtualTimeLoop, without_a_loop
from perdure.testing.waiting import what_is_waited_for

_NO_HTTP = (
    "call_http has no stub in this test: give activities={'call_http': ...}, or harness.replace('call_http', ...)"
)

T = TypeVar("T")
Status = DurableOrchestrationStatus


class AppHarness:
    """Runs an app's orchestrations with the real engine, over a storage in memory.

    Use it in `with`. Time begins at `now` and skips to whatever is due next, but only in `wait`, `skip` and `run`, and
    only when nothing else is left to do. Activities run one after the other on the calling thread, sync ones too.

    Its methods are sync, and may be called from async tests, too: the app's loop is the harness's own.

    Args:
        app: an app, blueprint or registry; None if functions are given.
        orchestrators: further orchestrators: a list, or a dictionary by name.
        activities: further activities, or stubs in the place of the app's (see `replace`).
        entities: further entities, functions or classes, or others in the place of the app's.
        settings: of the engine; by default what blocks an instance in production fails it here.
        now: the time at the beginning; a naive time means UTC.
        check_replay: when `wait` sees an instance's end, take its orchestrator through its history once more.
    """

    def __init__(
        self,
        app: Any = None,
        *,
        orchestrators: Functions | None = None,
        activities: Functions | None = None,
        entities: Functions | None = None,
        settings: EngineSettings = SETTINGS,
        now: datetime = EPOCH,
        check_replay: bool = True,
    ) -> None:
        self._app = app
        self._registry = registry_of(app)
        self._settings = settings
        self._began = now.astimezone(UTC) if now.tzinfo else now.replace(tzinfo=UTC)
        self._check_replay = check_replay
        self._loop: VirtualTimeLoop | None = None
        self._hub: HarnessHub | None = None
        self._client: Client | None = None
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None
        self.calls: list[Call] = []
        """The activities that have been run, in order, with their inputs."""
        for name, function in list(self._registry.activities.all.items()):
            self._put_activity(name, function)
        self._put_activity(HTTP_ACTIVITY, PerdureError(_NO_HTTP))
        for name, _, function in named(orchestrators, "orchestrator"):
            add_orchestrator(self._registry, name, function)
        for name, _, entity in named(entities, "entity"):
            add_entity(self._registry, name, entity)
        for name, known, answer in named(activities, "activity"):
            if known is not None and name not in self._registry.activities:
                self._registry.activities.add(name, plain(known))  # for its types
            self._put_activity(name, answer)

    def __enter__(self) -> Self:
        loop = self._loop = VirtualTimeLoop()
        hub = self._hub = HarnessHub(loop, self._registry, self._settings, self._began)
        make: Callable[..., Client] = getattr(self._app, "durable_client", Client)
        self._client = make(
            hub.storage,
            worker=hub.worker,
            default_version=self._settings.default_version,
            clock=hub.clock,
            new_id=hub.new_id,
        )
        self._do(hub.open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            self._in_a_thread_if_need_be(lambda: self._close(loop))
        if self._thread is not None:
            self._thread.shutdown()

    # ---- what a test does --------------------------------------------------------------------------------------------

    def start(
        self,
        orchestrator: str | Function,
        input_: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        **options: Any,
    ) -> str:
        """Start an orchestration, let it go as far as it can without time passing, and return its id.

        Args:
            orchestrator: its name, or the decorated function.
            input_: its input.
            instance_id: its id; None makes one.
            version: its version.
            options: further arguments of the client's `start_new`, such as `start_at` and `tags`.

        Raises:
            UnknownFunctionError: the app has no such orchestrator.
            InstanceExistsError: the id belongs to an instance that has not ended.
        """
        started: str = self.run(lambda client: client.start_new(orchestrator, instance_id, input_, version, **options))
        return started

    def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Send an external event, and let what follows go as far as it can without time passing.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended.
        """
        self.run(lambda client: client.raise_event(instance_id, name, data))

    def signal_entity(
        self,
        entity: EntityId | str,
        operation: str,
        input_: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """Signal an entity, and let what follows go as far as it can without time passing.

        Args:
            entity: the entity.
            operation: what it is to do.
            input_: the operation's input.
            signal_time: when it is to do it: a time, or a while from now.
        """
        due = self.now + signal_time if isinstance(signal_time, timedelta) else signal_time
        self.run(lambda client: client.signal_entity(entity, operation, input_, signal_time=due))

    def entity_state(self, entity: EntityId | str, expected_type: Any = None) -> Any:
        """Return an entity's state now, None if it has none.

        Args:
            entity: the entity.
            expected_type: what to read the state as; by default plain JSON.

        Raises:
            DataError: the state does not fit.
        """
        found = self.run(lambda client: client.read_entity_state(entity, expected_type=expected_type))
        return found.entity_state

    def wait(
        self,
        instance_id: str,
        *,
        until: Callable[[Status], bool] | None = None,
        timeout: timedelta = timedelta(days=366),
    ) -> Status:
        """Let time pass until an instance has ended, and return its status.

        Args:
            instance_id: the instance.
            until: called with its status at every change; wait until this is true instead.
            timeout: how much time may pass.

        Raises:
            StuckError: everything waits for something that can never come; the error says which instance for what.
            TimeoutError: it has not come to that in time.
            HistoryDiffers: the orchestrator, taken through its history again, asks for something else.
            InstanceNotFoundError: there is no such instance.
        """
        return self._do(self._wait(instance_id, until, longest=timeout))

    def skip(self, time: timedelta | datetime) -> None:
        """Let so much time pass, or all the time until then; what is due meanwhile happens at its time."""
        until = time.astimezone(UTC) if isinstance(time, datetime) else self.now + time
        seconds = (until - self.now).total_seconds()
        if seconds < 0:
            raise ValueError(f"time can't go back: it is {self.now.isoformat()} already")
        self.run(lambda _client: asyncio.sleep(seconds))

    def status(self, instance_id: str, *, show_input: bool = False) -> Status:
        """Return an instance's status now; a falsy one if there is no such instance."""
        status: Status = self.run(lambda client: client.get_status(instance_id, show_input=show_input))
        return status

    def history(self, instance_id: str) -> RecordedHistory:
        """Return an instance's history, to be looked at, saved or replayed. Raises InstanceNotFoundError."""
        return self.run(lambda client: record_history(client, instance_id))

    def replace(self, function: str | Function, stub: Any) -> None:
        """Have something else answer in the place of an activity, orchestrator or entity from now on.

        Args:
            function: its name, or the decorated function; an entity's class.
            stub: a value is the result, an exception is raised, a function (async or not) is called with the input,
                `outcomes(...)` answers call by call; a generator function or decorated orchestrator is run as one. In
                an entity's place: another entity, a function of `(context)` or a class.
        """
        name = activity_name(function)
        if is_entity(function) or is_entity(stub) or (isinstance(function, str) and self._is_entity_only(name)):
            add_entity(self._registry, name, stub)
            return
        if is_orchestrator(stub):
            add_orchestrator(self._registry, name, stub)
        elif name in self._registry.orchestrators and name not in self._registry.activities:
            self._registry.orchestrators.replace(name, _answering(stub_function(stub)))
        else:
            self._put_activity(name, stub)

    def run(self, scenario: Callable[..., Awaitable[T]]) -> T:
        """Run a coroutine function with the app's own client, in the app's time, and return its result.

        Time passes as the scenario waits: for a completion, in `asyncio.sleep`. Afterwards everything goes as far as it
        can without time passing.

        Args:
            scenario: takes the async client, or nothing.

        Raises:
            StuckError: everything waits for something that can never come.
        """

        async def main() -> T:
            result = await (scenario(self.client) if inspect.signature(scenario).parameters else scenario())
            await self._running_loop.idle()
            return result

        return self._do(main())

    @property
    def client(self) -> Client:
        """The async client, of the kind that the app's functions receive. To be used inside `run`."""
        if self._client is None or self._loop is None:
            raise PerdureError("the harness is not open: use it in `with AppHarness(...) as harness:`")
        return self._client

    @property
    def now(self) -> datetime:
        """The time in the harness: aware, UTC."""
        return self._began if self._hub is None else self._hub.clock.now()

    # ---- its own -----------------------------------------------------------------------------------------------------

    @property
    def _running_loop(self) -> VirtualTimeLoop:
        if self._loop is None:
            raise PerdureError("the harness is not open: use it in `with AppHarness(...) as harness:`")
        return self._loop

    def _is_entity_only(self, name: str) -> bool:
        registry = self._registry
        return name in registry.entities and name not in registry.activities and name not in registry.orchestrators

    async def _wait(self, instance_id: str, until: Callable[[Status], bool] | None, *, longest: timedelta) -> Status:
        assert self._hub is not None  # noqa: S101 - `_do` has looked
        deadline = self.now + longest
        while True:
            status = await self.client.get_status(instance_id)
            if not status:
                raise InstanceNotFoundError(f"there is no instance '{instance_id}': look at the id, or start it first")
            ended = status.runtime_status in ENDED
            if until(status) if until is not None else ended:
                break
            if ended:
                raise StuckError(f"{status!r} has ended, and `until` is not true of it: it will never be")
            if self.now > deadline:
                raise TimeoutError(f"{status!r} after {longest}: wait longer, or skip to a time and look at its status")
            await self._hub.storage.wait_for_change(None)
        await self._running_loop.idle()
        if ended and self._check_replay:
            replayed(await record_history(self.client, instance_id), self._registry)
        return status

    def _put_activity(self, name: str, answer: Any) -> None:
        function = stand_in(answer)

        @functools.wraps(function)
        async def call(value: Any) -> Any:
            self.calls.append(Call(name, from_json(to_json(value))))
            if inspect.iscoroutinefunction(function):
                return await function(value)
            result = without_a_loop(function, value)
            return await result if inspect.isawaitable(result) else result

        self._registry.activities.replace(name, call)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
        loop = self._running_loop
        return self._in_a_thread_if_need_be(lambda: self._run_on(loop, work))

    def _run_on(self, loop: VirtualTimeLoop, work: Coroutine[Any, Any, T]) -> T:
        task = loop.create_task(work)
        try:
            return loop.run_until_complete(task)
        except NothingScheduled:
            task.cancel()
            loop.run_until_complete(asyncio.wait({task}))
        waiting = loop.run_until_complete(what_is_waited_for(self.client.storage, self._registry))
        raise StuckError(
            "nothing is left that could happen: "
            + ("; ".join(waiting) or "no instance waits for anything, but the test does")
            + ". Raise the event, or mend the orchestrator"
        )

    def _in_a_thread_if_need_be(self, work: Callable[[], T]) -> T:
        """Run `work`, which runs the harness's loop; a thread has one running loop at most."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return work()
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="perdure-harness")
        return self._thread.submit(work).result()

    def _close(self, loop: VirtualTimeLoop) -> None:
        assert self._hub is not None  # noqa: S101 - it is made with the loop
        try:
            loop.run_until_complete(self._hub.close())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


def _answering(stub: Callable[[Any], Any]) -> Function:
    async def orchestrator(context: Any) -> Any:
        result = stub(context.get_input())
        return await result if inspect.isawaitable(result) else result

    return orchestrator
