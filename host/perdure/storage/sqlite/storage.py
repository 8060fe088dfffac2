"""The embedded provider: a task hub in a SQLite database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Literal

from perdure.storage.compression import pack, unpack
from perdure.storage.continuation import read_continuation, write_continuation
from perdure.storage.limits import (
    check_hub,
    check_part,
    check_payload_page,
    check_prefix,
    check_query,
    check_row,
    check_update,
)
from perdure.storage.protocol import Conflict, PayloadMissing
from perdure.storage.rows import Instance, InstanceQuery, Page, PayloadPage, Row, RowUpdate
from perdure.storage.sqlite import rows
from perdure.storage.sqlite.database import Database
from perdure.storage.sqlite.queues import SqliteQueues

_Sort = Literal["segment", "payload"]
_AFTER_ALL = "\x7f"
"""Sorts after every character that a name can have."""
_DESTROY = (
    "DELETE FROM instances WHERE hub = ?",
    "DELETE FROM tail WHERE hub = ?",
    "DELETE FROM blobs WHERE hub = ?",
)


class SqliteStorage(SqliteQueues):
    """`Storage` for one hub in `database`, which is closed with this object. `clock` returns seconds since 1970.

    Hub names are equal regardless of case, as on Azure.
    """

    def __init__(self, hub: str, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        check_hub(hub)
        super().__init__(database, clock=clock)
        self.hub = hub
        self._hub = hub.lower()

    @classmethod
    def open(cls, hub: str, path: Path | None, *, clock: Callable[[], float] = time.time) -> SqliteStorage:
        """Return the hub in this process's database for `path` (None: in memory). Raises `SettingsError`."""
        check_hub(hub)  # first: a refused hub must not count as a user of the database, whom nobody would close
        return cls(hub, Database.shared(path), clock=clock)

    async def create(self) -> None:
        await self._database.prepare()

    async def destroy(self) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for statement in _DESTROY:
                connection.execute(statement, (self._hub,))

        await self._database.write(work)

    async def insert(self, row: Row) -> str:
        check_row(row)
        etag = token_hex(8)
        inserted = await self._database.write(lambda connection: rows.insert_row(connection, self._hub, row, etag))
        if not inserted:
            raise Conflict(f"The instance {row.instance.instance_id!r} exists already.")
        return etag

    async def read(self, instance_id: str) -> Row | None:
        return await self._database.read(lambda connection: rows.read_row(connection, self._hub, instance_id))

    async def read_instance(self, instance_id: str) -> Instance | None:
        return await self._database.read(lambda connection: rows.read_instance(connection, self._hub, instance_id))

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        check_update(instance_id, update)
        new = token_hex(8)
        merged = await self._database.write(
            lambda connection: rows.merge_row(connection, self._hub, instance_id, update, etag=etag, new_etag=new)
        )
        if not merged:
            raise _changed(instance_id)
        return new

    async def replace(self, row: Row) -> str:
        check_row(row)
        instance_id = row.instance.instance_id
        new = token_hex(8)

        def work(connection: sqlite3.Connection) -> None:
            held = rows.read_etag(connection, self._hub, instance_id)
            if held is None or held != row.etag:
                raise _changed(instance_id)
            rows.delete_row(connection, self._hub, instance_id)
            rows.insert_row(connection, self._hub, row, new)

        await self._database.write(work)
        return new

    async def delete(self, instance_id: str, etag: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            held = rows.read_etag(connection, self._hub, instance_id)
            if held is not None and held != etag:
                raise _changed(instance_id)
            rows.delete_row(connection, self._hub, instance_id)

        await self._database.write(work)

    async def query(self, query: InstanceQuery, *, top: int = 100, continuation: str | None = None) -> Page:
        check_query(query, top)
        origin = f"sqlite:{self._hub}"
        after = read_continuation(origin, continuation)[0] if continuation is not None else ""

        def work(connection: sqlite3.Connection) -> tuple[list[Instance], str | None]:
            return rows.query_instances(connection, self._hub, query, after=after, top=top)

        found, last = await self._database.read(work)
        return Page(instances=found, continuation=None if last is None else write_continuation(origin, [last]))

    async def put_segment(self, instance_id: str, name: str, data: bytes) -> None:
        check_part(name)
        await self._put("segment", instance_id, name, data, gzip=False)

    async def get_segments(self, instance_id: str, names: list[str]) -> list[bytes]:
        def work(connection: sqlite3.Connection) -> list[bytes]:
            return [self._get(connection, "segment", instance_id, name)[0] for name in names]

        return await self._database.read(work)

    async def list_segments(self, instance_id: str) -> list[str]:
        return await self._list("segment", instance_id, "")

    async def delete_segments(self, instance_id: str, names: list[str]) -> None:
        await self._delete("segment", instance_id, names)

    async def put_payload(self, instance_id: str, payload_id: str, data: bytes) -> None:
        check_part(payload_id)
        packed, gzip = await pack(data)
        await self._put("payload", instance_id, payload_id, packed, gzip=gzip)

    async def add_payload(self, instance_id: str, payload_id: str, data: bytes) -> bool:
        check_part(payload_id)
        packed, gzip = await pack(data)

        def work(connection: sqlite3.Connection) -> bool:
            added = connection.execute(
                "INSERT OR IGNORE INTO blobs (hub, instance_id, sort, name, gzip, data) VALUES (?, ?, ?, ?, ?, ?)",
                (self._hub, instance_id, "payload", payload_id, gzip, packed),
            )
            return added.rowcount == 1

        return await self._database.write(work)

    async def get_payload(self, instance_id: str, payload_id: str) -> bytes:
        data, gzip = await self._database.read(
            lambda connection: self._get(connection, "payload", instance_id, payload_id)
        )
        return await unpack(data, f"payload {payload_id!r} of {instance_id!r}") if gzip else data

    async def list_payloads(self, instance_id: str, prefix: str = "") -> list[str]:
        check_prefix(prefix)
        return await self._list("payload", instance_id, prefix)

    async def list_all_payloads(self, *, top: int = 5_000, continuation: str | None = None) -> PayloadPage:
        check_payload_page(top)
        origin = f"sqlite-payloads:{self._hub}"
        owner, name = read_continuation(origin, continuation, 2) if continuation is not None else ("", "")

        def work(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            return connection.execute(
                "SELECT instance_id, name FROM blobs WHERE hub = ? AND (instance_id, name) > (?, ?) "
                "AND sort = 'payload' ORDER BY instance_id, name LIMIT ?",
                (self._hub, owner, name, top + 1),
            ).fetchall()

        found = await self._database.read(work)
        if len(found) <= top:
            return PayloadPage(payloads=found)
        return PayloadPage(payloads=found[:top], continuation=write_continuation(origin, [*found[top - 1]]))

    async def delete_payloads(self, instance_id: str, payload_ids: list[str]) -> None:
        await self._delete("payload", instance_id, payload_ids)

    async def _put(self, sort: _Sort, instance_id: str, name: str, data: bytes, *, gzip: bool) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO blobs (hub, instance_id, sort, name, gzip, data) VALUES (?, ?, ?, ?, ?, ?)",
                (self._hub, instance_id, sort, name, gzip, data),
            )

        await self._database.write(work)

    async def _list(self, sort: _Sort, instance_id: str, prefix: str) -> list[str]:
        def work(connection: sqlite3.Connection) -> list[str]:
            names = connection.execute(
                "SELECT name FROM blobs WHERE hub = ? AND instance_id = ? AND sort = ? AND name >= ? AND name < ? "
                "ORDER BY name",
                (self._hub, instance_id, sort, prefix, prefix + _AFTER_ALL),
            )
            return [name for (name,) in names]

        return await self._database.read(work)

    async def _delete(self, sort: _Sort, instance_id: str, names: list[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM blobs WHERE hub = ? AND instance_id = ? AND sort = ? AND name = ?",
                [(self._hub, instance_id, sort, name) for name in names],
            )

        await self._database.write(work)

    def _get(self, connection: sqlite3.Connection, sort: _Sort, instance_id: str, name: str) -> tuple[bytes, bool]:
        found = connection.execute(
            "SELECT data, gzip FROM blobs WHERE hub = ? AND instance_id = ? AND sort = ? AND name = ?",
            (self._hub, instance_id, sort, name),
        ).fetchone()
        if found is None:
            raise PayloadMissing(f"The {sort} {name!r} of {instance_id!r} does not exist: was the instance purged?")
        data, gzip = found
        return data, bool(gzip)


def _changed(instance_id: str) -> Conflict:
    return Conflict(f"The instance {instance_id!r} was changed or deleted by somebody else.")
