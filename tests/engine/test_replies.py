"""Outcomes that come close together share a message."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core.failure import Failure
from perdure.core.messages import Completion
from perdure.engine.replies import Replies
from perdure.storage.protocol import StorageUnavailable

ROOM = 48 * 1024


class Mail:
    """Sends one message at a time, when told to."""

    def __init__(self) -> None:
        self.sent = []
        self.sending = asyncio.Semaphore(0)
        self.failing = 0

    async def send(self, message):
        await self.sending.acquire()
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable("the store is away")
        self.sent.append(message)

    def let_through(self, messages=1):
        for _ in range(messages):
            self.sending.release()


async def sent(replies, *outcomes, to="one", execution="e.0"):
    """Begin to send outcomes, each by itself; return the tasks."""
    tasks = [asyncio.create_task(replies.send(to, execution, [outcome])) for outcome in outcomes]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def numbers(mail):
    return [[item.no for item in message.items] for message in mail.sent]


async def test_one_waits_for_nothing_and_those_that_come_meanwhile_share_the_next():
    mail = Mail()
    replies = Replies(mail, ROOM)
    first = await sent(replies, Completion(7, "1"))
    others = await sent(replies, *(Completion(no, "2") for no in (5, 3, 4)))
    elsewhere = await sent(replies, Completion(3, "3"), execution="e.1")
    mail.let_through(2)
    await asyncio.gather(*first, *elsewhere)
    assert not any(task.done() for task in others), "their message has not been sent"
    mail.let_through()
    await asyncio.gather(*others)

    assert numbers(mail) == [[7], [3], [3, 4, 5]]
    assert [(message.to, message.id) for message in mail.sent] == [
        ("one", "e.0/done/7"), ("one", "e.1/done/3"), ("one", "e.0/done/3-5"),
    ]  # fmt: skip


async def test_after_a_pause_the_next_one_waits_for_nothing_again():
    mail = Mail()
    replies = Replies(mail, ROOM)
    mail.let_through(2)
    await replies.send("one", "e.0", [Completion(1, "1")])
    await replies.send("one", "e.0", [Completion(2, "2")])
    assert numbers(mail) == [[1], [2]]


async def test_no_message_outgrows_the_queue():
    mail = Mail()
    replies = Replies(mail, ROOM)
    mail.let_through(10)
    outcomes = [Completion(no, '"' + "\\n" * 7_000 + '"') for no in range(5)]
    outcomes.append(Completion(5, failure=Failure("E", "x" * 40_000)))
    await replies.send("one", "e.0", outcomes)
    assert numbers(mail) == [[0, 1], [2, 3], [4], [5]]


async def test_a_message_brings_a_hundred_at_most():
    mail = Mail()
    mail.let_through(10)
    await Replies(mail, ROOM).send("one", "e.0", [Completion(no, "1") for no in range(250)])
    assert [len(items) for items in numbers(mail)] == [100, 100, 50]


async def test_who_shares_a_message_that_can_not_be_sent_is_told_and_nobody_else():
    mail = Mail()
    replies = Replies(mail, ROOM)
    first = await sent(replies, Completion(0, "1"))
    others = await sent(replies, Completion(1, "1"), Completion(2, "1"))
    mail.let_through()
    await asyncio.gather(*first)
    mail.failing = 1
    mail.let_through()
    for other in others:
        with pytest.raises(StorageUnavailable):
            await other
    mail.let_through()
    await replies.send("one", "e.0", [Completion(1, "1")])
    assert numbers(mail) == [[0], [1]]


async def test_what_nobody_waits_for_any_more_is_not_sent():
    mail = Mail()
    replies = Replies(mail, ROOM)
    (first,) = await sent(replies, Completion(0, "1"))
    given_up, other = await sent(replies, Completion(1, "1"), Completion(2, "1"))
    given_up.cancel()
    mail.let_through(2)
    await asyncio.gather(first, other)
    assert numbers(mail) == [[0], [2]]
