import asyncio
import sqlite3
import threading

import pytest

from perdure.storage.protocol import Conflict, StorageUnavailable
from perdure.storage.sqlite import Database, SqliteStorage
from perdure.storage.wakeups import Wakeups
from tests.storage.providers import new_row


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
async def storage(path):
    storage = SqliteStorage("hub", Database.shared(path))
    yield storage
    await storage.close()


async def test_a_file_keeps_its_hubs_and_queues(path):
    for attempt in range(2):
        storage = SqliteStorage("hub", Database.shared(path))
        await storage.create()
        await storage.create_queue("a-queue")
        assert await storage.queue_length("a-queue") == attempt
        assert (await storage.read("one") is None) is (attempt == 0)
        if attempt == 0:
            await storage.insert(new_row())
            await storage.send("a-queue", "x")
        await storage.close()


async def test_databases_in_memory_are_apart_unless_shared():
    mine, other = (SqliteStorage("hub", Database(None)) for _ in range(2))
    await mine.insert(new_row())

    assert await other.read("one") is None

    await mine.close()
    await other.close()


async def test_the_event_loop_goes_on_while_another_process_holds_the_file(storage, path):
    await storage.create()
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    insert = asyncio.create_task(storage.insert(new_row()))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not insert.done()

    intruder.execute("ROLLBACK")
    intruder.close()
    await insert
    assert await storage.read("one") is not None


async def test_a_write_gives_up_when_another_process_holds_the_file_for_too_long(path, monkeypatch):
    monkeypatch.setattr("perdure.storage.sqlite.schema.BUSY_SECONDS", 0.05)
    storage = SqliteStorage("hub", Database.shared(path))
    await storage.create()
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match=r"store\.db.*locked"):
        await storage.insert(new_row())

    intruder.execute("ROLLBACK")
    intruder.close()
    await storage.insert(new_row())
    await storage.close()


async def test_writes_that_share_a_transaction_fail_alone(storage):
    await storage.insert(new_row("taken"))

    def broken(connection):
        connection.execute("INSERT INTO queues VALUES ('half done')")
        connection.execute("INSERT INTO no_such_table VALUES (1)")

    def crashing(connection):
        connection.execute("INSERT INTO queues VALUES ('half done')")
        raise RuntimeError("a bug")

    outcomes = await asyncio.gather(
        storage.insert(new_row("a")),
        storage._database.write(broken),
        storage.insert(new_row("taken")),
        storage._database.write(crashing),
        storage.insert(new_row("b")),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [str, StorageUnavailable, Conflict, RuntimeError, str]
    assert await storage.read("a") is not None
    assert await storage.read("b") is not None
    rows = await storage._database.read(lambda connection: connection.execute("SELECT * FROM queues").fetchall())
    assert rows == []


async def test_a_caller_that_gives_up_leaves_the_database_usable(storage):
    insert = asyncio.create_task(storage.insert(new_row()))
    await asyncio.sleep(0)
    insert.cancel()

    with pytest.raises(asyncio.CancelledError):
        await insert

    await storage.insert(new_row("other"))
    assert await storage.read("other") is not None


def test_a_database_outlives_the_event_loops_that_use_it(path):
    storage = SqliteStorage("hub", Database.shared(path))
    asyncio.run(storage.create())
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    async def give_up():
        insert = asyncio.create_task(storage.insert(new_row()))
        await asyncio.sleep(0)
        insert.cancel()

    asyncio.run(give_up())
    intruder.execute("ROLLBACK")
    intruder.close()

    async def go_on():
        await storage.insert(new_row("other"))
        assert await storage.read("one") is not None
        await storage.close()

    asyncio.run(go_on())


def test_waking_a_listener_whose_loop_is_closed_does_nothing():
    wakeups = Wakeups()

    async def listen():
        listening = wakeups.listen("orders")
        listening.__enter__()
        return listening

    listening = asyncio.run(listen())
    wakeups.signal("orders")
    listening.__exit__(None, None, None)


async def test_closing_twice_closes_once(path):
    mine, other = (SqliteStorage("hub", Database.shared(path)) for _ in range(2))
    await mine.close()
    await mine.close()

    await other.create()
    await other.close()


async def test_a_closed_storage_says_so(path):
    storage = SqliteStorage("hub", Database.shared(path))
    await storage.create()
    await storage.close()

    with pytest.raises(StorageUnavailable, match="closed"):
        await storage.read("one")
    assert not [thread for thread in threading.enumerate() if str(path) in thread.name]


def write_text(path):
    path.write_text("this is no database, but it is long enough to look like one. " * 50)


def write_other_program(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE instances (a)")
    connection.close()


def write_newer_release(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 0x50524455")
        connection.execute("PRAGMA user_version = 2")
        connection.execute("CREATE TABLE instances (a)")
    connection.close()


@pytest.mark.parametrize(
    ("write", "hint"),
    [(write_text, "not a database"), (write_other_program, "another program"), (write_newer_release, "format 2")],
)
async def test_a_file_that_is_none_of_ours_is_explained_and_left_alone(storage, path, write, hint):
    write(path)
    before = path.read_bytes()

    with pytest.raises(StorageUnavailable, match=hint) as caught:
        await storage.create()

    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("blocked", ["store.db", "store.db/in/a/folder.db"])
async def test_a_path_that_can_be_no_file_is_explained(tmp_path, blocked):
    (tmp_path / "store.db").mkdir() if blocked == "store.db" else (tmp_path / "store.db").touch()
    storage = SqliteStorage("hub", Database.shared(tmp_path / blocked))

    with pytest.raises(StorageUnavailable, match=rf"{blocked} can't be opened"):
        await storage.create()

    await storage.close()
