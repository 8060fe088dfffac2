"""Large data that was stored for somebody: it goes if nobody can name it any more, and never sooner."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from perdure.client import Client
from perdure.core.codec import Head, decode_message, encode_head, encode_message
from perdure.core.data import payload_of, reference
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.history import EventRaised
from perdure.core.messages import AcquireLock, Operate, Overflow, RaiseEvent, Start, Sweep
from perdure.core.outbox import start_message_id
from perdure.core.streams import Place
from perdure.engine.parking import OWNER as PARKED
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.errors import StoredDataError
from tests.engine.bench import LARGE, Clock, acquire, operate, release
from tests.engine.bench import OWNER as LOCKER

E = EntityId("e", "1")
WEEK, DAY = timedelta(days=7), timedelta(days=1)


def box(context):
    """Holds what it was given last."""
    if context.operation_name == "set":
        context.set_state(context.get_input())
    else:
        context.signal_entity(E, "set", context.get_input(), context.current_utc_datetime + timedelta(days=30))


def eternal(context):
    """Begins anew with each event, and leaves those of another name waiting."""
    yield context.wait_for_external_event("go")
    context.continue_as_new(context.get_input(), save_events=True)


def telling(context):
    """Has the entity told something in 30 days."""
    context.signal_entity(E, "set", LARGE, context.current_utc_datetime + timedelta(days=30))


def working(context):
    """Waits for an activity that nobody runs."""
    yield context.call_activity("far away", LARGE, placement="queue")


class Desk:
    """A hub whose messages are delivered by hand, in a time of its own."""

    def __init__(self, storage, **settings):
        self.storage = storage
        self.clock = Clock()
        registry = Registry()
        registry.entities.add("e", EntityDefinition(box))
        registry.orchestrators.add("eternal", eternal)
        registry.orchestrators.add("telling", telling)
        registry.orchestrators.add("working", working)
        self.worker = Worker(storage, registry, EngineSettings(**settings), clock=self.clock)
        self.client = Client(storage, clock=self.clock)
        self.count = 0

    async def deliver(self, message):
        self.count += 1
        await self.worker.handle_control(encode_message(message), f"q{self.count}")

    async def taken(self, kind=object):
        """Take what has been queued and can be seen out of the queue; return what is of a kind."""
        found = []
        queue = self.worker.queues.control[0]
        while messages := await self.storage.receive(queue, count=32, invisibility=60):
            for each in messages:
                await self.storage.delete_message(queue, each.message_id, each.receipt)
                found.append(decode_message(each.body))
        return [each for each in found if isinstance(each, kind)]

    async def orphan(self, owner=str(E), **due):
        """Store something as a worker does that dies before it sends it."""
        return payload_of(await self.worker.payloads.offload(owner, json.dumps(LARGE), **due))

    async def first_pass(self, after=WEEK + DAY):
        """Let time pass and clean up; carry out the sweeps, and return them as they come again."""
        self.clock.time += after
        await self.client.clean_entity_storage()
        sweeps = await self.taken(Sweep)
        for each in sweeps:
            await self.deliver(each)
        return [msgspec.structs.replace(each, again=True) for each in sweeps]

    async def second_pass(self, sweeps):
        self.clock.time += DAY
        for each in sweeps:
            await self.deliver(each)

    async def sweep(self, after=WEEK + DAY):
        await self.second_pass(await self.first_pass(after))

    async def state(self):
        return (await self.client.read_entity_state(E)).entity_state

    async def payloads(self, owner=str(E)):
        return set(await self.storage.list_payloads(owner))


@pytest.fixture
async def open_place(open_hub):
    places = []

    async def open_one(**settings):
        place = Desk(open_hub(), **settings)
        await place.worker.create_hub()
        places.append(place)
        return place

    yield open_one
    for place in places:
        await place.worker.stop()
        await place.storage.close()


@pytest.fixture
async def place(open_place):
    return await open_place()


# ---- what nobody will name goes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
async def test_what_a_dead_sender_has_stored_goes_after_a_week_and_two_passes(place, known):
    if known:
        await place.deliver(operate("set", 0, 1))
    lost = await place.orphan()
    assert await place.first_pass(WEEK - DAY) == []
    sweeps = await place.first_pass(2 * DAY)
    assert await place.payloads() == {lost}
    await place.second_pass(sweeps)
    assert await place.payloads() == set()
    assert await place.first_pass() == []


async def test_what_was_stored_for_ids_without_a_row_goes(place):
    await place.orphan("never-begun")
    await place.orphan("never-begun", payload_id="start-x")
    await place.sweep()
    assert await place.payloads("never-begun") == set()


async def test_a_message_too_large_for_the_queue_leaves_nothing(place):
    """Its receiver does not delete it: the message may come again."""
    entities = [f"@e@{number:0>200}" for number in range(300)]
    seat = Place("l", 0)
    request = AcquireLock(
        to=entities[0], id=str(seat), place=seat, lock="l", entities=entities, position=0, owner=LOCKER
    )
    await place.worker.mail.send(request)
    (overflow,) = await place.taken(Overflow)
    await place.deliver(overflow)
    await place.deliver(overflow)
    assert await place.payloads(entities[0]) == {overflow.payload_id}
    await place.sweep()
    assert await place.payloads(entities[0]) == set()


async def test_an_entity_that_lives_on_is_swept_once_a_week_though_nobody_cleans_up(place):
    await place.deliver(operate("set", 0, 1))
    await place.orphan()
    await place.storage.put_segment(str(E), "record-of-a-session-that-died", b"x")
    place.clock.time += timedelta(minutes=1)
    await place.deliver(operate("set", 1, 2))
    assert len(await place.storage.list_segments(str(E))) == 1, "it does not look each time"
    place.clock.time += WEEK + DAY
    await place.deliver(operate("set", 2, 3))
    assert await place.storage.list_segments(str(E)) == []
    (sweep,) = await place.taken(Sweep)
    await place.deliver(sweep)
    await place.second_pass([msgspec.structs.replace(sweep, again=True)])
    assert await place.payloads() == set()
    assert await place.state() == 3


async def begin_eternal(place):
    row = place.worker.starting.row(
        "eternal", "eternal", execution_id="x", input_=await place.worker.payloads.offload("eternal", json.dumps(LARGE))
    )
    await place.worker.starting.insert(row)
    await place.deliver(Start(to="eternal", id=start_message_id("x"), execution_id="x"))
    return row


async def event(place, number, name="go", data="1"):
    return await place.deliver(RaiseEvent(to="eternal", id=f"{name}-{number}", name=name, data=data))


async def test_an_eternal_orchestration_is_swept_once_a_week(place):
    await begin_eternal(place)
    waiting = await place.worker.payloads.offload("eternal", json.dumps(LARGE))
    await event(place, 0, "later", waiting)
    await event(place, 0)
    await place.orphan("eternal")
    await place.orphan("eternal", payload_id="msg-x")
    await place.storage.put_segment("eternal", "00000000-000000-of-a-session-that-died", b"x")
    place.clock.time += timedelta(minutes=1)
    await event(place, 1)
    assert (len(await place.payloads("eternal")), await place.taken(Sweep)) == (4, [])
    place.clock.time += WEEK + DAY
    await event(place, 2)
    assert await place.storage.list_segments("eternal") == []
    (sweep,) = await place.taken(Sweep)
    await place.deliver(sweep)
    await place.second_pass([msgspec.structs.replace(sweep, again=True)])
    instance = await place.storage.read_instance("eternal")
    assert await place.payloads("eternal") == {payload_of(instance.input), payload_of(waiting)}


# ---- what is still needed stays --------------------------------------------------------------------------------------


async def test_the_input_of_a_signal_for_later_stays_until_it_is_due(place):
    due = place.clock.now() + timedelta(days=30)
    await place.client.signal_entity(E, "set", LARGE, signal_time=due)
    (stored,) = await place.payloads()
    for _ in range(3):
        await place.sweep()
    place.clock.time = due
    await place.deliver(msgspec.structs.replace(operate("set", 0, due=due), input=reference(stored)))
    assert await place.state() == LARGE


@pytest.mark.parametrize("sender", ["entity", "orchestration"])
async def test_the_input_of_a_signal_for_later_that_others_send_stays_until_a_week_after(place, sender):
    if sender == "entity":
        await place.deliver(operate("tell in 30 days", 0, LARGE, to="@e@2"))
    else:
        row = place.worker.starting.row("one", "telling", execution_id="x", input_=None)
        await place.worker.starting.insert(row)
        await place.deliver(Start(to="one", id=start_message_id("x"), execution_id="x"))
    (kept,) = await place.payloads()
    await place.sweep(timedelta(days=29))
    assert await place.payloads() == {kept}
    await place.sweep(timedelta(days=9))
    assert await place.payloads() == set()


async def with_payload(place, message):
    return msgspec.structs.replace(message, input=await place.worker.payloads.offload(str(E), json.dumps(LARGE)))


async def test_what_waits_for_what_was_sent_before_it_stays(open_place):
    place = await open_place(reorder_window=90 * 86_400)
    await place.deliver(await with_payload(place, operate("set", 1)))
    await place.sweep()
    await place.deliver(operate("set", 0, "first"))
    assert await place.state() == LARGE


async def test_what_waits_for_a_lock_stays(place):
    await place.deliver(acquire("l"))
    await place.deliver(await with_payload(place, operate("set", 0)))
    await place.sweep()
    await place.deliver(release("l"))
    assert await place.state() == LARGE


async def test_a_large_state_stays(place):
    await place.deliver(operate("set", 0, LARGE))
    await place.orphan()
    await place.sweep()
    assert await place.state() == LARGE
    assert len(await place.payloads()) == 1


async def test_what_a_parked_message_names_stays(place):
    kept = await with_payload(place, operate("set", 0))
    mail = place.worker.mail
    parked = [await place.worker.parking.park(encode_message(kept), "m1", "q", "so", place.clock.now())]
    await mail.send(msgspec.structs.replace(operate("set", 0, stream="x" * 60_000), input=kept.input))
    (overflow,) = await place.taken(Overflow)
    parked.append(await place.worker.parking.park(encode_message(overflow), "m2", "q", "so", place.clock.now()))
    await place.orphan()
    await place.sweep()
    assert await place.payloads() == {payload_of(kept.input), overflow.payload_id}
    for each in parked:
        await place.client.discard_poison_message(each.id)
    await place.sweep()
    assert await place.payloads() == set()


async def test_nothing_is_swept_while_a_parked_message_can_not_be_read(place):
    lost = await place.orphan()
    await place.storage.put_payload(PARKED, "0123456789abcdef", b"damaged")
    await place.sweep()
    assert await place.payloads() == {lost}
    await place.client.discard_poison_message("0123456789abcdef")
    await place.sweep()
    assert await place.payloads() == set()


async def test_nothing_is_swept_of_an_entity_whose_row_can_not_be_read(place):
    await place.deliver(acquire("l"))
    kept = await with_payload(place, operate("set", 0))
    await place.deliver(kept)
    row = await place.storage.read(str(E))
    head, row.head = row.head, b"\x01damaged"
    row.etag = await place.storage.replace(row)
    with pytest.raises(StoredDataError):
        await place.sweep()
    row.head = head
    await place.storage.replace(row)
    await place.deliver(release("l"))
    assert await place.state() == LARGE


async def test_a_hub_that_was_shut_down_for_long_takes_in_what_is_in_its_queues(place):
    """The sweep overtakes the signal that it was sent after, and must not take what that brings."""
    await place.client.signal_entity(E, "set", LARGE)
    (signal,) = await place.taken(Operate)
    sweeps = await place.first_pass(5 * WEEK)
    assert len(sweeps) == 1
    await place.deliver(signal)
    await place.second_pass(sweeps)
    assert await place.state() == LARGE


async def test_a_running_orchestration_keeps_its_data_and_is_not_swept(place):
    await begin_eternal(place)
    await event(place, 0, "later", await place.worker.payloads.offload("eternal", json.dumps(LARGE)))
    there = await place.payloads("eternal")
    assert len(there) == 2
    assert await place.first_pass() == []
    await place.deliver(Sweep(to="eternal", id="s", before=place.clock.now(), again=True))
    assert await place.payloads("eternal") == there


async def test_the_input_of_an_activity_that_is_waited_for_stays(place):
    row = place.worker.starting.row("one", "working", execution_id="x", input_=None)
    await place.worker.starting.insert(row)
    await place.deliver(Start(to="one", id=start_message_id("x"), execution_id="x"))
    there = await place.payloads("one")
    assert len(there) == 1
    await place.deliver(Sweep(to="one", id="s", before=place.clock.now() + DAY, again=True))
    assert await place.payloads("one") == there


async def test_events_that_wait_for_a_generation_to_begin_stay(place):
    waiting = await place.worker.payloads.offload("eternal", json.dumps(LARGE))
    row = place.worker.starting.row("eternal", "eternal", execution_id="x", input_="1")
    row.instance.status, row.instance.generation = "Suspended", 1
    row.head = encode_head(Head(waiting_events=[EventRaised("e0", "later", waiting)], suspended=True))
    await place.storage.insert(row)
    await place.deliver(Sweep(to="eternal", id="s", before=place.clock.now() + DAY, again=True))
    assert await place.payloads("eternal") == {payload_of(waiting)}


async def test_what_an_entity_may_have_to_send_to_itself_again_stays(place):
    await place.deliver(operate("set", 0, 1))
    await place.deliver(operate("tell in 30 days", 1, LARGE))
    there = await place.payloads()
    assert len(there) == 1
    await place.sweep(timedelta(days=40))
    assert await place.payloads() == there


async def test_names_that_others_give_are_no_dates(place):
    names = {"stream-x-01-on-1999010100", "steps-a-on-1999010100", "the-input-on-1999010100", "0123"}
    for name in names:
        await place.storage.put_payload(str(E), name, b"x")
    await place.deliver(Sweep(to=str(E), id="s", before=place.clock.now(), again=True))
    assert await place.payloads() == names
