"""How instances, rows and queries become SQL values and statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from perdure.storage.rows import Instance, InstanceQuery, Row, RowUpdate, instance_of, readable
from perdure.storage.timestamps import time_from_text, time_to_text

_COLUMNS = Instance.__struct_fields__
_ROW_COLUMNS = (*_COLUMNS, "etag", "head", "segments")
_TIMES = ("created_at", "updated_at", "completed_at", "start_at")
_CHANGEABLE = tuple(name for name in RowUpdate.__struct_fields__ if name not in ("turn", "tail_index"))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


_INSERT = (
    f"INSERT INTO instances (hub, {_quoted(_ROW_COLUMNS)}) "  # noqa: S608 - our own column names
    f"VALUES (?{', ?' * len(_ROW_COLUMNS)}) "
    "ON CONFLICT (hub, instance_id) DO NOTHING"
)
_SELECT_ROW = f"SELECT {_quoted(_ROW_COLUMNS)} FROM instances WHERE hub = ? AND instance_id = ?"  # noqa: S608 - our names
_SELECT_INSTANCES = f"SELECT {_quoted(_COLUMNS)} FROM instances WHERE "  # noqa: S608 - our own column names

_tags = msgspec.json.Decoder(dict[str, str])
_LAST_CHARACTER = "\U0010ffff"
_BEFORE_SURROGATES = "\ud7ff"
_AFTER_SURROGATES = "\ue000"


HAS_TAGS = "has_tags"
"""SQL function: whether tags, as JSON, hold others with the same values. SQLite's own functions end texts at a NUL."""


def has_tags(tags: str, wanted: str) -> bool:
    """See `HAS_TAGS`."""
    return _tags.decode(wanted).items() <= _tags.decode(tags).items()


def insert_row(connection: sqlite3.Connection, hub: str, row: Row, etag: str) -> bool:
    """Insert `row` with this etag; False if its instance has a row."""
    values = [_to_sql(name, getattr(row.instance, name)) for name in _COLUMNS]
    cursor = connection.execute(_INSERT, (hub, *values, etag, row.head, "\n".join(row.segments)))
    if not cursor.rowcount:
        return False
    _insert_turns(connection, hub, row.instance.instance_id, 0, row.tail)
    return True


def read_row(connection: sqlite3.Connection, hub: str, instance_id: str) -> Row | None:
    found = connection.execute(_SELECT_ROW, (hub, instance_id)).fetchone()
    if found is None:
        return None
    etag, head, segments = found[len(_COLUMNS) :]
    turns = connection.execute(
        "SELECT turn FROM tail WHERE hub = ? AND instance_id = ? ORDER BY place", (hub, instance_id)
    )
    return Row(
        instance=_to_instance(found),
        head=head,
        segments=segments.split("\n") if segments else [],
        tail=[turn for (turn,) in turns],
        etag=etag,
    )


def read_instance(connection: sqlite3.Connection, hub: str, instance_id: str) -> Instance | None:
    found = connection.execute(_SELECT_INSTANCES + "hub = ? AND instance_id = ?", (hub, instance_id)).fetchone()
    return None if found is None else _to_instance(found)


def merge_row(
    connection: sqlite3.Connection, hub: str, instance_id: str, update: RowUpdate, *, etag: str, new_etag: str
) -> bool:
    """Apply `update` if the row has `etag`; False if not."""
    changes = {name: getattr(update, name) for name in _CHANGEABLE}
    changes = {name: _to_sql(name, value) for name, value in changes.items() if value is not UNSET}
    assignments = ", ".join(f'"{name}" = ?' for name in changes)
    cursor = connection.execute(
        f"UPDATE instances SET etag = ?, {assignments} "  # noqa: S608 - our own column names
        "WHERE hub = ? AND instance_id = ? AND etag = ?",
        (new_etag, *changes.values(), hub, instance_id, etag),
    )
    if cursor.rowcount and update.turn is not None:
        _insert_turns(connection, hub, instance_id, update.tail_index, [update.turn])
    return cursor.rowcount == 1


def read_etag(connection: sqlite3.Connection, hub: str, instance_id: str) -> str | None:
    found = connection.execute("SELECT etag FROM instances WHERE hub = ? AND instance_id = ?", (hub, instance_id))
    etag = found.fetchone()
    return None if etag is None else str(etag[0])


def delete_row(connection: sqlite3.Connection, hub: str, instance_id: str) -> None:
    connection.execute("DELETE FROM instances WHERE hub = ? AND instance_id = ?", (hub, instance_id))
    connection.execute("DELETE FROM tail WHERE hub = ? AND instance_id = ?", (hub, instance_id))


def query_instances(
    connection: sqlite3.Connection, hub: str, query: InstanceQuery, *, after: str, top: int
) -> tuple[list[Instance], str | None]:
    """Return up to `top` instances that match, in the order of their ids, beginning behind the id `after`; and the last
    id of this page if there are more.
    """
    conditions = ["hub = ?", "kind = ?", "deleting = 0", "instance_id > ?"]
    values: list[Any] = [hub, query.kind, after]
    if query.id_prefix:
        conditions.append("instance_id >= ?")
        values.append(query.id_prefix)
        end = _after_prefix(query.id_prefix)
        if end is not None:
            conditions.append("instance_id < ?")
            values.append(end)
    if query.statuses:
        conditions.append(f"status IN ({', '.join('?' * len(query.statuses))})")
        values.extend(query.statuses)
    for column, comparison, time in query.bounds:
        conditions.append(f"{column} {'>=' if comparison == 'ge' else '<='} ?")
        values.append(time_to_text(time))
    if query.tags:
        conditions.append(f"{HAS_TAGS}(tags, ?)")
        values.append(msgspec.json.encode(query.tags).decode())
    statement = f"{_SELECT_INSTANCES}{' AND '.join(conditions)} ORDER BY instance_id LIMIT ?"
    found = connection.execute(statement, (*values, top + 1)).fetchall()
    last = found[top - 1][_COLUMNS.index("instance_id")] if len(found) > top else None
    return readable(found[:top], _to_instance), last


def _insert_turns(connection: sqlite3.Connection, hub: str, instance_id: str, first: int, turns: list[bytes]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO tail (hub, instance_id, place, turn) VALUES (?, ?, ?, ?)",
        [(hub, instance_id, first + offset, turn) for offset, turn in enumerate(turns)],
    )


def _to_sql(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return time_to_text(value)
    if name == "tags":
        return msgspec.json.encode(value).decode()
    return value


def _to_instance(found: tuple[Any, ...]) -> Instance:
    values = dict(zip(_COLUMNS, found, strict=False))

    def read() -> dict[str, Any]:
        for name in _TIMES:
            if values[name] is not None:
                values[name] = time_from_text(values[name])
        values["tags"] = _tags.decode(values["tags"])
        values["deleting"] = bool(values["deleting"])
        return values

    return instance_of(values["instance_id"], read)


def _after_prefix(prefix: str) -> str | None:
    """Return the smallest text that is greater than all that begin with `prefix`; None if there is none.

    SQLite compares UTF-8, which is code point order.
    """
    while prefix:
        last, prefix = prefix[-1], prefix[:-1]
        if last < _LAST_CHARACTER:
            return prefix + (_AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1))
    return None
