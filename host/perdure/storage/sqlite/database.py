"""One SQLite database, its connection and the thread that alone uses it.

Everybody in a process who opens the same file shares one `Database`: they never wait for each other's locks, their
writes share transactions (and so the disk's flushes), and one's message wakes the other.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from perdure.jitter import jittered
from perdure.storage.protocol import StorageUnavailable
from perdure.storage.sqlite.schema import connect
from perdure.storage.wakeups import Wakeups

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BATCH = 64
"""Most jobs that share a transaction."""
_FIRST_GLANCE = 0.05
_LONGEST_GLANCE = 1.0
"""Seconds between two glances at whether other processes have written, while somebody listens for messages."""


class Database:
    """A database in the file `path`, or in memory of its own for None. Each must be closed once."""

    _shared: ClassVar[dict[Path | None, Database]] = {}
    _sharing: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.wakeups = Wakeups()
        self._users = 1
        self._pause = _FIRST_GLANCE
        self._glance_at = 0.0
        self._version: object = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"sqlite {path or ':memory:'}", daemon=True)
        self._thread.start()

    @classmethod
    def shared(cls, path: Path | None) -> Database:
        """Return this process's database for `path` (None: for memory); every caller closes it once."""
        key = None if path is None else path.resolve()
        with cls._sharing:
            database = cls._shared.get(key)
            if database is None:
                database = cls._shared[key] = cls(key)
            else:
                database._users += 1
            return database

    async def close(self) -> None:
        """End one use; the last one waits for what is under way and closes the file."""
        with self._sharing:
            self._users -= 1
            if self._users > 0:
                return
            if self._shared.get(self.path) is self:
                del self._shared[self.path]
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def prepare(self) -> None:
        """Create the file and its tables if need be. Raises `StorageUnavailable`."""
        await self._submit(_nothing, writes=False)

    async def read(self, work: Work[T]) -> T:
        """Run `work` in the database's thread, on one consistent state. Raises `StorageUnavailable`."""
        return await self._submit(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return once it is durable; if it raises, nothing of it remains.

        Raises `StorageUnavailable`. If the caller is cancelled meanwhile, the write may still take place.
        """
        return await self._submit(work, writes=True)

    async def _submit(self, work: Work[T], *, writes: bool) -> T:
        if self._users <= 0:
            raise StorageUnavailable(f"The database {self._name} is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, writes, loop, future))
        return await future

    @property
    def _name(self) -> str:
        return "in memory" if self.path is None else f"file {self.path}"

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        running = True
        while running:
            jobs, running = self._take(connection)
            try:
                if connection is None:
                    connection = connect(self.path)
                self._run(connection, jobs)
            except Exception as error:  # noqa: BLE001 - handed on to all who wait
                for job in jobs:
                    job.error = error
            _settle(jobs)
        if connection is not None:
            connection.close()

    def _take(self, connection: sqlite3.Connection | None) -> tuple[list[_Job], bool]:
        """Wait for a job; return it with those that wait behind it, and whether more may follow."""
        job = self._first_job(connection)
        jobs: list[_Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == _BATCH:
                return jobs, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, True
        return jobs, False

    def _first_job(self, connection: sqlite3.Connection | None) -> _Job | None:
        """Wait for a job. While somebody listens for messages, glance at the file meanwhile: soon after something was
        written, seldom while nothing is, and when it is time, however many jobs there are.
        """
        while connection is not None and self.path is not None and self.wakeups.listening:
            left = self._glance_at - time.monotonic()
            if left <= 0:
                self._glance(connection)
                continue
            try:
                return self._jobs.get(timeout=left)
            except queue.Empty:
                continue
        return self._jobs.get()

    def _glance(self, connection: sqlite3.Connection) -> None:
        if self._others_have_written(connection):
            self.wakeups.signal_all()
            self._pause = _FIRST_GLANCE
        else:
            self._pause = min(self._pause * 2, _LONGEST_GLANCE)
        self._glance_at = time.monotonic() + jittered(self._pause)

    def _others_have_written(self, connection: sqlite3.Connection) -> bool:
        """Whether another connection has since the last glance; or the file can't be read, which listeners will see."""
        before = self._version
        try:
            (self._version,) = connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return True
        return self._version != before

    def _run(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        writing = [job for job in jobs if job.writes]
        if writing:
            self._pause = _FIRST_GLANCE
            self._glance_at = min(self._glance_at, time.monotonic() + jittered(self._pause))
        self._write_together(connection, writing)
        for job in jobs:
            if not job.writes:
                self._read(connection, job)

    def _read(self, connection: sqlite3.Connection, job: _Job) -> None:
        try:
            connection.execute("BEGIN")
            try:
                job.result = job.work(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            job.error = self._unavailable(error)
        except Exception as error:  # noqa: BLE001 - handed on to the one who waits
            job.error = error

    def _write_together(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(jobs) == 1:
                jobs[0].result = jobs[0].work(connection)
            else:
                for job in jobs:
                    _run_in_savepoint(connection, job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(jobs) == 1:
                jobs[0].error = self._unavailable(error)
                return
            # one job's failure must not become the others'
            for job in jobs:
                job.error = None
                self._write_together(connection, [job])
        except Exception as error:  # noqa: BLE001 - of the only job: handed on to the one who waits
            connection.execute("ROLLBACK")
            jobs[0].error = error

    def _unavailable(self, error: sqlite3.Error) -> StorageUnavailable:
        return StorageUnavailable(f"The database {self._name} failed: {error}")


@dataclass(slots=True, eq=False)
class _Job:
    work: Work[Any]
    writes: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


def _run_in_savepoint(connection: sqlite3.Connection, job: _Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - handed on to the one who waits
        connection.execute("ROLLBACK TO job")
        job.error = error
    connection.execute("RELEASE job")


def _nothing(_connection: sqlite3.Connection) -> None:
    return


def _settle(jobs: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set_futures, settled)
        except RuntimeError:
            # the loop closed without waiting for its calls: nobody is left to tell
            continue


def _set_futures(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
