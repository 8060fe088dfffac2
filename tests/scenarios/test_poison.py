"""What can't be processed ends in a clear, visible state, and the rest of the hub goes on."""

from __future__ import annotations

import json

import pytest

from perdure.client import Client
from perdure.core.codec import encode_message
from perdure.core.messages import RaiseEvent
from perdure.engine.parking import OWNER
from perdure.errors import PoisonMessageNotFoundError

LARGE = json.dumps("x" * 70_000)
NO_MESSAGES = ["", "{}", "no json", '["event"]', '["overflow","someone","gone"]', "\u4e2d\u0000\u202e"]


@pytest.fixture
async def client(hub):
    """A client; the hub has an orchestrator that waits for an event, and one that ends at once."""

    @hub.orchestrator
    def waits(context):
        return (yield context.wait_for_external_event("go"))

    @hub.orchestrator
    def bystander(context):
        return (yield context.call_activity("double", context.get_input()))

    @hub.activity
    def double(number):
        return 2 * number

    await hub.add_worker()
    return Client(hub.storage)


async def waiting(hub, instance_id=None):
    instance_id = await hub.start("waits", instance_id=instance_id)
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    return instance_id


async def parked(client, number=1):
    messages = (await client.list_poison_messages()).messages
    assert len(messages) == number
    return messages if number != 1 else messages[0]


async def others_go_on(hub):
    assert await hub.output(await hub.start("bystander", 21)) == 42


def event(instance_id, data="1", message_id="bad", name="go"):
    return RaiseEvent(to=instance_id, id=message_id, name=name, data=data)


async def test_a_message_that_cannot_be_processed_is_parked_and_sent_again(hub, client):
    instance_id = await waiting(hub)
    await hub.engine.handle_poisoned_control(encode_message(event(instance_id)), "q1")
    message = await parked(client)
    assert (message.kind, message.instance_id) == ("RaiseEvent", instance_id)
    assert "could not be processed in 5 deliveries" in message.reason
    status = await client.get_status(instance_id)
    assert status.reason.startswith(f"parked: 1 message could not be processed ({message.id})")
    await others_go_on(hub)

    await client.retry_poison_message(message.id)
    assert await hub.output(instance_id) == 1
    assert (await client.get_status(instance_id)).reason is None
    await parked(client, 0)
    await hub.quiet()


async def test_a_process_that_dies_while_it_parks_parks_once(hub, client):
    instance_id = await waiting(hub)
    for count in (1, 2):  # nobody acknowledged the first one
        await hub.engine.handle_poisoned_control(encode_message(event(instance_id)), "q1", count)
    message = await parked(client)
    assert (await client.get_status(instance_id)).reason.count(message.id) == 1


async def test_a_process_that_dies_while_it_retries_has_sent_the_message(hub, client):
    instance_id = await waiting(hub)
    await hub.engine.handle_poisoned_control(encode_message(event(instance_id)), "q1")
    message = await parked(client)
    entry = await hub.storage.get_payload(OWNER, message.id)
    await client.retry_poison_message(message.id)
    await hub.storage.put_payload(OWNER, message.id, entry)
    assert await hub.output(instance_id) == 1
    await client.retry_poison_message(message.id)
    await hub.quiet()
    await parked(client, 0)


async def test_a_status_tells_of_what_is_parked_through_other_turns(hub, client):
    @hub.orchestrator
    def twice(context):
        yield context.wait_for_external_event("one")
        context.set_custom_status("one")
        return (yield context.wait_for_external_event("two"))

    instance_id = await hub.start("twice")
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    for number in range(2):
        message = event(instance_id, message_id=f"bad{number}", name="two")
        await hub.engine.handle_poisoned_control(encode_message(message), f"q{number}")
    first, second = await parked(client, 2)
    await hub.raise_event(instance_id, "one")
    moved = await hub.reaches(instance_id, lambda instance: instance.custom_status is not None)
    assert "2 messages could not be processed" in moved.reason
    assert first.id in moved.reason
    assert second.id in moved.reason
    await client.discard_poison_message(first.id)
    left = (await client.get_status(instance_id)).reason
    assert second.id in left
    assert first.id not in left
    await client.retry_poison_message(second.id)
    assert await hub.output(instance_id) == 1
    assert (await client.get_status(instance_id)).reason is None


