"""Reading a stream from any point on."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure.core.data import from_json
from perdure.core.entity_id import is_entity_id
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.storage.protocol import Storage
from perdure.streaming.chunk import END, RESTART, Chunk, StoredEnd
from perdure.streaming.item import Position, StreamItem, StreamPage
from perdure.streaming.log import StreamLog, present_life

_FIRST_POLL = 0.01
_POLL_GROWTH = 1.5
_LONGEST_POLL = 0.5
_OWNER_FIRST, _OWNER_EVERY = 0.1, 1.0
"""Seconds after which a reader that waits looks at the instance, and looks again."""


class StreamReader:
    """Reads one stream.

    Args:
        storage: the hub's.
        instance_id: the orchestration or entity that it belongs to.
        name: its name.
    """

    def __init__(self, storage: Storage, instance_id: str, name: str) -> None:
        self._storage = storage
        self._instance_id = instance_id
        self._name = name

    async def read(self, cursor: str | None = None, *, wait: float = 0.0, limit: int = 1_000) -> StreamPage:
        """Return the items that follow a cursor; each is returned once to who goes on with the cursors returned.

        Args:
            cursor: where to go on, as an item or a page says; None begins at the beginning.
            wait: seconds to wait for the first item, if there is none yet.
            limit: items at most, 1 or more.

        Raises:
            InstanceNotFoundError: there is no such orchestration, and no cursor is given.
            StoredDataError: a chunk is damaged.
            ValueError: the cursor is none, or the limit is less than 1.
        """
        if limit < 1:
            raise ValueError(f"a read brings 1 item or more, not {limit}")
        log, position = await self._begin(cursor)
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline, look_at_owner, poll = began + wait, began + _OWNER_FIRST, _FIRST_POLL
        waiter = log.bell.listener(log.bell_rope)
        try:
            while True:
                page = await _present(log, position, limit)
                if page.items or page.ended:
                    return page
                now = loop.time()
                if now >= min(deadline, look_at_owner):
                    look_at_owner = now + _OWNER_EVERY
                    end = await self._end_without_a_word(log, position)
                    if end is not None:
                        # it may have said something before that; after that, nobody will
                        page = await _present(log, position, limit)
                        return page if page.items or page.ended else end
                if now >= deadline:
                    return page
                await waiter.wait(min(poll, deadline - now))
                poll = min(poll * _POLL_GROWTH, _LONGEST_POLL)
        finally:
            log.bell.forget(log.bell_rope, waiter)

    async def _begin(self, cursor: str | None) -> tuple[StreamLog, Position]:
        if cursor is None:
            position = Position(await present_life(self._storage, self._instance_id))
        else:
            position = Position.parse(cursor)
        return StreamLog(self._storage, self._instance_id, self._name, position.life), position

    async def _end_without_a_word(self, log: StreamLog, position: Position) -> StreamPage | None:
        """Return the end that a stream has come to with its instance; None if it goes on."""
        data = await self._fate(log, position)
        if data is None:
            return None
        told = Position(position.life, position.chunk, position.index, told=True)
        items = [] if position.told else [StreamItem(str(told), END, data)]
        return StreamPage(items, str(told), ended=True)

    async def _fate(self, log: StreamLog, position: Position) -> dict[str, Any] | None:
        if is_entity_id(self._instance_id):
            last = position.chunk - (position.index == 0)
            if last < 0 or await log.chunk(last) is not None:
                return None
            return {"status": "deleted", "error": f"{log} has been deleted"}
        instance = await log.owner()
        if instance is None:
            error = f"instance '{self._instance_id}' has been purged, or begun anew"
            return {"status": "deleted", "error": error}
        if instance.status not in ENDED:
            return None
        if instance.status == OrchestrationRuntimeStatus.Completed:
            return {"status": "completed", "result": None}
        error = f"instance '{self._instance_id}' has ended: {instance.status}"
        return {"status": instance.status.lower(), "error": error}


async def _present(log: StreamLog, position: Position, limit: int) -> StreamPage:
    """Return what is there."""
    items: list[StreamItem] = []
    async for number, chunk in log.chunks(position.chunk):
        said = _said(log.life, number, chunk)
        index = position.index if number == position.chunk else 0
        taken = said[index : index + limit - len(items)]
        items += taken
        index += len(taken)
        if index < len(said) or chunk.end is not None:
            position = Position(log.life, number, index)
            return StreamPage(items, str(position), ended=index >= len(said))
        position = Position(log.life, number + 1)
        if len(items) == limit:
            break
    return StreamPage(items, str(position), ended=False)


def _said(life: str, number: int, chunk: Chunk) -> list[StreamItem]:
    """Return the items that readers get of a chunk."""
    said: list[tuple[str, Any]] = []
    if chunk.superseded:
        said.append((RESTART, {"step": chunk.step, "superseded": chunk.superseded}))
    said += [(item.event, from_json(item.data)) for item in chunk.items]
    if chunk.end is not None:
        said.append((END, _of_end(chunk.end)))
    cursors = [str(Position(life, number, index)) for index in range(1, len(said) + 1)]
    if chunk.end is None and said:
        cursors[-1] = str(Position(life, number + 1))
    return [StreamItem(cursor, event, data, chunk.step) for cursor, (event, data) in zip(cursors, said, strict=True)]


def _of_end(end: StoredEnd) -> dict[str, Any]:
    if end.error is not None:
        return {"status": "failed", "error": end.error}
    return {"status": "completed", "result": from_json(end.result)}
