"""Deleting an instance: mark its row as going, delete what belongs to it, delete the row.

If the process dies after the mark, readers see nothing, and whoever meets the marked row finishes the deletion.

The id may be begun anew at any moment, by somebody who finishes the deletion faster. So what is deleted is listed
first, while the row is known to be the marked one: nothing of a new execution can be on the list, but for the input
that its starter stores before it inserts the row, and that bears the new execution's name. If the starter dies in
between, nobody will ever name that input: so a client's bears its time, too, and goes with whatever is deleted later.
One that a turn has stored may belong to a start that is committed and not made yet: only a sweep (`sweeping`) takes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from perdure.engine.overdue import START, dated_start, started_at
from perdure.storage.protocol import Conflict, Storage
from perdure.storage.rows import Row, RowUpdate
from perdure.streaming.chunk import ANY_STREAM

_STARTED_BY_NOW = timedelta(hours=1)
"""Far longer than a client takes from storing an input to inserting the row."""


def start_input_id(execution_id: str) -> str:
    """Return the id of the payload that holds the input with which an execution is started."""
    return f"{START}{execution_id}"


def dated_start_input_id(execution_id: str, now: datetime) -> str:
    """Return the same for a start that nobody repeats under this execution's name if its starter dies."""
    return dated_start(start_input_id(execution_id), now)


class Belongings(msgspec.Struct, frozen=True):
    """What is stored of an execution besides its row."""

    payloads: list[str]
    segments: list[str]


async def belongings(storage: Storage, row: Row) -> Belongings:
    """List what belongs to the execution in `row`; to be trusted if the row has still not changed afterwards.

    An entity's payloads are not, but for its streams: only empty entities are deleted, and the inputs of signals that
    are under way to one, perhaps for months, are stored already.
    """
    instance = row.instance
    if instance.kind == "entity":
        streams = await storage.list_payloads(instance.instance_id, ANY_STREAM)
        return Belongings(streams, await storage.list_segments(instance.instance_id))
    mine = start_input_id(instance.execution_id)
    payloads = [
        payload_id
        for payload_id in await storage.list_payloads(instance.instance_id)
        if payload_id.startswith(mine) or not _may_be_inserted(payload_id, instance.updated_at)
    ]
    return Belongings(payloads, await storage.list_segments(instance.instance_id))


def _may_be_inserted(payload_id: str, now: datetime) -> bool:
    """Whether it is the input of an execution whose row may yet be inserted."""
    if not payload_id.startswith(START):
        return False
    started = started_at(payload_id)
    return started is None or started > now - _STARTED_BY_NOW


async def delete_remains(storage: Storage, instance_id: str, now: datetime) -> None:
    """Delete what is left of an orchestration whose row is gone: by a session that was at work on it just then, or by a
    client that died before it inserted the row. Nothing happens if there is a row.
    """
    payloads = [each for each in await storage.list_payloads(instance_id) if not _may_be_inserted(each, now)]
    things = Belongings(payloads, await storage.list_segments(instance_id))
    if (payloads or things.segments) and await storage.read_instance(instance_id) is None:
        await delete_belongings(storage, instance_id, things)


async def delete_belongings(storage: Storage, instance_id: str, things: Belongings) -> None:
    """Delete what was listed; may be repeated."""
    if things.payloads:
        await storage.delete_payloads(instance_id, things.payloads)
    if things.segments:
        await storage.delete_segments(instance_id, things.segments)


async def delete_instance(storage: Storage, row: Row) -> bool:
    """Delete the instance as read in `row`; False if it changed meanwhile and nothing was deleted."""
    update = RowUpdate(
        updated_at=row.instance.updated_at, commit=row.instance.commit, tail_index=len(row.tail), deleting=True
    )
    try:
        row.etag = await storage.merge(row.instance.instance_id, row.etag, update)
    except Conflict:
        return False
    await finish_deletion(storage, row)
    return True


async def finish_deletion(storage: Storage, row: Row) -> None:
    """Delete the payloads and segments of an instance whose row is marked, then the row. May be repeated."""
    instance_id = row.instance.instance_id
    things = await belongings(storage, row)
    there = await storage.read(instance_id)
    if there is None or there.etag != row.etag:
        return  # somebody else finished it, and perhaps began the id anew
    await delete_belongings(storage, instance_id, things)
    try:
        await storage.delete(instance_id, row.etag)
    except Conflict:
        return  # as above
