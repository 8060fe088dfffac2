"""Several processes on one database file: nothing lost, nothing done twice."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.storage.rows import InstanceQuery
from perdure.storage.sqlite import Database, SqliteStorage
from tests.storage.providers import new_row

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder that is new" / "store.db"


@pytest.fixture
async def storage(path):
    storage = SqliteStorage("hub", Database.shared(path))
    yield storage
    await storage.close()


def run_together(task: str, path: Path, count: int) -> list[str]:
    """Run `count` processes that begin their task at the same moment; return what they print."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.storage.sqlite_worker", task, path, f"p{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for number in range(count)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in results] == [""] * count
    return [output for output, _ in results]


async def test_processes_create_one_file_at_the_same_time(storage, path):
    assert not path.parent.exists()

    run_together("create", path, 5)

    page = await storage.query(InstanceQuery())
    assert {instance.instance_id for instance in page.instances} == {f"by-p{number}" for number in range(5)}
    assert await storage.queue_length("shared-queue") == 5


async def test_merges_of_several_processes_are_neither_lost_nor_doubled(storage, path):
    await storage.insert(new_row("contended"))

    run_together("merge", path, 4)

    row = await storage.read("contended")
    turns = [turn.decode() for turn in row.tail]
    assert len(turns) == 160
    for process in range(4):
        assert [turn for turn in turns if turn.startswith(f"p{process}-")] == [f"p{process}-{n}" for n in range(40)]
    assert row.instance.commit == turns[-1]


async def test_a_message_is_delivered_to_one_of_several_processes_once(storage, path):
    await storage.create_queue("shared-queue")
    for number in range(300):
        await storage.send("shared-queue", str(number))

    outputs = run_together("receive", path, 3)

    received = [line.split() for output in outputs for line in output.splitlines()]
    assert sorted(int(body) for body, _ in received) == list(range(300))
    assert {count for _, count in received} == {"1"}
    assert await storage.queue_length("shared-queue") == 0


async def test_what_was_confirmed_survives_the_death_of_the_process(storage, path):
    run_together("die", path, 1)

    page = await storage.query(InstanceQuery())
    assert len(page.instances) == 20
    assert (await storage.read("p0-19")).tail == [b"turn"]
    assert await storage.queue_length("shared-queue") == 20


async def test_a_message_of_another_process_ends_waiting_and_nothing_is_read_meanwhile(storage, path, monkeypatch):
    await storage.create_queue("shared-queue")
    reads = []
    read = storage._database.read

    async def counted(work):
        reads.append(work)
        return await read(work)

    monkeypatch.setattr(storage._database, "read", counted)
    waiting = asyncio.create_task(storage.wait_for_message("shared-queue", 60))
    await asyncio.wait({waiting}, timeout=0.5)
    assert not waiting.done()
    looks = len(reads)
    other = SqliteStorage("hub", Database(path))  # a connection of its own, as another process has

    await other.send("shared-queue", "x")

    await asyncio.wait_for(waiting, 10)
    assert looks <= 2, "the first glance may take what was written before for news"
    await other.close()


async def test_a_message_of_another_process_is_seen_however_often_this_one_reads(storage, path):
    """Whoever asks for a status several times a second must not keep it from looking at what others have written."""
    await storage.create_queue("shared-queue")
    waiting = asyncio.create_task(storage.wait_for_message("shared-queue", 60))
    await asyncio.wait({waiting}, timeout=1.5)  # by now it looks seldom
    other = SqliteStorage("hub", Database(path))
    await other.send("shared-queue", "x")
    async with asyncio.timeout(10):
        while not waiting.done():
            await storage.read("somebody")
            await asyncio.sleep(0.02)
    await other.close()
