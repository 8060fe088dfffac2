"""Trials of messages whose deliveries are used up: one at a time, and only what does not survive them is condemned."""

from __future__ import annotations

import asyncio

import pytest

from perdure.engine.delivery import AnchorLost, WorkerStopped
from perdure.engine.settings import EngineSettings
from perdure.engine.suspects import CONDEMNATIONS, OWNER, TRIALS, Suspects
from perdure.storage.memory import MemoryStorage
from perdure.storage.protocol import StorageUnavailable

QUEUE = "hub-control"


class ProcessEnded(BaseException):
    """Stands for the end of a process."""


class Court:
    """Judges messages, and remembers what became of each."""

    def __init__(self):
        self.storage = MemoryStorage("hub")
        self.suspects = Suspects(self.storage, EngineSettings())
        self.begun, self.survived, self.condemned = [], [], []
        self.deadly, self.going_on = set(), asyncio.Event()

    async def open(self):
        await self.storage.create_queue(f"{QUEUE}-poison")

    async def judge(self, body, dequeue_count=1):
        async def attempt():
            self.begun.append(body)
            if body in self.deadly:
                await self.going_on.wait()
            self.survived.append(body)

        async def condemn():
            self.condemned.append(body)

        await self.suspects.judge(body, QUEUE, dequeue_count, attempt, condemn)

    async def die(self, *running):
        """End the process, as far as these are concerned."""
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.suspects = Suspects(self.storage, EngineSettings())

    async def put_back(self):
        return [each.body for each in await self.storage.receive(f"{QUEUE}-poison", count=32, invisibility=60)]


@pytest.fixture
async def court():
    court = Court()
    await court.open()
    return court


async def begin(court, *bodies, dequeue_count=1):
    tasks = [asyncio.create_task(court.judge(body, dequeue_count)) for body in bodies]
    while not court.begun:
        await asyncio.sleep(0)
    return tasks


async def test_who_was_only_there_goes_on(court):
    await court.judge("innocent")
    assert (court.survived, court.condemned) == (["innocent"], [])
    assert await court.storage.list_payloads(OWNER) == []


async def test_who_ends_the_process_is_condemned_and_those_in_line_are_not(court):
    court.deadly = {"killer"}
    for delivery in range(1, TRIALS + 1):
        court.begun.clear()
        await court.die(*(await begin(court, "killer", "innocent", dequeue_count=delivery)))
    await court.judge("killer", TRIALS + 1)
    assert court.condemned == ["killer"]
    await court.judge("innocent", TRIALS + 1)
    assert await court.put_back() == ["innocent"], "the host would deliver it no more"
    await court.judge("innocent")
    assert court.survived == ["innocent"]
    assert court.condemned == ["killer"]
    assert await court.storage.list_payloads(OWNER) == []


async def test_whoever_condemns_has_a_delivery_left_for_it(court):
    """With the last one a message can only be parked, though others' deaths may have used up the ones before."""
    await court.storage.put_payload(OWNER, await mark_of(court, "killer"), str(TRIALS).encode())
    last = EngineSettings().max_deliveries
    await court.judge("killer", last)
    assert (court.begun, court.condemned) == ([], [])
    assert await court.put_back() == ["killer"]
    await court.judge("killer")
    assert court.condemned == ["killer"]
    assert await court.storage.list_payloads(OWNER) == []


async def test_what_ends_the_process_even_as_it_is_condemned_is_not_put_back_for_ever(court):
    async def attempt():
        raise ValueError("no use")

    async def condemn():
        court.condemned.append("killer")
        raise ProcessEnded

    for _ in range(CONDEMNATIONS):
        with pytest.raises(ProcessEnded):
            await court.suspects.judge("killer", QUEUE, 1, attempt, condemn)
    last = EngineSettings().max_deliveries
    with pytest.raises(ProcessEnded):
        await court.suspects.judge("killer", QUEUE, last, attempt, condemn)
    assert await court.put_back() == []


async def mark_of(court, body):
    court.deadly.add(body)
    (running,) = await begin(court, body)
    (mark,) = await court.storage.list_payloads(OWNER)
    await court.die(running)
    court.begun.clear()
    return mark


async def test_who_waits_too_long_in_line_is_put_back(court, monkeypatch):
    monkeypatch.setattr("perdure.engine.suspects._LONGEST_WAIT_IN_LINE", 0.01)
    court.deadly = {"long"}
    (running,) = await begin(court, "long")
    await court.judge("other")
    assert await court.put_back() == ["other"]
    court.going_on.set()
    await running
    assert court.survived == ["long"]


async def test_what_has_been_delivered_before_waits_for_the_end_of_a_trial(court):
    court.deadly = {"long"}
    (running,) = await begin(court, "long")
    done = []

    async def process(dequeue_count):
        async with court.suspects.trials.beside(dequeue_count):
            done.append(dequeue_count)

    again = asyncio.create_task(process(2))
    await process(1)
    assert done == [1]
    court.going_on.set()
    await asyncio.gather(running, again)
    assert done == [1, 2]


async def test_a_trial_waits_for_what_has_been_delivered_before(court):
    async with court.suspects.trials.beside(2):
        waiting = asyncio.create_task(court.judge("suspect"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert court.begun == []
        assert await court.storage.list_payloads(OWNER) == [], "it is not on trial yet"
    await waiting
    assert court.survived == ["suspect"]


@pytest.mark.parametrize("error", [StorageUnavailable("away"), WorkerStopped("stops"), AnchorLost("taken over")])
async def test_what_is_no_fault_of_the_message_is_no_trial(court, error):
    async def attempt():
        raise error

    async def condemn():
        court.condemned.append("condemned")

    for _ in range(TRIALS + 1):
        with pytest.raises(type(error)):
            await court.suspects.judge("message", QUEUE, 1, attempt, condemn)
    assert court.condemned == []


async def test_what_raises_is_condemned_at_once(court):
    async def attempt():
        raise ValueError("no use")

    async def condemn():
        court.condemned.append("condemned")

    await court.suspects.judge("message", QUEUE, 1, attempt, condemn)
    assert court.condemned == ["condemned"]
    assert await court.storage.list_payloads(OWNER) == []
