"""Rows, pieces of history and payloads that are damaged or gone: what depends on them is seen, and the rest goes on.

Here messages go the whole way: five deliveries, the queue for poison messages, and what is done there.
"""

from __future__ import annotations

import asyncio

import pytest

from perdure.client import Client
from perdure.core.codec import encode_message
from perdure.core.messages import ActivityCall, RaiseEvent, Start, WorkItem
from perdure.engine.hub import poison_queue
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadMissing

LARGE = "x" * 70_000
GARBAGE = b"\x01garbage"


@pytest.fixture
async def client(hub):
    """A client of a hub whose poison queues are served, too."""

    @hub.orchestrator
    def waits(context):
        for _ in range(3):
            yield context.wait_for_external_event("step")
        return (yield context.wait_for_external_event("go"))

    @hub.orchestrator
    def bystander(context):
        return (yield context.call_activity("double", context.get_input()))

    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("waits", None, f"{context.instance_id}-child"))

    @hub.orchestrator
    def echo(context):
        return context.get_input()

    @hub.activity
    def double(number):
        return 2 * number

    worker = await hub.add_worker()
    await worker.serve_poison()
    return Client(hub.storage)


async def stepping(hub, instance_id, steps=3):
    """An instance that has had some turns; no worker has it in memory."""
    await hub.start("waits", instance_id=instance_id)
    for number in range(steps):
        await hub.reaches(instance_id, lambda instance: instance.status == "Running")
        await hub.raise_event(instance_id, "step")
        await hub.turns(instance_id, number + 2)


async def forget_sessions(hub):
    await hub.quiet()
    await hub.workers.pop().stop()
    worker = await hub.add_worker()
    await worker.serve_poison()


async def damage(hub, instance_id, *, head=None, turn=None):
    """Write garbage into a row; returns the row as it was."""
    row = await hub.storage.read(instance_id)
    good = await hub.storage.read(instance_id)
    if head is not None:
        row.head = head
    if turn is not None:
        row.tail[0] = turn
    await hub.storage.replace(row)
    return good


async def mend(hub, good):
    row = await hub.storage.read(good.instance.instance_id)
    row.head, row.tail, row.segments = good.head, good.tail, good.segments
    await hub.storage.replace(row)


async def parked(client, number=1):
    async with asyncio.timeout(10):
        while True:
            messages = (await client.list_poison_messages()).messages
            if len(messages) >= number:
                assert len(messages) == number
                return messages
            await asyncio.sleep(0.02)


async def said_of(client, message):
    """The status of a parked message's instance: it says so a moment after the message is listed."""
    async with asyncio.timeout(10):
        while True:
            status = await client.get_status(message.instance_id, show_input=True)
            if message.id in (status.reason or ""):
                return status
            await asyncio.sleep(0.02)


async def others_go_on(hub):
    assert await hub.output(await hub.start("bystander", 21)) == 42


@pytest.mark.parametrize("damaged", [{"turn": GARBAGE}, {"head": GARBAGE}, {"turn": b""}, {"head": b"\x02gone"}])
async def test_an_instance_whose_row_is_damaged_waits_until_it_is_mended(hub, client, damaged):
    await stepping(hub, "hurt")
    await forget_sessions(hub)
    good = await damage(hub, "hurt", **damaged)
    await hub.raise_event("hurt", "go", 7)
    await others_go_on(hub)
    (message,) = await parked(client)
    assert message.instance_id == "hurt"
    assert "can't be read" in message.reason or "gone" in message.reason
    status = await said_of(client, message)
    assert status.runtime_status == "Running"
    assert {each.instance_id for each in await client.get_status_all()} > {"hurt"}
    with pytest.raises((StoredDataError, PayloadMissing)):
        await client.get_status("hurt", show_history=True)

    await mend(hub, good)
    await client.retry_poison_message(message.id)
    assert await hub.output("hurt") == 7
    assert (await client.get_status("hurt")).reason is None


async def test_an_instance_whose_history_is_gone_does_not_run_from_the_start_again(hub, client):
    await stepping(hub, "hurt")
    await forget_sessions(hub)
    row = await hub.storage.read("hurt")
    good = await hub.storage.read("hurt")
    row.tail = []
    await hub.storage.replace(row)
    await hub.raise_event("hurt", "go", 7)
    (message,) = await parked(client)
    assert "its history is gone" in message.reason
    assert (await hub.storage.read("hurt")).tail == []

    await mend(hub, good)
    await client.retry_poison_message(message.id)
    assert await hub.output("hurt") == 7


async def test_an_instance_that_cannot_be_mended_can_be_terminated_and_purged(hub, client):
    parent_id = await hub.start("parent", instance_id="root")
    await hub.reaches("root", lambda instance: instance.status == "Running")
    async with asyncio.timeout(10):
        while (child := await hub.storage.read("root-child")) is None or not child.tail:
            await asyncio.sleep(0.01)
    await forget_sessions(hub)
    await damage(hub, "root-child", turn=GARBAGE)
    await client.terminate("root-child", "beyond repair")
    ended = await hub.ended("root-child")
    assert (ended.status, ended.output, ended.reason) == ("Terminated", '"beyond repair"', None)
    failed = await hub.ended(parent_id)
    assert "what is stored of it can't be read" in failed.output
    await client.purge_instance_history("root-child")
    assert await hub.storage.read("root-child") is None
    assert (await client.list_poison_messages()).messages == []


