"""The load that hosts are under while things break, and what must be true of it when all is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Self

from perdure.client import Client
from perdure.core.history import TaskCompleted
from perdure.core.status import ENDED
from perdure.engine.entities.journal import EntityJournal
from perdure.engine.hub import HubQueues, poison_queue
from perdure.engine.journal import Journal
from perdure.engine.parking import OWNER as PARKED
from perdure.engine.settings import EngineSettings
from perdure.storage.protocol import QueueMissing, Storage
from tests.hosts.conftest import Deployment
from tests.local.running_host import RunningHost

ACCOUNTS = [str(number) for number in range(6)]
WORDS = 3
_LOOK_EVERY = 0.3
_LOOKED_AT = 25
_BEGUN_ALREADY = 1.0
"""Seconds for which an activity may still begin whose step has just been recorded: its worker had looked before."""
_UNREACHABLE = (500, 502, 503)


@dataclass(frozen=True)
class Planned:
    """An instance of the load, and its one right outcome."""

    name: str
    instance_id: str
    input: Any
    output: Any


def plan(seed: int, rounds: int, *, first: int = 0) -> list[Planned]:
    """Return a mix of every kind of orchestration, shuffled; ids are numbered from `first`."""
    draw = random.Random(seed)
    mix: list[Planned] = []
    for number in range(first, first + rounds):
        source, target = draw.sample(ACCOUNTS, 2)
        amount = draw.randint(1, 50)
        kinds = [
            ("chain", None, sum(range(8))),
            ("fan", None, sum(n * n for n in range(10))),
            ("tree", 2, 4),
            ("timed", None, 7),
            ("told", None, sum(range(WORDS))),
            ("ring", [0, 0], sum(range(6))),
            ("bulky", None, 200_000),
            ("deposits", None, 4),
            ("transfer", [source, target, amount], amount),
        ]
        mix += [Planned(name, f"{name}-{number}", value, output) for name, value, output in kinds]
    draw.shuffle(mix)
    return mix


class Observer:
    """Looks into the store from a thread of its own, beside the hosts: which steps are recorded, and since when.

    Args:
        deployment: the hosts' hub, as it is without faults.
        ids: of the instances to be looked at, which may grow.
    """

    def __init__(self, deployment: Deployment, ids: list[str]) -> None:
        self.recorded: dict[str, float] = {}
        """When each activity's result was first seen in a history, by idempotency key."""
        self._deployment = deployment
        self._ids = ids
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, name="observer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)

    def _look(self) -> None:
        draw = random.Random(1)

        async def look() -> None:
            storage = self._deployment.storage()
            try:
                while not self._ending.is_set():
                    for instance_id in draw.sample(self._ids, min(_LOOKED_AT, len(self._ids))):
                        await self._look_at(storage, instance_id)
                    await asyncio.sleep(_LOOK_EVERY)
            finally:
                await storage.close()

        asyncio.run(look())

    async def _look_at(self, storage: Storage, instance_id: str) -> None:
        journal = Journal(storage, instance_id, EngineSettings())
        await journal.load()
        if journal.row is None:
            return
        now = time.time()
        for turn in journal.state.turns:
            for event in turn.events:
                if isinstance(event, TaskCompleted):
                    self.recorded.setdefault(f"{instance_id}/{journal.execution}/{event.no}", now)


