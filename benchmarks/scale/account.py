"""A storage account in virtual time: it takes its time, has Azure's limits, and refuses what is beyond them."""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.scale.azure import ACCOUNT_PER_SECOND, PARTITION_PER_SECOND, QUEUE_PER_SECOND
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.protocol import Conflict, QueueMissing, StorageUnavailable
from perdure.storage.rows import QueueMessage, SentMessage

_MEDIAN_SECONDS = 0.006
_SPREAD = 0.5
"""Of the logarithm: one request in a hundred takes longer than 19 ms."""
_TRIES = 6
_FIRST_PAUSE = 0.1
_BURST_SECONDS = 0.25
"""What a limit lets pass at once, in seconds of its rate."""

_QUEUES = {"create_queue", "send", "receive", "extend", "delete_message", "peek", "queue_length"}
_CHANGES = {"send", "delete_message"}
_ROWS = {"insert", "read", "read_instance", "merge", "replace", "delete"}
_PIECES = {"put_segment", "get_segments", "list_segments", "delete_segments"}
_PAYLOADS = {"put_payload", "add_payload", "get_payload", "list_payloads", "delete_payloads"}
_REQUESTS = _QUEUES | _ROWS | _PIECES | _PAYLOADS

Watcher = Callable[[str, tuple[Any, ...], int], None]


class _Limit:
    """So many a second, and a burst of a fraction of that."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = rate * _BURST_SECONDS
        self._left = self._most
        self._at = 0.0

    def refill(self, now: float) -> bool:
        """Whether one more may pass."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left >= 1

    def take(self) -> None:
        self._left -= 1


@dataclass(slots=True)
class _Message:
    body: str
    receipt: int
    visible_at: float
    dequeue_count: int = 0


@dataclass(slots=True)
class _Queue:
    """Messages by id, and a heap of when each shows up. An entry whose time is not the message's own is out of date."""

    messages: dict[int, _Message] = field(default_factory=dict)
    due: list[tuple[float, int]] = field(default_factory=list)

    def show(self, number: int, at: float) -> None:
        self.messages[number].visible_at = at
        heapq.heappush(self.due, (at, number))


