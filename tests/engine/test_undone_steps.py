"""A step that comes to nothing takes nothing with it: what ran in place meanwhile counts, and messages come again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from perdure.core.data import reference
from perdure.core.entities.performing import EntityDefinition
from perdure.core.messages import RaiseEvent, Start, Wake
from perdure.storage.protocol import PayloadMissing, StorageUnavailable
from tests.engine.bench import NOON, Bench, Deaf, operate


class Slow:
    """A storage whose next merge of a row waits until the test lets it go."""

    def __init__(self, inner):
        self._inner = inner
        self.holds = False
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def merge(self, *args):
        if self.holds:
            self.holds = False
            self.reached.set()
            await self.go_on.wait()
        return await self._inner.merge(*args)


async def test_an_outcome_that_came_beside_a_message_that_can_not_be_taken_in_is_not_lost():
    end = asyncio.Event()

    def waiting(context):
        work = context.call_activity("work")
        yield context.wait_for_external_event("go")
        return (yield work)

    async def work(_):
        await end.wait()
        return "done"

    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("waiting", waiting)
    bench.registry.activities.add("work", work)
    storage = Slow(bench.storage)
    worker = bench.worker(storage)
    await worker.starting.insert(worker.starting.row("one", "waiting", execution_id="e", input_=None))
    anchor = asyncio.create_task(bench.deliver(worker, Start(to="one", id="e/start", execution_id="e")))
    while (await bench.storage.read_instance("one")).status != "Running":
        await asyncio.sleep(0)
    storage.holds = True
    event = asyncio.create_task(bench.deliver(worker, RaiseEvent(to="one", id="1", name="go", data="1")))
    await storage.reached.wait()
    vanished = RaiseEvent(to="one", id="2", name="go", data=reference("vanished"))
    lost = asyncio.create_task(bench.deliver(worker, vanished))
    end.set()
    for _ in range(20):  # both wait for the step now
        await asyncio.sleep(0)
    storage.go_on.set()
    with pytest.raises(PayloadMissing):
        await lost
    await asyncio.gather(anchor, event)
    assert (await bench.storage.read_instance("one")).output == '"done"'


async def test_a_signal_that_is_not_due_yet_comes_again_if_it_can_not_be_put_back():
    bench = Bench(lambda _: None)
    deaf = Deaf(bench.storage)
    worker = bench.worker(deaf)
    signal = operate("note", 0, due=NOON + timedelta(days=30))
    deaf.hears = False
    with pytest.raises(StorageUnavailable):
        await bench.deliver(worker, signal)
    deaf.hears = True
    await bench.deliver(worker, signal, count=2)
    assert signal in bench.taken()


async def test_a_session_does_not_drop_what_another_session_asked_for():
    """It is asked to see to the entity's expiry, by a message of which it knows nothing yet."""

    async def note(context):
        context.set_state(1)

    bench = Bench(note)
    bench.registry.entities.add("brief", EntityDefinition(note, expires_after=timedelta(minutes=20)))
    first, second = bench.worker(), bench.worker()
    await bench.deliver(first, operate("note", 0, to="@brief@1"))
    (wake,) = [each for each in bench.taken() if isinstance(each, Wake)]
    bench.clock.time = wake.due
    await bench.deliver(second, operate("note", 1, to="@brief@1"))
    await bench.deliver(second, wake)
    (later,) = [each for each in bench.taken() if isinstance(each, Wake)]
    bench.clock.time = later.due
    await bench.deliver(first, later)
    assert await bench.state(first, "@brief@1") is None
