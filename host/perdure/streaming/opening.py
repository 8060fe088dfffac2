"""Opening a stream to write, in `async with` on an event loop, and in `with` in a thread beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from perdure.storage.protocol import Storage
from perdure.streaming.chunk import MESSAGE, check_step, check_stream_name
from perdure.streaming.ledger import Ledger
from perdure.streaming.log import StreamLog, life_of, present_life
from perdure.streaming.patience import patiently
from perdure.streaming.writer import SAME, StreamWriter

T = TypeVar("T")


class StreamDesk:
    """Opens the streams of a hub. Made on the event loop on which they are written, or where there is none.

    Args:
        storage: the hub's.
        new_id: makes ids that no one else makes.
    """

    def __init__(self, storage: Storage, new_id: Callable[[], str]) -> None:
        self.storage = storage
        self.new_id = new_id
        self.loop = asyncio._get_running_loop()  # noqa: SLF001 - the one that does not raise; it is documented
        self.thread = threading.get_ident()

    def opening(self, instance_id: str, name: str, step: str, *, execution_id: str | None = None) -> StreamOpening:
        """Return what opens a stream when it is entered.

        Args:
            instance_id: the orchestration or entity that the stream belongs to.
            name: the stream's name.
            step: key of the step that is going to write.
            execution_id: of the orchestration, if it is known; it is looked up otherwise.
        """
        return StreamOpening(self, instance_id, check_stream_name(name), check_step(step), execution_id)


class StreamOpening:
    """A stream about to be opened: `async with` gives a `StreamWriter`, `with` a `SyncStreamWriter`."""

    def __init__(self, desk: StreamDesk, instance_id: str, name: str, step: str, execution_id: str | None) -> None:
        self._desk = desk
        self._instance_id = instance_id
        self._name = name
        self._step = step
        self._execution_id = execution_id
        self._writer: StreamWriter | None = None

    async def __aenter__(self) -> StreamWriter:
        self._writer = await self.open()
        return self._writer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            await self._writer.leave(error)

    def __enter__(self) -> SyncStreamWriter:
        self._writer = self._run(self.open())
        return SyncStreamWriter(self._writer, self._run, gathers=not self._is_on_the_loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._run(self._writer.leave(error))

    async def open(self) -> StreamWriter:
        """Return a writer that the caller leaves, by `leave`."""
        storage = self._desk.storage
        if self._execution_id is None:
            life = await patiently(lambda: present_life(storage, self._instance_id))
        else:
            life = life_of(self._execution_id)
        log = StreamLog(storage, self._instance_id, self._name, life)
        ledger = Ledger(log, self._step, self._desk.new_id())
        await patiently(ledger.open)
        return StreamWriter(ledger)

    @property
    def _is_on_the_loop(self) -> bool:
        """A test in virtual time calls sync code on the loop's own thread, as if it had another."""
        return self._desk.loop is None or threading.get_ident() == self._desk.thread

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._desk.loop is None or self._is_on_the_loop:
            with ThreadPoolExecutor(1) as elsewhere:
                return elsewhere.submit(asyncio.run, work).result()
        return asyncio.run_coroutine_threadsafe(work, self._desk.loop).result()


class SyncStreamWriter:
    """`StreamWriter` for threads: the same methods, each of which waits."""

    def __init__(
        self, writer: StreamWriter, run: Callable[[Coroutine[Any, Any, Any]], Any], *, gathers: bool = True
    ) -> None:
        self._writer = writer
        self._run = run
        self._gathers = gathers

    @property
    def name(self) -> str:
        """See `StreamWriter`, as for all that follows."""
        return self._writer.name

    @property
    def instance_id(self) -> str:
        return self._writer.instance_id

    @property
    def step(self) -> str:
        return self._writer.step

    @property
    def attempt(self) -> int:
        return self._writer.attempt

    @property
    def finished(self) -> bool:
        return self._writer.finished

    @property
    def result(self) -> Any:
        return self._writer.result

    @property
    def is_open(self) -> bool:
        return self._writer.is_open

    def write(self, data: Any, event: str = MESSAGE) -> None:
        self._run(self._write(data, event))

    async def _write(self, data: Any, event: str) -> None:
        await self._writer.write(data, event)
        if not self._gathers:  # there is no loop that runs on
            await self._writer.flush()

    def flush(self) -> None:
        self._run(self._writer.flush())

    def complete(self, result: Any = None) -> Any:
        return self._run(self._writer.complete(result))

    def finish(self, result: Any = None, *, told: Any = SAME) -> bool:
        return bool(self._run(self._writer.finish(result, told=told)))

    def fail(self, error: BaseException | str) -> bool:
        return bool(self._run(self._writer.fail(error)))
