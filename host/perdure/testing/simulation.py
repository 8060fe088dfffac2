"""Simulation: the real engine, several workers, storage in memory, virtual time. One seed decides everything.

At every storage call a worker may die, before the call or after it took effect; answers get lost; messages come again
while their handler lives. A run with the same seed is the same run.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from perdure import jitter
from perdure.engine.hub import HubQueues, poison_queue
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.tending import Hold, tend
from perdure.engine.worker import Worker
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.protocol import Conflict, Storage, StorageUnavailable
from perdure.storage.rows import QueueMessage
from perdure.testing.faults import Fate, Faults
from perdure.testing.virtual_time import EPOCH, VirtualClock, VirtualTimeLoop

T = TypeVar("T")
Handler = Callable[[str, str, int], Awaitable[None]]

_RESTART_AFTER = (0.5, 20.0)
_TRANSPORT_TRIES = 4
_LONGEST_STALL = 10.0


class WorkerKilled(BaseException):
    """Raised in the tasks of a dead worker, whatever they still try."""


class SimulatedStorage:
    """`Storage` as one worker sees it: slow, forgetful, and gone when the worker is dead."""

    def __init__(self, simulation: Simulation, life: Life) -> None:
        self._simulation = simulation
        self._life = life
        self._inner = simulation.storage
        self.hub = self._inner.hub
        self.max_message_bytes = self._inner.max_message_bytes

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._simulation.call(self._life, name, lambda: method(*args, **kwargs), args)

        return call


class Life:
    """One life of a worker, from its start to its crash."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.engine: Worker | None = None
        self.context = contextvars.copy_context()
        self.tasks: dict[asyncio.Task[Any], None] = {}


_living: contextvars.ContextVar[Life | None] = contextvars.ContextVar("living", default=None)


