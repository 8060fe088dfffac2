"""The log: one stream in storage, chunk by chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from perdure.core.entity_id import is_entity_id
from perdure.core.naming import check_instance_id
from perdure.errors import InstanceNotFoundError
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance
from perdure.storage.wakeups import Wakeups
from perdure.streaming.chunk import Chunk, Mark, Names, check_stream_name, decode_chunk, decode_mark, digest, encode

_MOST_AT_ONCE = 8
_OF_ENTITY = "entity"
_bell = Wakeups()


class StreamLog:
    """Reads and writes the payloads of a stream.

    Args:
        storage: the hub's.
        instance_id: the orchestration or entity that the stream belongs to, and with which it is deleted.
        name: the stream's.
        life: tells the streams of one execution from those of others; see `life_of`.
    """

    def __init__(self, storage: Storage, instance_id: str, name: str, life: str) -> None:
        self.instance_id = check_instance_id(instance_id)
        self.name = check_stream_name(name)
        self.life = life
        self.names = Names(life, name)
        self._storage = storage
        self.bell = _bell
        self.bell_rope = f"{storage.hub.lower()}/{instance_id}/{self.names.prefix}"
        """What to listen to, to hear at once of chunks that this process adds."""

    def __str__(self) -> str:
        return f"stream '{self.name}' of instance '{self.instance_id}'"

    async def add(self, number: int, chunk: Chunk) -> bool:
        """Store a chunk under a number; False if another, or this one at an earlier try, has it."""
        added = await self._storage.add_payload(self.instance_id, self.names.chunk(number), encode(chunk))
        if added:
            self.bell.signal(self.bell_rope)
        return added

    async def chunk(self, number: int) -> Chunk | None:
        """Return a chunk, None if there is none of this number."""
        try:
            data = await self._storage.get_payload(self.instance_id, self.names.chunk(number))
        except PayloadMissing:
            return None
        return decode_chunk(data, f"chunk {number} of {self}")

    async def chunks(self, number: int) -> AsyncIterator[tuple[int, Chunk]]:
        """Iterate over the chunks that are there, from a number on: one after the other at first, then more at once."""
        first = number
        while True:
            at_once = max(1, min(number - first, _MOST_AT_ONCE))
            for chunk in await asyncio.gather(*(self.chunk(number + each) for each in range(at_once))):
                if chunk is None:
                    return
                yield number, chunk
                number += 1

    async def survey(self, step: str) -> tuple[int, list[int]]:
        """Return the number of the next chunk, and those of the attempts at a step that have begun."""
        stored = await self._storage.list_payloads(self.instance_id, self.names.prefix)
        return self.names.sort(stored, step)

    async def add_mark(self, step: str, attempt: int, mark: Mark) -> bool:
        """Take the number of an attempt; False if another writer has taken it."""
        mark_id = self.names.mark(step, attempt)
        if await self._storage.add_payload(self.instance_id, mark_id, encode(mark)):
            return True
        taken = await self.mark(step, attempt)
        return taken is not None and taken.writer == mark.writer

    async def mark(self, step: str, attempt: int) -> Mark | None:
        """Return the mark of an attempt, None if there is none."""
        try:
            data = await self._storage.get_payload(self.instance_id, self.names.mark(step, attempt))
        except PayloadMissing:
            return None
        return decode_mark(data, f"a mark of {self}")

    async def owner(self) -> Instance | None:
        """Return the orchestration that the stream belongs to, None if it is no more. Not for streams of entities."""
        instance = await self._storage.read_instance(self.instance_id)
        gone = instance is None or instance.deleting or life_of(instance.execution_id) != self.life
        return None if gone else instance

    async def delete(self, payload_ids: list[str] | None = None) -> int:
        """Delete some of its payloads, or all for None; return how many."""
        if payload_ids is None:
            payload_ids = await self._storage.list_payloads(self.instance_id, self.names.prefix)
        if payload_ids:
            await self._storage.delete_payloads(self.instance_id, payload_ids)
        return len(payload_ids)


def life_of(execution_id: str | None) -> str:
    """Return what tells the streams of an execution from those of others; entities have one life, given by None."""
    return _OF_ENTITY if execution_id is None else digest(execution_id)


async def present_life(storage: Storage, instance_id: str) -> str:
    """Return the life of an orchestration's present execution, or of an entity. Raises InstanceNotFoundError."""
    if is_entity_id(check_instance_id(instance_id)):
        return life_of(None)
    instance = await storage.read_instance(instance_id)
    if instance is None or instance.deleting:
        raise InstanceNotFoundError(
            f"there is no instance '{instance_id}' in task hub '{storage.hub}', and so no stream of it: look at the "
            f"id; or it has been purged"
        )
    return life_of(instance.execution_id)
