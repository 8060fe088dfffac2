"""Queues in a SQLite database."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable
from uuid import uuid4

from perdure.storage.limits import check_body, check_delay, check_queue, check_receive
from perdure.storage.protocol import QueueMissing
from perdure.storage.rows import QueueMessage, SentMessage
from perdure.storage.sqlite.database import Database

MAX_MESSAGE_BYTES = 48 * 1024
"""Azure's limit for base64 messages: what works here must work there."""

_VISIBLE = """
SELECT number, message_id, body, dequeue_count FROM messages
WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, number LIMIT ?
"""


class SqliteQueues:
    """`Queues` in `database`, which is closed with this object. `clock` returns seconds since 1970."""

    max_message_bytes = MAX_MESSAGE_BYTES

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._closed = False

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._database.close()

    async def create_queue(self, queue: str) -> None:
        check_queue(queue)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO queues VALUES (?)", (queue,))

        await self._database.write(work)

    async def delete_queue(self, queue: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM messages WHERE queue = ?", (queue,))
            connection.execute("DELETE FROM queues WHERE name = ?", (queue,))

        await self._database.write(work)

    async def send(self, queue: str, body: str, *, delay: float = 0) -> SentMessage:
        check_body(body, self.max_message_bytes)
        check_delay(delay)
        sent = SentMessage(message_id=str(uuid4()), receipt=_new_receipt())
        message = (self._clock() + delay, sent.message_id, sent.receipt, body, queue)

        def work(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "INSERT INTO messages (queue, visible_at, message_id, receipt, dequeue_count, body) "
                "SELECT name, ?, ?, ?, 0, ? FROM queues WHERE name = ?",
                message,
            )
            if not cursor.rowcount:
                raise QueueMissing(queue)

        await self._database.write(work)
        self._database.wakeups.signal(queue)
        return sent

    async def receive(self, queue: str, *, count: int, invisibility: float) -> list[QueueMessage]:
        check_receive(count, invisibility)
        # an empty queue is polled by every process: that must not cost a write transaction
        if not await self._database.read(lambda connection: _any_visible(connection, queue, self._clock())):
            return []

        def work(connection: sqlite3.Connection) -> list[QueueMessage]:
            now = self._clock()
            messages = []
            for number, message_id, body, count_so_far in connection.execute(_VISIBLE, (queue, now, count)).fetchall():
                receipt = _new_receipt()
                connection.execute(
                    "UPDATE messages SET visible_at = ?, receipt = ?, dequeue_count = ? WHERE number = ?",
                    (now + invisibility, receipt, count_so_far + 1, number),
                )
                messages.append(
                    QueueMessage(message_id=message_id, receipt=receipt, body=body, dequeue_count=count_so_far + 1)
                )
            return messages

        return await self._database.write(work)

    async def extend(self, queue: str, message_id: str, receipt: str, *, invisibility: float) -> str | None:
        check_delay(invisibility)
        renewed = _new_receipt()

        def work(connection: sqlite3.Connection) -> str | None:
            cursor = connection.execute(
                "UPDATE messages SET visible_at = ?, receipt = ? WHERE message_id = ? AND receipt = ? AND queue = ?",
                (self._clock() + invisibility, renewed, message_id, receipt, queue),
            )
            return renewed if cursor.rowcount else None

        extended = await self._database.write(work)
        self._database.wakeups.signal(queue)
        return extended

    async def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "DELETE FROM messages WHERE message_id = ? AND receipt = ? AND queue = ?", (message_id, receipt, queue)
            )
            return cursor.rowcount == 1

        return await self._database.write(work)

    async def peek(self, queue: str, *, count: int) -> list[QueueMessage]:
        check_receive(count, 0)

        def work(connection: sqlite3.Connection) -> list[QueueMessage]:
            _require(connection, queue)
            found = connection.execute(_VISIBLE, (queue, self._clock(), count)).fetchall()
            return [
                QueueMessage(message_id=message_id, receipt="", body=body, dequeue_count=count_so_far)
                for _, message_id, body, count_so_far in found
            ]

        return await self._database.read(work)

    async def queue_length(self, queue: str) -> int:
        def work(connection: sqlite3.Connection) -> int:
            _require(connection, queue)
            (length,) = connection.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,)).fetchone()
            return int(length)

        return await self._database.read(work)

    async def wait_for_message(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting is its purpose
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        with self._database.wakeups.listen(queue) as waiter:
            while True:
                due = await self._database.read(lambda connection: _next_due(connection, queue))
                left = deadline - loop.time()
                until_due = left if due is None else due - self._clock()
                if left <= 0 or until_due <= 0:
                    return
                await waiter.wait(min(left, until_due))
                if loop.time() >= deadline:
                    return


def _new_receipt() -> str:
    return secrets.token_hex(8)


def _require(connection: sqlite3.Connection, queue: str) -> None:
    if connection.execute("SELECT 1 FROM queues WHERE name = ?", (queue,)).fetchone() is None:
        raise QueueMissing(queue)


def _any_visible(connection: sqlite3.Connection, queue: str, now: float) -> bool:
    row = connection.execute("SELECT 1 FROM messages WHERE queue = ? AND visible_at <= ? LIMIT 1", (queue, now))
    if row.fetchone() is not None:
        return True
    _require(connection, queue)
    return False


def _next_due(connection: sqlite3.Connection, queue: str) -> float | None:
    (due,) = connection.execute("SELECT min(visible_at) FROM messages WHERE queue = ?", (queue,)).fetchone()
    if due is None:
        _require(connection, queue)
        return None
    return float(due)