class Account:
    """One storage account that all workers of a run share.

    Args:
        seed: of the times that requests take.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.store = MemoryStore()
        self.counts: Counter[str] = Counter()
        """Requests that were carried out, by method."""
        self.by_queue: Counter[str] = Counter()
        """Requests, by queue."""
        self.changes_by_queue: Counter[str] = Counter()
        """Those that send or delete a message, by queue."""
        self.empty_receives = 0
        self.lost_races = 0
        """Writes whose condition did not hold."""
        self.throttled = 0
        """Requests that were refused since a limit was reached; the client tries again."""
        self.given_up = 0
        """Requests that were refused as often as the client tries."""
        self.watchers: list[Watcher] = []
        """Called after each request that was carried out with its method, its arguments and the worker's number."""
        self._queues: dict[str, _Queue] = {}
        self._last = 0
        self._whole = _Limit(ACCOUNT_PER_SECOND)
        self._limits: dict[str, _Limit] = {}

    def opened(self, hub: str, worker: int, *, at_once: bool = False) -> AccountStorage:
        """Return a worker's view of a hub; with `at_once` one of no limits, whose requests take no time."""
        return AccountStorage(self, hub, worker, at_once=at_once)

    async def request(self, name: str, target: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out a request, in time, if the limits let it pass; try again as Perdure's clients do if not."""
        for attempt in range(_TRIES):
            await asyncio.sleep(self._half())
            if self._admits(name, target):
                return await self._carried_out(name, call)
            self.throttled += 1
            await asyncio.sleep(self._half() + _FIRST_PAUSE * 2 ** (attempt + 1) * self.random.uniform(1, 1.25))
        self.given_up += 1
        raise StorageUnavailable(f"{name}: the account is busy")

    async def _carried_out(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        self.counts[name] += 1
        error: Conflict | None = None
        result: Any = None
        try:
            result = await call()
        except Conflict as conflict:
            error = conflict
            self.lost_races += 1
        await asyncio.sleep(self._half())
        if error is not None:
            raise error
        return result

    def _half(self) -> float:
        return self.random.lognormvariate(math.log(_MEDIAN_SECONDS), _SPREAD) / 2

    def _admits(self, name: str, target: str) -> bool:
        limit = self._limits.get(target)
        if limit is None:
            rate = QUEUE_PER_SECOND if name in _QUEUES else PARTITION_PER_SECOND
            limit = self._limits[target] = _Limit(rate)
        now = asyncio.get_running_loop().time()
        passes = limit.refill(now) and self._whole.refill(now)
        if passes:
            limit.take()
            self._whole.take()
            if name in _QUEUES:
                self.by_queue[target] += 1
                self.changes_by_queue[target] += name in _CHANGES
        return passes

    # ---- queues: those of `MemoryStorage` look at every message, which takes long if there are ten thousand ---------

    def forget_counts(self) -> None:
        """Count from now on."""
        self.counts.clear()
        self.by_queue.clear()
        self.changes_by_queue.clear()
        self.empty_receives = self.lost_races = self.throttled = self.given_up = 0

    @property
    def table_requests(self) -> int:
        """Requests to tables."""
        return sum(self.counts[name] for name in _ROWS | _PIECES)

    @property
    def queue_requests(self) -> int:
        """Requests to queues that were of use: those that found no message are `empty_receives`."""
        return sum(self.counts[name] for name in _QUEUES) - self.empty_receives

    def length(self, queue: str) -> int:
        """Return the number of messages, hidden ones included."""
        return len(self._queue(queue).messages)

    def create_queue(self, queue: str) -> None:
        """Create a queue."""
        self._queues.setdefault(queue, _Queue())

    def send(self, queue: str, body: str, delay: float) -> SentMessage:
        """Add a message."""
        there, number = self._queue(queue), self._next()
        there.messages[number] = _Message(body, self._next(), 0.0)
        there.show(number, _now() + delay)
        return SentMessage(message_id=str(number), receipt=str(there.messages[number].receipt))

    def receive(self, queue: str, count: int, invisibility: float) -> list[QueueMessage]:
        """Take messages that are visible."""
        there, now = self._queue(queue), _now()
        received: list[QueueMessage] = []
        while there.due and there.due[0][0] <= now and len(received) < count:
            at, number = heapq.heappop(there.due)
            message = there.messages.get(number)
            if message is None or message.visible_at != at:
                continue
            message.dequeue_count += 1
            message.receipt = self._next()
            there.show(number, now + invisibility)
            received.append(
                QueueMessage(
                    message_id=str(number),
                    receipt=str(message.receipt),
                    body=message.body,
                    dequeue_count=message.dequeue_count,
                )
            )
        self.empty_receives += not received
        return received

    def extend(self, queue: str, message_id: str, receipt: str, invisibility: float) -> str | None:
        """Hide a message for so long from now."""
        there = self._queue(queue)
        message = there.messages.get(int(message_id))
        if message is None or str(message.receipt) != receipt:
            return None
        message.receipt = self._next()
        there.show(int(message_id), _now() + invisibility)
        return str(message.receipt)

    def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        """Delete a message."""
        messages = self._queue(queue).messages
        message = messages.get(int(message_id))
        if message is None or str(message.receipt) != receipt:
            return False
        del messages[int(message_id)]
        return True

    def _queue(self, queue: str) -> _Queue:
        if queue not in self._queues:
            raise QueueMissing(queue)
        return self._queues[queue]

    def _next(self) -> int:
        self._last += 1
        return self._last


class AccountStorage:
    """`Storage` as one worker sees it. It tells nobody of messages: who wants some must ask, as on Azure."""

    def __init__(self, account: Account, hub: str, worker: int, *, at_once: bool) -> None:
        self.hub = hub
        self.worker = worker
        self._account = account
        self._at_once = at_once
        self._rows = MemoryStorage(hub, store=account.store)
        self.max_message_bytes = self._rows.max_message_bytes

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name not in _REQUESTS:
            raise AttributeError(name)
        method = getattr(self._rows, name) if name not in _QUEUES else self._of_queue(name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._at_once:
                return await method(*args, **kwargs)
            target = args[0] if isinstance(args[0], str) else args[0].instance.instance_id
            result = await self._account.request(name, target, lambda: method(*args, **kwargs))
            for watch in self._account.watchers:
                watch(name, args, self.worker)
            return result

        self.__dict__[name] = call
        return call

    def _of_queue(self, name: str) -> Callable[..., Awaitable[Any]]:
        account = self._account

        async def create_queue(queue: str) -> None:
            account.create_queue(queue)

        async def send(queue: str, body: str, *, delay: float = 0) -> SentMessage:
            return account.send(queue, body, math.ceil(delay))

        async def receive(queue: str, *, count: int, invisibility: float) -> list[QueueMessage]:
            return account.receive(queue, count, invisibility)

        async def extend(queue: str, message_id: str, receipt: str, *, invisibility: float) -> str | None:
            return account.extend(queue, message_id, receipt, invisibility)

        async def delete_message(queue: str, message_id: str, receipt: str) -> bool:
            return account.delete_message(queue, message_id, receipt)

        async def queue_length(queue: str) -> int:
            return account.length(queue)

        here: dict[str, Callable[..., Awaitable[Any]]] = {
            "create_queue": create_queue,
            "send": send,
            "receive": receive,
            "extend": extend,
            "delete_message": delete_message,
            "queue_length": queue_length,
        }
        return here[name]

    async def create(self) -> None:
        """Create nothing: it is there."""

    async def close(self) -> None:
        """Do nothing."""


def _now() -> float:
    return asyncio.get_running_loop().time()
