import asyncio

import pytest

from perdure.storage.protocol import QueueMissing


async def test_a_message_is_received_and_deleted(provider, storage, queue):
    sent = await storage.send(queue, "hello")

    message = await provider.receive_one(storage, queue)
    assert (message.message_id, message.body, message.dequeue_count) == (sent.message_id, "hello", 1)
    assert await storage.receive(queue, count=1, invisibility=30) == []
    assert await storage.queue_length(queue) == 1

    assert await storage.delete_message(queue, message.message_id, message.receipt)
    assert await storage.queue_length(queue) == 0
    assert not await storage.delete_message(queue, message.message_id, message.receipt)


@pytest.mark.parametrize(
    "body",
    ["", "[1]", "<xml>&amp;</xml>", "ünï 🐁\r\n\t ", "]]>", "é" * (24 * 1024), "x" * (48 * 1024), " lead and trail "],
    ids=["empty", "json", "xml", "unicode", "cdata", "full non-ascii", "full ascii", "spaces"],
)
async def test_a_body_comes_back_as_it_was_sent(provider, storage, queue, body):
    assert len(body.encode()) <= storage.max_message_bytes
    await storage.send(queue, body)

    assert (await provider.receive_one(storage, queue)).body == body


async def test_a_body_that_is_too_large_is_refused(storage, queue):
    with pytest.raises(ValueError, match=str(storage.max_message_bytes)):
        await storage.send(queue, "é" * (storage.max_message_bytes // 2) + "x")


async def test_messages_come_in_batches(provider, storage, queue):
    bodies = {str(number) for number in range(40)}
    await asyncio.gather(*(storage.send(queue, body) for body in bodies))

    first = await storage.receive(queue, count=32, invisibility=30)
    rest = await storage.receive(queue, count=32, invisibility=30)

    assert (len(first), len(rest)) == (32, 8)
    assert {message.body for message in first + rest} == bodies
    assert len({message.message_id for message in first + rest}) == 40


async def test_a_delayed_message_comes_later(provider, storage, queue):
    await storage.send(queue, "later", delay=3600)
    await storage.send(queue, "soon", delay=1)
    await storage.send(queue, "now")

    assert (await provider.receive_one(storage, queue)).body == "now"
    assert await storage.queue_length(queue) == 3
    assert (await provider.receive_one(storage, queue)).body == "soon"
    assert await storage.receive(queue, count=32, invisibility=30) == []


async def test_looking_at_messages_is_no_delivery(provider, storage, queue):
    await storage.send(queue, "first")
    await storage.send(queue, "hidden", delay=3600)
    message = await provider.receive_one(storage, queue)
    assert await storage.peek(queue, count=32) == []
    await storage.extend(queue, message.message_id, message.receipt, invisibility=0)
    for _ in range(2):
        (seen,) = await storage.peek(queue, count=32)
        assert (seen.body, seen.dequeue_count, seen.receipt) == ("first", 1, "")
    again = await provider.receive_one(storage, queue)
    assert (again.message_id, again.dequeue_count) == (seen.message_id, 2)
    assert await storage.peek(queue, count=1) == []


async def test_no_more_than_a_batch_can_be_looked_at(storage, queue):
    for count in (0, 33):
        with pytest.raises(ValueError, match="1 to 32"):
            await storage.peek(queue, count=count)


async def test_a_message_can_wait_for_seven_days(storage, queue):
    await storage.send(queue, "much later", delay=7 * 24 * 3600)

    assert await storage.receive(queue, count=1, invisibility=30) == []
    assert await storage.queue_length(queue) == 1


async def test_a_message_comes_again_when_its_invisibility_expires(provider, storage, queue):
    await storage.send(queue, "again")
    first = await provider.receive_one(storage, queue, invisibility=1)

    second = await provider.receive_one(storage, queue, invisibility=1)
    third = await provider.receive_one(storage, queue)

    assert {m.message_id for m in (second, third)} == {first.message_id}
    assert [m.dequeue_count for m in (first, second, third)] == [1, 2, 3]
    assert len({m.receipt for m in (first, second, third)}) == 3
    assert third.body == "again"


async def test_a_stale_receipt_does_nothing(provider, storage, queue):
    await storage.send(queue, "again")
    first = await provider.receive_one(storage, queue, invisibility=1)
    second = await provider.receive_one(storage, queue)

    assert not await storage.delete_message(queue, first.message_id, first.receipt)
    assert await storage.extend(queue, first.message_id, first.receipt, invisibility=0) is None

    assert await storage.queue_length(queue) == 1
    assert await storage.receive(queue, count=1, invisibility=30) == []
    assert await storage.delete_message(queue, second.message_id, second.receipt)


async def test_an_extension_renews_invisibility_and_receipt(provider, storage, queue):
    await storage.send(queue, "long work")
    message = await provider.receive_one(storage, queue, invisibility=2)

    receipt = await storage.extend(queue, message.message_id, message.receipt, invisibility=3600)

    assert receipt not in (None, message.receipt)
    await provider.pass_time(2.1)
    assert await storage.receive(queue, count=1, invisibility=30) == []
    assert not await storage.delete_message(queue, message.message_id, message.receipt)
    assert await storage.delete_message(queue, message.message_id, receipt)


async def test_an_extension_by_nothing_gives_the_message_back(provider, storage, queue):
    await storage.send(queue, "later")
    message = await provider.receive_one(storage, queue, invisibility=3600)

    assert await storage.extend(queue, message.message_id, message.receipt, invisibility=0) is not None

    again = await provider.receive_one(storage, queue)
    assert (again.message_id, again.body, again.dequeue_count) == (message.message_id, "later", 2)


async def test_a_message_that_is_gone_can_be_neither_extended_nor_deleted(provider, storage, queue):
    await storage.send(queue, "x")
    message = await provider.receive_one(storage, queue)
    await storage.delete_message(queue, message.message_id, message.receipt)

    assert await storage.extend(queue, message.message_id, message.receipt, invisibility=10) is None
    assert not await storage.delete_message(queue, message.message_id, message.receipt)


async def test_a_sent_message_can_be_deleted_before_anybody_received_it(storage, queue):
    for delay in (0, 30):
        sent = await storage.send(queue, "safety net", delay=delay)

        assert await storage.delete_message(queue, sent.message_id, sent.receipt)

    assert await storage.queue_length(queue) == 0


async def test_a_sent_message_can_be_made_visible_at_once(provider, storage, queue):
    sent = await storage.send(queue, "safety net", delay=3600)

    receipt = await storage.extend(queue, sent.message_id, sent.receipt, invisibility=0)

    assert receipt is not None
    assert (await provider.receive_one(storage, queue)).body == "safety net"
    assert not await storage.delete_message(queue, sent.message_id, receipt)


async def test_the_receipt_of_a_sent_message_is_stale_once_it_was_received(provider, storage, queue):
    sent = await storage.send(queue, "x")
    await provider.receive_one(storage, queue)

    assert not await storage.delete_message(queue, sent.message_id, sent.receipt)
    assert await storage.extend(queue, sent.message_id, sent.receipt, invisibility=0) is None


async def test_receivers_at_the_same_time_get_different_messages(provider, storage, queue):
    await asyncio.gather(*(storage.send(queue, str(number)) for number in range(30)))
    others = [provider.open(storage.hub) for _ in range(3)]

    batches = await asyncio.gather(
        *(each.receive(queue, count=4, invisibility=30) for each in (storage, *others) for _ in range(2))
    )

    received = [message.body for batch in batches for message in batch]
    assert len(received) == len(set(received)) == 30


async def test_queues_are_apart(provider, storage, queue):
    other = queue + "-2"
    await storage.create_queue(other)
    sent = await storage.send(other, "x")

    assert await storage.receive(queue, count=1, invisibility=30) == []
    assert not await storage.delete_message(queue, sent.message_id, sent.receipt)
    assert (await provider.receive_one(storage, other)).body == "x"


async def test_creating_a_queue_again_keeps_its_messages(provider, storage, queue):
    await storage.send(queue, "x")

    await asyncio.gather(*(provider.open(storage.hub).create_queue(queue) for _ in range(4)))

    assert (await provider.receive_one(storage, queue)).body == "x"


async def test_a_queue_is_deleted_with_its_messages(storage, queue):
    await storage.send(queue, "x")

    await storage.delete_queue(queue)
    await storage.delete_queue(queue)

    for call in (
        storage.send(queue, "x"),
        storage.receive(queue, count=1, invisibility=30),
        storage.peek(queue, count=1),
        storage.queue_length(queue),
    ):
        with pytest.raises(QueueMissing, match=queue):
            await call
    assert not await storage.delete_message(queue, "some-id", "some-receipt")
    assert await storage.extend(queue, "some-id", "some-receipt", invisibility=1) is None


@pytest.mark.parametrize("name", ["", "ab", "Upper", "under_score", "-a-", "abc-", "a--b", "x" * 64, "a/b", "abc\n"])
async def test_a_queue_name_follows_azures_rule(storage, name):
    with pytest.raises(ValueError):
        await storage.create_queue(name)


async def test_limits_of_receiving_and_hiding(storage, queue):
    for count in (0, 33):
        with pytest.raises(ValueError):
            await storage.receive(queue, count=count, invisibility=30)
    for seconds in (-1, 7 * 24 * 3600 + 1):
        with pytest.raises(ValueError):
            await storage.send(queue, "x", delay=seconds)
        with pytest.raises(ValueError):
            await storage.receive(queue, count=1, invisibility=seconds)
        with pytest.raises(ValueError):
            await storage.extend(queue, "id", "receipt", invisibility=seconds)