async def test_what_is_discarded_goes_with_its_payloads(hub, client):
    instance_id = await waiting(hub)
    before = await hub.storage.list_payloads(instance_id)
    datum = await hub.engine.payloads.offload(instance_id, LARGE)
    await hub.engine.handle_poisoned_control(encode_message(event(instance_id, datum)), "q1")
    message = await parked(client)
    await client.discard_poison_message(message.id)
    await parked(client, 0)
    assert await hub.storage.list_payloads(instance_id) == before
    assert await hub.storage.list_payloads(OWNER) == []
    assert (await client.get_status(instance_id)).reason is None
    for command in (client.get_poison_message, client.retry_poison_message, client.discard_poison_message):
        with pytest.raises(PoisonMessageNotFoundError, match=f"no poison message '{message.id}'"):
            await command(message.id)


async def test_a_payload_stays_that_a_copy_has_brought(hub, client):
    @hub.orchestrator
    def measures(context):
        text = yield context.wait_for_external_event("go")
        yield context.wait_for_external_event("end")
        return len(text)

    instance_id = await hub.start("measures")
    await hub.reaches(instance_id, lambda instance: instance.status == "Running")
    datum = await hub.engine.payloads.offload(instance_id, LARGE)
    await hub.engine.handle_poisoned_control(encode_message(event(instance_id, datum)), "q1")
    await hub.engine.handle_control(encode_message(event(instance_id, datum)), "copy")
    await client.discard_poison_message((await parked(client)).id)
    await hub.workers[0].stop()
    hub.workers.clear()
    await hub.add_worker()
    await hub.raise_event(instance_id, "end")
    assert await hub.output(instance_id) == 70_000


@pytest.mark.parametrize("body", NO_MESSAGES)
async def test_what_is_no_message_is_refused_parked_and_discarded(hub, client, body):
    engine = hub.engine
    with pytest.raises(Exception, match=r"can't be read as one of Perdure's|gone"):
        await engine.handle_control(body, "m")
    await engine.handle_poisoned_control(body, "m")
    await engine.handle_poisoned_work(body, "m")
    messages = await parked(client, 2)
    assert {(each.kind, each.body) for each in messages} == {("Unreadable", body)}
    assert {each.queue for each in messages} == {engine.queues.control[0], engine.queues.work}
    await others_go_on(hub)
    for each in messages:
        await client.discard_poison_message(each.id)
    await parked(client, 0)


async def test_a_message_whose_payload_has_vanished_is_parked_until_it_is_back(hub, client):
    instance_id = await waiting(hub)
    engine = hub.engine
    engine.mail.queue_of = lambda _: "elsewhere"
    await hub.storage.create_queue("elsewhere")
    await engine.mail.send(event(instance_id, LARGE))
    del engine.mail.queue_of
    (message,) = await hub.storage.receive("elsewhere", count=1, invisibility=60)
    (payload_id,) = [each for each in await hub.storage.list_payloads(instance_id) if each.startswith("msg-")]
    text = await hub.storage.get_payload(instance_id, payload_id)
    await hub.storage.delete_payloads(instance_id, [payload_id])
    await engine.handle_poisoned_control(message.body, "q1")
    lost = await parked(client)
    assert (lost.kind, lost.instance_id) == ("Unreadable", instance_id)
    assert payload_id in lost.reason
    assert lost.id in (await client.get_status(instance_id)).reason

    await hub.storage.put_payload(instance_id, payload_id, text)
    await client.retry_poison_message(lost.id)
    assert await hub.output(instance_id) == "x" * 70_000
    await parked(client, 0)


async def test_pages(hub, client):
    for number in range(40):
        await hub.engine.handle_poisoned_control(f"nonsense {number}", f"q{number}")
    instance_id = await waiting(hub)
    await hub.engine.handle_poisoned_control(encode_message(event(instance_id)), "q")
    found, continuation = [], None
    while True:
        page = await client.list_poison_messages(top=17, continuation=continuation)
        found += [message.id for message in page.messages]
        continuation = page.continuation
        if continuation is None:
            break
    assert found == sorted(set(found))
    assert len(found) == 41
    (own,) = (await client.list_poison_messages(instance_id)).messages
    assert own.instance_id == instance_id
    with pytest.raises(ValueError, match="1 to 1000"):
        await client.list_poison_messages(top=0)


async def test_an_entry_that_is_damaged_hides_no_others(hub, client):
    await hub.engine.handle_poisoned_control("nonsense", "q")
    await hub.storage.put_payload(OWNER, "00" * 8, b"{")
    damaged, other = await parked(client, 2)
    assert "damaged" in damaged.reason
    assert other.body == "nonsense"
    with pytest.raises(Exception, match="can't be sent again, only discarded"):
        await client.retry_poison_message(damaged.id)
    await client.discard_poison_message(damaged.id)
    await parked(client)