async def test_messages_for_a_row_that_cannot_be_read_at_all_are_parked(hub, client):
    await stepping(hub, "hurt", 0)
    await forget_sessions(hub)
    read, damaged = hub.storage.read, asyncio.Event()

    async def reading(instance_id):
        if instance_id == "hurt" and not damaged.is_set():
            raise StoredDataError("the row of instance 'hurt' is damaged")
        return await read(instance_id)

    hub.storage.read = reading
    await hub.engine.mail.send(RaiseEvent(to="hurt", id="m", name="step", data=None))
    (message,) = await parked(client)
    assert (message.instance_id, message.reason) == ("hurt", "the row of instance 'hurt' is damaged")
    await others_go_on(hub)
    damaged.set()
    await client.retry_poison_message(message.id)
    await hub.turns("hurt", 2)


async def test_activities_of_an_instance_that_is_damaged_are_parked(hub, client):
    await stepping(hub, "hurt", 0)
    await hub.turns("hurt", 1)
    row = await damage(hub, "hurt", turn=GARBAGE)
    item = WorkItem(
        instance_id="hurt",
        execution=f"{row.instance.execution_id}.0",
        calls=[ActivityCall(0, "double", "1")],
        again=True,
    )
    await hub.engine.mail.send(item)
    (message,) = await parked(client)
    assert (message.kind, message.instance_id) == ("WorkItem", "hurt")
    await others_go_on(hub)


@pytest.mark.parametrize(
    ("stored", "told"),
    [(None, "gone: payload '{}' does not exist"), (b'"\xff"', "damaged: payload '{}' can't be read")],
)
async def test_an_instance_whose_input_has_vanished_says_so(hub, client, stored, told):
    instance_id = hub.engine.new_id()
    datum = await hub.engine.payloads.offload(instance_id, f'"{LARGE}"')
    row = hub.engine.starting.row(instance_id, "echo", execution_id="e", input_=datum)
    if stored is None:
        await hub.storage.delete_payloads(instance_id, [datum[1:]])
    else:
        await hub.storage.put_payload(instance_id, datum[1:], stored)
    await hub.engine.starting.insert(row)
    await hub.engine.mail.send(Start(to=instance_id, id="s", execution_id="e"))
    (message,) = await parked(client)
    assert message.instance_id == instance_id
    status = await said_of(client, message)
    assert status.runtime_status == "Pending"
    assert f"its input is {told.format(datum[1:])}" in status.reason
    assert status.input_ is None
    await others_go_on(hub)
    listed = {each.instance_id: each for each in await client.get_status_all()}
    assert listed[instance_id].reason is not None

    await hub.storage.put_payload(instance_id, datum[1:], f'"{LARGE}"'.encode())
    await client.retry_poison_message(message.id)
    assert await hub.output(instance_id) == LARGE


async def test_a_parent_learns_that_its_childs_result_has_vanished(hub, client):
    """Its report can't be made: the message that would have it made again is parked, and can be sent again."""

    @hub.orchestrator
    def family(context):
        return len((yield context.call_sub_orchestrator("echo", LARGE, "child")))

    storage, vanished = hub.storage, asyncio.Event()
    get = storage.get_payload

    async def get_payload(instance_id, payload_id):
        if instance_id == "child" and not payload_id.startswith("start-") and not vanished.is_set():
            raise PayloadMissing(f"payload '{payload_id}' of instance '{instance_id}' does not exist")
        return await get(instance_id, payload_id)

    storage.get_payload = get_payload
    instance_id = await hub.start("family")
    (message,) = await parked(client)
    assert message.instance_id == "child"
    assert "does not exist" in message.reason
    await others_go_on(hub)
    vanished.set()
    await client.retry_poison_message(message.id)
    assert await hub.output(instance_id) == 70_000


async def test_the_last_delivery_that_the_host_makes_parks(hub, client):
    """Whoever received the others did not come to an end with them."""
    instance_id = await hub.start("waits")
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    start = (await hub.turns(instance_id, 1)).instance
    message = Start(to=instance_id, id=f"{start.execution_id}/start", execution_id=start.execution_id)
    await hub.engine.handle_poisoned_control(encode_message(message), "q", 5)
    item = WorkItem(instance_id=instance_id, execution="e.0", calls=[ActivityCall(0, "double", "1")])
    await hub.engine.handle_poisoned_work(encode_message(item), "q", 5)
    assert {each.kind for each in await parked(client, 2)} == {"Start", "WorkItem"}


async def test_what_the_host_has_left_in_a_poison_queue_is_found(hub):
    worker = await hub.add_worker()
    client = Client(hub.storage)
    queue = poison_queue(worker.engine.queues.control[0])
    await hub.storage.create_queue(queue)
    await hub.storage.send(queue, "left")
    for _ in range(5):
        (message,) = await hub.storage.receive(queue, count=1, invisibility=60)
        await hub.storage.extend(queue, message.message_id, message.receipt, invisibility=0)
    await hub.storage.send(queue, "new")
    (found,) = (await client.list_poison_messages()).messages
    assert (found.body, found.kind) == ("left", "Unreadable")
    (message,) = await hub.storage.receive(queue, count=32, invisibility=60)
    assert message.body == "new"