@dataclass
class Load:
    """Drives a plan against hosts that may be gone at any moment, and judges the outcome.

    Args:
        deployment: as the hosts see it.
        behind: the same hub without faults, for those who look.
        hosts: returns the hosts that live, which may be none.
    """

    deployment: Deployment
    behind: Deployment
    hosts: Callable[[], list[RunningHost]]
    planned: list[Planned] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    _over: set[str] = field(default_factory=set)

    def start(self, each: Planned) -> None:
        """Start an instance. Whoever gets no answer starts it again unless it has begun: its row may have been inserted
        and its message not sent, which the second start makes good.
        """
        path = f"/api/orchestrators/{each.name}?instanceId={each.instance_id}"
        while (status := self._ask(path, json.dumps(each.input), "POST")[0]) != 202:
            assert status in _UNREACHABLE, (each, status)
            status, text = self._ask(f"/api/durabletask/instances/{each.instance_id}")
            if status in (200, 202) and json.loads(text)["runtimeStatus"] != "Pending":
                break
        self.planned.append(each)
        self.ids.append(each.instance_id)

    def say_words(self, each: Planned) -> None:
        """Raise the events that a `told` instance waits for; an event of which nobody knows is raised again."""
        for number in range(WORDS):
            path = f"/api/durabletask/instances/{each.instance_id}/raiseEvent/word-{number}"
            while (status := self._ask(path, str(number), "POST")[0]) != 202:
                if status == 410:
                    return  # it has ended: the one before was taken in though its answer was lost
                assert status in _UNREACHABLE, (each, status)

    def _ask(self, path: str, body: str | None = None, method: str = "GET") -> tuple[int, str]:
        """Return status and text of some host's answer; 503 if there was none."""
        if living := self.hosts():
            # it may be killed before its answer, or in the middle of it
            with contextlib.suppress(OSError, HTTPException):
                return random.choice(living).request(path, body, method)
        time.sleep(0.05)
        return 503, ""

    def are_running(self) -> bool:
        """Whether every instance has begun and waits for something, and no message is under way."""

        async def look() -> bool:
            storage = self.behind.storage()
            try:
                found = [await storage.read_instance(each.instance_id) for each in self.planned]
                queues = [await _length(storage, queue) for queue in HubQueues(storage.hub).all]
            finally:
                await storage.close()
            return not any(queues) and all(each is not None and each.status == "Running" for each in found)

        return asyncio.run(look())

    def wait_until_over(self, seconds: float) -> float:
        """Wait until every instance has ended and nothing is left in the queues; return how long that took."""
        return asyncio.run(self._wait_until_over(seconds))

    async def _wait_until_over(self, seconds: float) -> float:
        begun = time.monotonic()
        storage = self.behind.storage()
        try:
            while left := await self._left(storage) or await self._wrong_so_far():
                assert time.monotonic() - begun < seconds, f"not over after {seconds} s: {left}"
                await asyncio.sleep(0.1)
        finally:
            await storage.close()
        return time.monotonic() - begun

    async def _wrong_so_far(self) -> str:
        """Return what is not as it must be in the end. Messages that entities may have sent to themselves can't be told
        from others while they are hidden: among those that `_left` excuses there may be one that counts.
        """
        try:
            await self._judge_states()
        except AssertionError as error:
            return f"all has ended, but {error}"
        return ""

    async def _left(self, storage: Storage) -> str:
        """Return what is not over yet, shortened; empty if all is."""
        running = []
        for each in self.planned:
            if each.instance_id in self._over:
                continue
            found = await storage.read_instance(each.instance_id)
            if found is None or found.status not in ENDED:
                running.append((each.instance_id, None if found is None else (found.status, found.reason)))
            else:
                self._over.add(each.instance_id)
        if running:
            return f"{len(running)} instances, among them {running[:5]}"
        queues = HubQueues(storage.hub)
        every = [*queues.all, *(poison_queue(queue) for queue in queues.all)]
        lengths = {queue: await _length(storage, queue) for queue in every}
        lengths["the parked ones"] = len(await storage.list_payloads(PARKED))
        lengths[queues.control[0]] -= min(lengths[queues.control[0]], await _wakes(storage))
        return ", ".join(f"{length} messages in {queue}" for queue, length in lengths.items() if length)

    def judge(self, recorded: dict[str, float]) -> Counter[str]:
        """Assert what must be true when all is over; return figures."""
        asyncio.run(self._judge_states())
        entries = [json.loads(line) for line in self.deployment.ledger.read_text(encoding="utf-8").splitlines()]
        again = [(key, at - recorded[key]) for key, at, _ in entries if at > recorded.get(key, at) + _BEGUN_ALREADY]
        assert again == [], "recorded steps ran again"
        runs = Counter(key for key, *_ in entries)
        figures = Counter(
            instances=len(self.planned),
            steps=len(runs),
            begun=runs.total(),
            repeated=sum(count > 1 for count in runs.values()),
            watched=len(recorded),
        )
        assert len(runs) == sum(_STEPS[each.name] for each in self.planned)
        return figures

    async def _judge_states(self) -> None:
        storage = self.behind.storage()
        try:
            client = Client(storage)
            for each in self.planned:
                status = await client.get_status(each.instance_id)
                assert status.runtime_status is not None
                assert (status.runtime_status.name, status.output) == ("Completed", each.output), each
            entities = await client.get_all_entities()
        finally:
            await storage.close()
        deposits = [each for each in self.planned if each.name == "deposits"]
        states = {(entity.id.name, entity.id.key): entity.state for entity in entities}
        for key in ("0", "1") if deposits else ():
            assert states.get(("counter", key)) == 22 * len(deposits), (key, states, deposits)
        for each in deposits:
            assert states.get(("log", each.instance_id)) == list(range(8)), each
        balances = Counter(dict.fromkeys(ACCOUNTS, 1_000))
        for each in self.planned:
            if each.name == "transfer":
                source, target, amount = each.input
                balances.subtract({source: amount})
                balances.update({target: amount})
        assert {key: state for (name, key), state in states.items() if name == "account"} == {
            key: balance for key, balance in balances.items() if ("account", key) in states
        }
        busy = [entity.id for entity in entities if entity.locked_by is not None or entity.backlog_queue_size]
        assert busy == [], f"locked or waited for: {busy}"


_STEPS = {"chain": 8, "fan": 11, "tree": 4, "timed": 1, "told": 3, "ring": 6, "bulky": 2, "deposits": 1, "transfer": 1}
"""Activities of each kind of orchestration."""


async def _length(storage: Storage, queue: str) -> int:
    try:
        return await storage.queue_length(queue)
    except QueueMissing:
        return 0


async def _wakes(storage: Storage) -> int:
    """Return how many messages entities may have sent to themselves for a quarter of an hour hence: one for each gap
    that they have seen in what was sent to them, and a repeat of it if its sender has died.
    """
    total = 0
    for entity in await Client(storage).get_all_entities():
        journal = EntityJournal(storage, str(entity.id), EngineSettings())
        await journal.load()
        total += journal.record().wakes
    return 2 * total
