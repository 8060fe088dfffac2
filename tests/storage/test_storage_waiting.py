"""Waiting for a message without polling: the providers in this process can say when to look."""

import asyncio

import pytest

from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_queues
from perdure.storage.protocol import Notifies, NotifiesOfSends, QueueMissing
from tests.storage.providers import memory_provider, new_hub, sqlite_provider


@pytest.fixture(params=["memory", "sqlite-file", "sqlite-memory"])
async def provider(request, tmp_path):
    match request.param:
        case "memory":
            provider = memory_provider()
        case "sqlite-file":
            provider = sqlite_provider(tmp_path / "store.db")
        case _:
            provider = sqlite_provider(None)
    yield provider
    await provider.close()


async def start_waiting(storage, queue, seconds=60):
    assert isinstance(storage, Notifies)
    waiting = asyncio.create_task(storage.wait_for_message(queue, seconds))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    return waiting


async def test_waiting_ends_when_anybody_in_the_process_sends(provider, storage, queue):
    waiting = await start_waiting(storage, queue)

    await provider.open(new_hub()).send(queue, "x")

    await asyncio.wait_for(waiting, 10)
    assert len(await storage.receive(queue, count=1, invisibility=30)) == 1


async def test_waiting_ends_at_once_when_there_is_something(storage, queue):
    await storage.send(queue, "x")

    await asyncio.wait_for(storage.wait_for_message(queue, 60), 10)


async def test_waiting_ends_when_a_message_becomes_due(provider, storage, queue):
    await storage.send(queue, "x", delay=0.2)
    waiting = await start_waiting(storage, queue)

    await provider.pass_time(0.2)

    await asyncio.wait_for(waiting, 10)
    assert len(await storage.receive(queue, count=1, invisibility=30)) == 1


async def test_waiting_ends_when_a_message_is_given_back(provider, storage, queue):
    await storage.send(queue, "x")
    message = await provider.receive_one(storage, queue)
    waiting = await start_waiting(storage, queue)

    await storage.extend(queue, message.message_id, message.receipt, invisibility=0)

    await asyncio.wait_for(waiting, 10)


async def test_messages_of_other_queues_and_of_later_wake_nobody(storage, queue):
    await storage.create_queue(queue + "-2")
    loop = asyncio.get_running_loop()
    waiting = await start_waiting(storage, queue, seconds=0.5)
    begin = loop.time()

    await storage.send(queue + "-2", "x")
    await storage.send(queue, "x", delay=3600)
    await asyncio.wait_for(waiting, 10)

    assert loop.time() - begin >= 0.3


async def test_many_may_wait_and_some_may_give_up(storage, queue):
    waiting = [await start_waiting(storage, queue) for _ in range(3)]
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)

    await storage.send(queue, "x")

    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 10)


async def test_a_missing_queue_is_reported(storage):
    with pytest.raises(QueueMissing):
        await storage.wait_for_message("no-such-queue", 1)


@pytest.mark.azurite
async def test_azure_tells_of_what_this_process_sends(azurite):
    connection = resolve_connection("Storage", {"Storage": azurite.connection_string})
    sender, receiver = (open_queues(connection) for _ in range(2))
    assert isinstance(receiver, NotifiesOfSends)
    await sender.create_queue("orders")
    await receiver.wait_for_send("orders", 0)
    waiting = asyncio.create_task(receiver.wait_for_send("orders", 60))

    await sender.send("orders", "later", delay=5)
    assert not waiting.done()
    await sender.send("orders", "x")

    await asyncio.wait_for(waiting, 10)
    await sender.send("orders", "while nobody waits")
    await asyncio.wait_for(receiver.wait_for_send("orders", 60), 10)
    [message] = await sender.receive("orders", count=1, invisibility=30)
    waiting = asyncio.create_task(receiver.wait_for_send("orders", 60))
    await sender.extend("orders", message.message_id, message.receipt, invisibility=0)
    await asyncio.wait_for(waiting, 10)
    for each in (sender, receiver):
        await each.close()
