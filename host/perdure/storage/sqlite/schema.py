"""The tables of a database file, and how a connection to it is set up."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from perdure.storage.protocol import StorageUnavailable
from perdure.storage.sqlite.rows import HAS_TAGS, has_tags

BUSY_SECONDS = 15.0
"""How long a write waits for another process's transaction."""
_APPLICATION_ID = 0x50524455
_VERSION = 1

_TABLES = """
CREATE TABLE instances (
    hub TEXT NOT NULL, instance_id TEXT NOT NULL, etag TEXT NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, completed_at TEXT, start_at TEXT,
    execution_id TEXT NOT NULL, generation INTEGER NOT NULL, "commit" TEXT NOT NULL, version TEXT, parent_id TEXT,
    input TEXT, output TEXT, custom_status TEXT, failure TEXT, reason TEXT, tags TEXT,
    deleting INTEGER NOT NULL, head BLOB NOT NULL, segments TEXT NOT NULL,
    UNIQUE (hub, instance_id)
);
CREATE TABLE tail (
    hub TEXT NOT NULL, instance_id TEXT NOT NULL, place INTEGER NOT NULL, turn BLOB NOT NULL,
    UNIQUE (hub, instance_id, place)
);
CREATE TABLE blobs (
    hub TEXT NOT NULL, instance_id TEXT NOT NULL, sort TEXT NOT NULL, name TEXT NOT NULL,
    gzip INTEGER NOT NULL, data BLOB NOT NULL,
    UNIQUE (hub, instance_id, sort, name)
);
CREATE TABLE queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, visible_at REAL NOT NULL,
    message_id TEXT NOT NULL UNIQUE, receipt TEXT NOT NULL, dequeue_count INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX messages_by_visibility ON messages (queue, visible_at, number);
"""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open (and if need be create) the database in `path`, or a private one in memory for None.

    Safe when several processes create the same file at once. Raises `StorageUnavailable` for a file that can't be
    opened, is something else, or was written by a newer release.
    """
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            ":memory:" if path is None else path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=256
        )
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailable(f"The database file {path} can't be opened: {error}") from error
    try:
        _set_up(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StorageUnavailable(f"The database file {path} can't be used: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path | None) -> None:
    has_tables = _look(connection, path)
    if path is not None:
        _enter_wal(connection, path)
    connection.create_function(HAS_TAGS, 2, has_tags, deterministic=True)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if not has_tables:
        _create_tables(connection, path)


def _look(connection: sqlite3.Connection, path: Path | None) -> bool:
    """Check the identity of a file that somebody may be creating at this moment: its parts must be of one state."""
    connection.execute("BEGIN")
    try:
        return _check_identity(connection, path)
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def _check_identity(connection: sqlite3.Connection, path: Path | None) -> bool:
    """Return whether our tables are there; raise `StorageUnavailable` if others are."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return False
    if application != _APPLICATION_ID:
        raise StorageUnavailable(f"The database file {path} belongs to another program: choose another file.")
    if version != _VERSION:
        raise StorageUnavailable(
            f"The database file {path} has format {version}, this release of Perdure reads {_VERSION}: "
            "update Perdure, or choose another file."
        )
    return True


def _enter_wal(connection: sqlite3.Connection, path: Path) -> None:
    # SQLite does not wait for other processes while it switches to WAL, so this waits itself
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise StorageUnavailable(
            f"The database file {path} can't be used: its file system does not support SQLite's WAL mode. "
            "Put it on a local disk."
        )


def _create_tables(connection: sqlite3.Connection, path: Path | None) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # another process may have been faster
        if not _check_identity(connection, path):
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
