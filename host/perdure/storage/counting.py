"""Counting what a piece of work costs: calls of a storage, by method."""

from __future__ import annotations

from collections import Counter
from typing import Self, cast

from perdure.storage.protocol import Notifies, Storage
from perdure.storage.rows import Instance, InstanceQuery, Page, PayloadPage, QueueMessage, Row, RowUpdate, SentMessage


class CountingStorage:
    """A `Storage` that passes every call on to `inner` and counts it in `counts` under the method's name.

    A call may be more or less than one request: `AzureStorage`'s observer counts those.
    """

    def __new__(cls, inner: Storage) -> Self:
        # whoever asks whether this is a Notifies must get the inner storage's answer
        chosen = _NotifyingCountingStorage if isinstance(inner, Notifies) else cls
        return cast(Self, super().__new__(chosen))

    def __init__(self, inner: Storage) -> None:
        self._inner = inner
        self.hub = inner.hub
        self.max_message_bytes = inner.max_message_bytes
        self.counts: Counter[str] = Counter()

    async def insert(self, row: Row) -> str:
        self.counts["insert"] += 1
        return await self._inner.insert(row)

    async def read(self, instance_id: str) -> Row | None:
        self.counts["read"] += 1
        return await self._inner.read(instance_id)

    async def read_instance(self, instance_id: str) -> Instance | None:
        self.counts["read_instance"] += 1
        return await self._inner.read_instance(instance_id)

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        self.counts["merge"] += 1
        return await self._inner.merge(instance_id, etag, update)

    async def replace(self, row: Row) -> str:
        self.counts["replace"] += 1
        return await self._inner.replace(row)

    async def delete(self, instance_id: str, etag: str) -> None:
        self.counts["delete"] += 1
        await self._inner.delete(instance_id, etag)

    async def query(self, query: InstanceQuery, *, top: int = 100, continuation: str | None = None) -> Page:
        self.counts["query"] += 1
        return await self._inner.query(query, top=top, continuation=continuation)

    async def put_segment(self, instance_id: str, name: str, data: bytes) -> None:
        self.counts["put_segment"] += 1
        await self._inner.put_segment(instance_id, name, data)

    async def get_segments(self, instance_id: str, names: list[str]) -> list[bytes]:
        self.counts["get_segments"] += 1
        return await self._inner.get_segments(instance_id, names)

    async def list_segments(self, instance_id: str) -> list[str]:
        self.counts["list_segments"] += 1
        return await self._inner.list_segments(instance_id)

    async def delete_segments(self, instance_id: str, names: list[str]) -> None:
        self.counts["delete_segments"] += 1
        await self._inner.delete_segments(instance_id, names)

    async def put_payload(self, instance_id: str, payload_id: str, data: bytes) -> None:
        self.counts["put_payload"] += 1
        await self._inner.put_payload(instance_id, payload_id, data)

    async def add_payload(self, instance_id: str, payload_id: str, data: bytes) -> bool:
        self.counts["add_payload"] += 1
        return await self._inner.add_payload(instance_id, payload_id, data)

    async def get_payload(self, instance_id: str, payload_id: str) -> bytes:
        self.counts["get_payload"] += 1
        return await self._inner.get_payload(instance_id, payload_id)

    async def list_payloads(self, instance_id: str, prefix: str = "") -> list[str]:
        self.counts["list_payloads"] += 1
        return await self._inner.list_payloads(instance_id, prefix)

    async def list_all_payloads(self, *, top: int = 5_000, continuation: str | None = None) -> PayloadPage:
        self.counts["list_all_payloads"] += 1
        return await self._inner.list_all_payloads(top=top, continuation=continuation)

    async def delete_payloads(self, instance_id: str, payload_ids: list[str]) -> None:
        self.counts["delete_payloads"] += 1
        await self._inner.delete_payloads(instance_id, payload_ids)

    async def create_queue(self, queue: str) -> None:
        self.counts["create_queue"] += 1
        await self._inner.create_queue(queue)

    async def delete_queue(self, queue: str) -> None:
        self.counts["delete_queue"] += 1
        await self._inner.delete_queue(queue)

    async def send(self, queue: str, body: str, *, delay: float = 0) -> SentMessage:
        self.counts["send"] += 1
        return await self._inner.send(queue, body, delay=delay)

    async def receive(self, queue: str, *, count: int, invisibility: float) -> list[QueueMessage]:
        self.counts["receive"] += 1
        return await self._inner.receive(queue, count=count, invisibility=invisibility)

    async def extend(self, queue: str, message_id: str, receipt: str, *, invisibility: float) -> str | None:
        self.counts["extend"] += 1
        return await self._inner.extend(queue, message_id, receipt, invisibility=invisibility)

    async def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        self.counts["delete_message"] += 1
        return await self._inner.delete_message(queue, message_id, receipt)

    async def peek(self, queue: str, *, count: int) -> list[QueueMessage]:
        self.counts["peek"] += 1
        return await self._inner.peek(queue, count=count)

    async def queue_length(self, queue: str) -> int:
        self.counts["queue_length"] += 1
        return await self._inner.queue_length(queue)

    async def create(self) -> None:
        self.counts["create"] += 1
        await self._inner.create()

    async def destroy(self) -> None:
        self.counts["destroy"] += 1
        await self._inner.destroy()

    async def close(self) -> None:
        await self._inner.close()


class _NotifyingCountingStorage(CountingStorage):
    """Passes on that `inner` can say when to look for messages; that is no call worth counting."""

    async def wait_for_message(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting is its purpose
        if isinstance(self._inner, Notifies):
            await self._inner.wait_for_message(queue, timeout)