class Simulation:
    """A hub with workers, under faults.

    Args:
        seed: decides everything that happens.
        registry: makes the functions of a worker; called anew for each life of each worker.
        workers: how many there are.
        faults: how much goes wrong.
        script: fates of certain storage calls, by the number of the try (from 0); `faults` decides on the others.
        settings: of the engine.
        invisibility: of received messages, in seconds.
        max_deliveries: deliveries after which a message is moved to its queue for poison messages, which workers then
            serve, too; None means that none ever is.
    """

    def __init__(
        self,
        seed: int,
        registry: Callable[[Simulation], Registry],
        *,
        workers: int = 3,
        faults: Faults | None = None,
        script: Mapping[int, Fate] | None = None,
        settings: EngineSettings | None = None,
        invisibility: float = 10.0,
        max_deliveries: int | None = None,
    ) -> None:
        self.seed = seed
        jitter.seed(seed)
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.faults = faults or Faults()
        self.loop = VirtualTimeLoop()
        self.store = MemoryStore()
        self.storage: Storage = MemoryStorage("simulated", store=self.store, clock=self._epoch_seconds)
        self.clock = VirtualClock(self.loop)
        self.crashes = 0
        self.calls = 0
        """Storage calls of workers that took effect."""
        self.tries = 0
        """Storage calls that workers have tried to make."""
        self.sent_twice: list[str] = []
        """Texts of the messages that are in a queue once more, since the answer to their sending was lost."""
        self.after_call: list[Callable[[str], None]] = []
        """Called with a method's name after each storage call that took effect: observers look at the store here."""
        self._registry = registry
        self._script = dict(script or {})
        self._workers = workers
        self._invisibility = invisibility
        self._max_deliveries = max_deliveries
        self._settings = replace(settings or EngineSettings(), max_deliveries=max_deliveries or 1_000_000)
        self._lives: list[Life] = []
        self._playing: asyncio.Task[Any] | None = None
        self._broken: BaseException | None = None

    # ---- running -----------------------------------------------------------------------------------------------

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Run `scenario`, the part of the clients, beside the workers until it returns.

        Raises what it raises, and what keeps a worker from working, such as an error of `registry`.
        """
        self.loop.set_task_factory(self._make_task)  # type: ignore[arg-type] # its keywords vary with Python's version
        self.loop.set_exception_handler(self._loop_error)
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._main(scenario))
        finally:
            for life in self._lives:
                self._kill(life)
            self._cancel_all()
            asyncio.set_event_loop(None)
            self.loop.close()

    async def request(self, serve: Callable[[Worker], Coroutine[Any, Any, T]]) -> T:
        """Let some worker serve a client's request; the client tries again if that worker dies or can't."""
        while True:
            life = self.random.choice(self._lives)
            if life.alive and life.engine is not None:
                task = self.loop.create_task(serve(life.engine), context=life.context)
                await asyncio.wait([task])
                if not task.cancelled() and not isinstance(task.exception(), WorkerKilled | StorageUnavailable):
                    return task.result()
            await asyncio.sleep(self.random.uniform(0, 2))

    async def _main(self, scenario: Coroutine[Any, Any, None]) -> None:
        await self.storage.create()
        for queue in HubQueues(self.storage.hub).all:
            await self.storage.create_queue(queue)
            if self._max_deliveries is not None:
                await self.storage.create_queue(poison_queue(queue))
        for number in range(self._workers):
            self._begin_life(f"worker-{number}")
        self._playing = asyncio.current_task()
        try:
            await scenario
        except asyncio.CancelledError:
            if self._broken is None:
                raise
            raise self._broken from None

    def _engine(self, life: Life) -> Worker:
        storage: Any = SimulatedStorage(self, life)
        clock = self.clock
        if self.faults.clocks_differ:
            clock = VirtualClock(self.loop, skew=self.random.uniform(0, self.faults.clocks_differ))
        return Worker(
            storage, self._registry(self), self._settings, clock=clock, new_id=lambda: f"{self._bits(128):032x}"
        )

    def _bits(self, count: int) -> int:
        return self.random.getrandbits(count)

    # ---- workers that come and go ------------------------------------------------------------------------------

    def add_worker(self, name: str) -> None:
        """Begin a worker."""
        self._begin_life(name)

    async def remove_worker(self, which: Callable[[Life], bool] = lambda _: True) -> bool:
        """Shut down a worker in order, if another one stays.

        Args:
            which: selects those that may be chosen.

        Returns:
            Whether one was shut down.
        """
        alive = [life for life in self._lives if life.alive and life.engine is not None]
        chosen = [life for life in alive if which(life)]
        if not chosen or len(alive) < 2:  # noqa: PLR2004 - somebody must stay
            return False
        life = self.random.choice(chosen)
        assert life.engine is not None  # noqa: S101 - narrowed above
        life.engine.drain()
        await asyncio.sleep(self.random.uniform(0, 5))
        if life.alive:
            await self.loop.create_task(life.engine.stop(), context=life.context)
        self._kill(life)
        self._lives = [other for other in self._lives if other is not life]
        return True

    # ---- faults ------------------------------------------------------------------------------------------------

    async def call(
        self, life: Life, name: str, method: Callable[[], Awaitable[Any]], arguments: tuple[Any, ...] = ()
    ) -> Any:
        """Make a storage call for a worker, as a careless world would."""
        for _ in range(_TRANSPORT_TRIES):
            await self._pause(life)
            fate = self._fate()
            if fate is Fate.CRASH_BEFORE:
                self._crash(life)
            if fate is Fate.REFUSED:
                break
            if fate is Fate.REQUEST_LOST:
                continue
            error: Conflict | None = None
            result: Any = None
            try:
                result = await method()
            except Conflict as conflict:
                error = conflict
            self.calls += 1
            for observe in self.after_call:
                observe(name)
            if fate is Fate.CRASH_AFTER:
                self._crash(life)
            if fate is Fate.ANSWER_LOST:
                if name == "send":
                    self.sent_twice.append(arguments[1])
                continue
            await self._pause(life)
            if error is not None:
                raise error
            return result
        raise StorageUnavailable(f"{name}: no answer")

    def _fate(self) -> Fate:
        number = self.tries
        self.tries += 1
        drawn = self.random.random()
        if number in self._script:
            return self._script[number]
        if self.loop.time() >= self.faults.quiet_after:
            return Fate.FINE
        return self.faults.fate(drawn)

    async def _pause(self, life: Life) -> None:
        if self.faults.stalled and self.random.random() < self.faults.stalled:
            await asyncio.sleep(self.random.uniform(0, _LONGEST_STALL))
        await asyncio.sleep(self.random.uniform(0, 0.05) if self.random.random() < self.faults.slow else 0)
        if not life.alive:
            raise WorkerKilled

    def end_process(self) -> None:
        """End the process of the worker in which this is called, as a function does that calls `os._exit`."""
        life = _living.get()
        if life is not None and life.alive:
            self._end(life)

    def _crash(self, life: Life) -> None:
        self._end(life)
        raise WorkerKilled

    def _end(self, life: Life) -> None:
        self.crashes += 1
        self._kill(life)
        name = life.name
        self.loop.call_later(self.random.uniform(*_RESTART_AFTER), lambda: self._begin_life(name))

    def _kill(self, life: Life) -> None:
        life.alive = False
        for task in list(life.tasks):
            task.cancel()

    # ---- workers -----------------------------------------------------------------------------------------------

    def _begin_life(self, name: str) -> None:
        life = Life(name)
        self._lives = [other for other in self._lives if other.alive] + [life]
        life.context.run(_living.set, life)
        self.loop.create_task(self._live(life), context=life.context).add_done_callback(self._lived)

    def _lived(self, done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is None or isinstance(error, WorkerKilled | StorageUnavailable) or self._playing is None:
            return
        self._broken = self._broken or error
        self._playing.cancel()

    async def _live(self, life: Life) -> None:
        life.engine = engine = self._engine(life)
        control, work = engine.queues.control[0], engine.queues.work
        served: list[tuple[str, Handler]] = [
            (control, engine.handle_control),
            (work, lambda body, _, count: engine.handle_work(body, count)),
        ]
        if self._max_deliveries is not None:
            served.append((poison_queue(control), engine.handle_suspect_control))
            served.append((poison_queue(work), engine.handle_suspect_work))
        await asyncio.gather(*(self._pump(engine, queue, handle) for queue, handle in served))

    async def _pump(self, engine: Worker, queue: str, handle: Handler) -> None:
        while True:
            try:
                messages = await engine.storage.receive(queue, count=4, invisibility=self._invisibility)
            except StorageUnavailable:
                messages = []
            self.random.shuffle(messages)
            for message in messages:
                work: Callable[[], Awaitable[None]]
                if self._is_worn_out(queue, message):
                    work = partial(_move, engine.storage, poison_queue(queue), message.body)
                else:
                    work = partial(handle, message.body, message.message_id, message.dequeue_count)
                renewed = self.random.random() >= self.faults.unrenewed
                hold = Hold(
                    engine.storage,
                    queue,
                    message.message_id,
                    message.receipt,
                    invisibility=self._invisibility if renewed else 1e6,
                )
                self.loop.create_task(tend(hold, work, retry_after=self.random.uniform(0, 3)))
            await asyncio.sleep(self.random.uniform(0.1, 2.0) if messages else 2.0)

    def _is_worn_out(self, queue: str, message: QueueMessage) -> bool:
        most = self._max_deliveries
        return most is not None and message.dequeue_count > most and queue in HubQueues(self.storage.hub).all

    # ---- the loop's own ----------------------------------------------------------------------------------------

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        context: contextvars.Context | None = options.get("context")
        life = context.get(_living) if context is not None and _living in context else _living.get()
        task = asyncio.Task(coro, loop=loop, **options)
        if life is not None:
            life.tasks[task] = None
            task.add_done_callback(lambda done: life.tasks.pop(done, None))
            if not life.alive:
                task.cancel()
        return task

    def _loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, WorkerKilled | StorageUnavailable):
            self.loop.default_exception_handler(context)

    def _cancel_all(self) -> None:
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        if pending:
            self.loop.run_until_complete(asyncio.wait(pending, timeout=100))

    def _epoch_seconds(self) -> float:
        return EPOCH.timestamp() + self.loop.time()


async def _move(storage: Storage, queue: str, body: str) -> None:
    await storage.send(queue, body)
