"""Safety nets: when a copy of a message lies in the queue, and that none stays when the work has ended."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core.codec import decode_message
from perdure.core.messages import ActivityCall, RaiseEvent, WorkItem
from perdure.engine import safety_net
from perdure.engine.clock import SystemClock, new_id
from perdure.engine.hub import HubQueues
from perdure.engine.mail import Mail
from perdure.engine.safety_net import SafetyNets
from perdure.engine.settings import EngineSettings
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.protocol import StorageUnavailable

EVENT = RaiseEvent(to="one", id="e", name="go", data=None)
ITEM = WorkItem(instance_id="one", execution="x.0", calls=[ActivityCall(0, "slow", None)])


class Falling(MemoryStorage):
    """Refuses the first message, and tells when it takes one."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        super().__init__("hub", store=self.store)
        self.refusals = 0
        self.sent = asyncio.Event()

    async def send(self, queue, body, *, delay=0):
        if self.refusals:
            self.refusals -= 1
            raise StorageUnavailable("not now")
        sent = await super().send(queue, body, delay=delay)
        self.sent.set()
        return sent


@pytest.fixture
async def storage(monkeypatch):
    monkeypatch.setattr(safety_net, "LONG", 0.01)
    storage = Falling()
    await storage.create()
    for queue in HubQueues("hub").all:
        await storage.create_queue(queue)
    return storage


def nets(storage, delay: float | None = 0.2) -> SafetyNets:
    mail = Mail(storage, HubQueues("hub"), SystemClock(), new_id)
    return SafetyNets(storage, mail, EngineSettings(recovery_delay=delay, max_deliveries=5))


def copies(storage):
    return [decode_message(each.body) for queue in storage.store.queues.values() for each in queue.values()]


async def until_sent(storage):
    await asyncio.wait_for(storage.sent.wait(), 5)


async def long():
    await asyncio.sleep(0.05)


async def test_work_that_takes_long_has_a_copy_of_its_message_under_it_until_it_ends(storage):
    found = []

    async def work():
        await until_sent(storage)
        found.extend(copies(storage))

    await nets(storage).under(EVENT, work())
    assert [(each.id, each.tries) for each in found] == [("e", 1)]
    assert copies(storage) == []


async def test_the_copy_of_a_work_item_has_its_receiver_look_at_the_row_first(storage):
    found = []

    async def work():
        await until_sent(storage)
        found.extend(copies(storage))

    await nets(storage).under(ITEM, work())
    assert [(each.again, each.tries) for each in found] == [(True, 1)]


async def test_a_copy_stays_hidden_for_as_long_as_the_work_takes(storage):
    async def work():
        await until_sent(storage)
        await asyncio.sleep(0.5)
        assert await storage.receive("hub-control", count=1, invisibility=1) == []

    await nets(storage).under(EVENT, work())
    assert copies(storage) == []


async def test_work_that_is_given_up_leaves_no_copy(storage):
    task = asyncio.create_task(nets(storage).under(EVENT, asyncio.sleep(3600)))
    await until_sent(storage)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert copies(storage) == []


async def test_short_work_costs_nothing(storage):
    await nets(storage).under(EVENT, asyncio.sleep(0))
    assert not storage.sent.is_set()


async def test_work_that_fails_leaves_no_copy_and_its_error_is_raised(storage):
    async def work():
        await until_sent(storage)
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await nets(storage).under(EVENT, work())
    assert copies(storage) == []


async def test_a_store_that_refuses_the_copy_is_asked_again(storage):
    storage.refusals = 1
    await nets(storage).under(EVENT, until_sent(storage))
    assert storage.refusals == 0


@pytest.mark.parametrize(
    ("message", "delay"),
    [
        pytest.param(EVENT, None, id="nobody asks for nets"),
        pytest.param(RaiseEvent(to="one", id="e", name="go", data=None, tries=5), 0.2, id="too many copies of copies"),
        pytest.param(RaiseEvent(to="one", id="e", name="go", data="x" * 100_000), 0.2, id="too large for the queue"),
    ],
)
async def test_there_is_no_copy(storage, message, delay):
    await nets(storage, delay).under(message, long())
    assert not storage.sent.is_set()
