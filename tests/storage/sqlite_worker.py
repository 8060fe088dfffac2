"""What the processes of test_sqlite_processes.py do: `python sqlite_worker.py TASK FILE ARGUMENT`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from perdure.storage.protocol import Conflict
from perdure.storage.rows import RowUpdate
from perdure.storage.sqlite import Database, SqliteStorage
from tests.storage.providers import NOON, new_row


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def create(storage: SqliteStorage, name: str) -> None:
    await storage.create()
    await storage.create_queue("shared-queue")
    await storage.insert(new_row(f"by-{name}"))
    await storage.send("shared-queue", name)


async def merge(storage: SqliteStorage, name: str) -> None:
    for number in range(40):
        while True:
            row = await storage.read("contended")
            turn = f"{name}-{number}"
            update = RowUpdate(updated_at=NOON, commit=turn, turn=turn.encode(), tail_index=len(row.tail))
            try:
                await storage.merge("contended", row.etag, update)
            except Conflict:
                continue
            break


async def receive(storage: SqliteStorage, name: str) -> None:
    while messages := await storage.receive("shared-queue", count=4, invisibility=3600):
        for message in messages:
            assert await storage.delete_message("shared-queue", message.message_id, message.receipt)
            tell(f"{message.body} {message.dequeue_count}")


async def die(storage: SqliteStorage, name: str) -> None:
    await storage.create_queue("shared-queue")
    for number in range(20):
        await storage.insert(new_row(f"{name}-{number}", tail=[b"turn"]))
        await storage.send("shared-queue", str(number))
    os.kill(os.getpid(), signal.SIGKILL)


async def main(task: str, file: str, name: str) -> None:
    storage = SqliteStorage("hub", Database.shared(Path(file)))
    tell("ready")
    sys.stdin.readline()
    await {"create": create, "merge": merge, "receive": receive, "die": die}[task](storage, name)
    await storage.close()


asyncio.run(main(*sys.argv[1:]))
