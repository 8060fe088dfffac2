"""Activities that write to durable streams, over every provider."""

import asyncio
import threading

import pytest

from perdure.client import Client, SyncClient
from perdure.engine.registry import activity_context
from tests.streaming.conftest import said


async def items_of(client, instance_id, name="talk"):
    async with asyncio.timeout(30):
        return [said(item) async for item in client.stream(instance_id, name)]


async def test_activities_of_one_orchestration_write_one_stream(hub):
    @hub.orchestrator
    def talk(context):
        yield context.call_activity("say", ["a", "b"])
        yield context.call_activity("shout", ["c", "d"])
        return "said"

    @hub.activity
    async def say(words):
        async with activity_context().stream("talk") as stream:
            for word in words:
                await stream.write(word)

    @hub.activity
    def shout(words):
        assert threading.current_thread() is not threading.main_thread()
        with activity_context().stream("talk") as stream:
            for word in words:
                stream.write(word.upper())
            stream.finish("goodbye")

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    instance_id = await client.start_new("talk")

    assert await items_of(client, instance_id) == ["a", "b", "C", "D", "end: completed goodbye"]
    assert await hub.output(instance_id) == "said"
    await client.purge_instance_history(instance_id)
    assert await hub.storage.list_payloads(instance_id) == []


async def test_a_reader_hears_what_is_said_while_the_activity_goes_on(hub):
    heard = asyncio.Event()

    @hub.orchestrator
    def talk(context):
        yield context.call_activity("say")

    @hub.activity
    async def say(_):
        async with activity_context().stream("talk") as stream:
            await stream.write("first")
            await heard.wait()
            await stream.write("second")

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    items = aiter(client.stream(await client.start_new("talk"), "talk"))

    async with asyncio.timeout(30):
        assert (await anext(items)).data == "first"
        heard.set()
        assert [said(item) async for item in items] == ["second", "end: completed None"]


async def test_an_attempt_that_fails_is_void_once_the_next_one_speaks(hub):
    attempts = []

    @hub.orchestrator
    def talk(context):
        from perdure.core.retry import RetryOptions

        return (yield context.call_activity_with_retry("say", RetryOptions(1, 3)))

    @hub.activity
    async def say(_):
        async with activity_context().stream("talk") as stream:
            attempts.append(stream.attempt)
            await stream.write(f"attempt {len(attempts)}")
            if len(attempts) < 3:
                raise ValueError("broken line")
            await stream.complete("heard")
        return stream.result or "heard"

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    instance_id = await client.start_new("talk")

    assert await items_of(client, instance_id) == [
        "attempt 1",
        "restart: 1",
        "attempt 2",
        "restart: 1",
        "attempt 3",
        "end: completed None",
    ]
    assert attempts == [1, 2, 3]


async def test_a_stream_of_a_terminated_orchestration_ends(hub):
    begun = asyncio.Event()

    @hub.orchestrator
    def talk(context):
        yield context.call_activity("say")
        yield context.wait_for_external_event("never")

    @hub.activity
    async def say(_):
        async with activity_context().stream("talk") as stream:
            await stream.write("x")
        begun.set()

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    instance_id = await client.start_new("talk")
    await begun.wait()
    await client.terminate(instance_id, "enough")

    said_ = await items_of(client, instance_id)

    assert said_ == ["x", f"end: terminated instance '{instance_id}' has ended: Terminated"]


async def test_the_streams_of_an_entity_go_with_it(hub):
    from perdure.engine.deleting import delete_instance

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    hub.registry.entities.add("chat", _chat())
    async with client.open_stream("@chat@1", "talk", step="turn-1") as stream:
        for number in range(30):
            await stream.write(number)
            await stream.flush()
        await stream.finish()
    await client.signal_entity("@chat@1", "set")
    await hub.quiet()
    row = await hub.storage.read("@chat@1")
    await hub.storage.put_payload("@chat@1", "0123", b"the input of a signal under way")

    assert len(await items_of(client, "@chat@1")) == 31
    assert await delete_instance(hub.storage, row)

    assert await hub.storage.list_payloads("@chat@1") == ["0123"]


def _chat():
    from perdure.core.entities.performing import EntityDefinition

    def chat(context):
        context.set_state(1)

    return EntityDefinition(chat)


async def test_a_stream_can_be_deleted_before_its_instance(hub):
    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    async with client.open_stream("@chat@1", "old", step="turn-1") as stream:
        await stream.write(1)
    async with client.open_stream("@chat@1", "old-too", step="turn-1") as stream:
        await stream.write(1)

    assert await client.delete_stream("@chat@1", "old") == 2
    assert await client.delete_stream("@chat@1", "old") == 0

    assert len(await hub.storage.list_payloads("@chat@1")) == 2


async def test_threads_read_streams_with_the_sync_client(hub):
    @hub.orchestrator
    def talk(context):
        yield context.call_activity("say")

    @hub.activity
    def say(_):
        with activity_context().stream("talk") as stream:
            stream.write("x")

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    sync_client = SyncClient(client, asyncio.get_running_loop())
    instance_id = await client.start_new("talk")

    def write():
        with sync_client.open_stream("@chat@1", "talk", step="t") as stream:
            stream.write("y")
        with sync_client.open_stream("@chat@1", "talk", step="t") as stream:
            return stream.finished

    assert await asyncio.to_thread(write)
    found = await asyncio.to_thread(lambda: [said(item) for item in sync_client.stream(instance_id, "talk")])
    page = await asyncio.to_thread(sync_client.read_stream, instance_id, "talk")

    assert found == ["x", "end: completed None"]
    assert [said(item) for item in page.items] == ["x"]


async def test_outside_of_a_worker_there_is_no_stream():
    from perdure.engine.registry import ActivityContext

    with pytest.raises(LookupError, match="AppHarness"):
        ActivityContext("one", "x.0", 1, "say").stream("talk")
