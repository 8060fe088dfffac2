"""Sessions of entities: what two workers do to one entity, and what is left behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from perdure.client import Client
from perdure.core.codec import encode_message
from perdure.core.entities.performing import EntityDefinition
from perdure.core.messages import Completions, Wake
from perdure.engine.delivery import WorkerStopped
from perdure.storage.protocol import Conflict, StorageUnavailable
from tests.engine.bench import LARGE, OWNER, Bench, Deaf, acquire, operate, release


async def box(context):
    """Holds what it was given last."""
    match context.operation_name:
        case "set":
            context.set_state(context.get_input())
        case "drop":
            context.destruct_on_exit()


@pytest.fixture
async def bench():
    return Bench(box)


async def all_that_can_go_on():
    """Let everybody go on until they wait for what the test is to do."""
    for _ in range(100):
        await asyncio.sleep(0)


class Intercepted:
    """A storage that lets a test step in before or after a write of a row."""

    def __init__(self, inner):
        self._inner = inner
        self.replaced = None
        """Awaited once, after the next replacement of a row, with its answer lost."""

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def replace(self, row):
        etag = await self._inner.replace(row)
        if self.replaced is not None:
            step_in, self.replaced = self.replaced, None
            await step_in()
            raise Conflict("the answer was lost, and the second try came too late")
        return etag


async def test_a_session_that_another_was_faster_than_lets_go_of_its_message():
    """What it held the message for has been done."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(context):
        if context.get_input() == "slow" and not begun.is_set():
            begun.set()
            await go_on.wait()
        context.set_state(context.get_input())

    bench = Bench(slow, entity_batch=1)
    first, second = bench.worker(), bench.worker()
    await bench.deliver(first, acquire("l"))
    await bench.deliver(first, operate("set", 0, "fast"))
    await bench.deliver(first, operate("set", 1, "slow"))
    held = asyncio.create_task(bench.deliver(first, release("l")))
    await begun.wait()
    await bench.deliver(second, release("l"), count=2)
    assert await bench.state(second) == "slow"
    go_on.set()
    await held


async def test_a_message_that_has_come_again_does_not_take_the_place_of_the_one_that_answers_for_what_is_left():
    """It may be an old delivery, of a message that has been deleted meanwhile: then it would come no more."""
    begun, go_on = asyncio.Queue(), asyncio.Queue()

    async def slow(context):
        if context.get_input() == "slow":
            begun.put_nowait(None)
            await go_on.get()
        context.set_state(context.get_input())

    bench = Bench(slow, entity_batch=1)
    worker = bench.worker()
    old = operate("set", 0, "old", stream="t")
    await bench.deliver(worker, old)
    await bench.deliver(worker, acquire("l"))
    for number, value in enumerate(["fast", "slow", "fast", "slow"]):
        await bench.deliver(worker, operate("set", number, value))
    answering = asyncio.create_task(bench.deliver(worker, release("l")))
    await begun.get()
    again = asyncio.create_task(bench.deliver(worker, old, count=2))
    await all_that_can_go_on()
    go_on.put_nowait(None)
    await begun.get()
    await all_that_can_go_on()
    assert not answering.done()
    go_on.put_nowait(None)
    await asyncio.gather(answering, again)
    assert await bench.state(worker) == "slow"


async def test_of_messages_that_have_come_again_none_goes_while_it_is_unknown_which_of_them_answers_for_what_is_left():
    begun, go_on = asyncio.Queue(), asyncio.Queue()

    async def slow(context):
        if context.get_input() == "slow":
            begun.put_nowait(None)
            await go_on.get()
        context.set_state(context.get_input())

    bench = Bench(slow, entity_batch=1)
    first, second = bench.worker(), bench.worker()
    old = operate("set", 0, "old", stream="t")
    await bench.deliver(first, old)
    await bench.deliver(first, acquire("l"))
    for number, value in enumerate(["fast", "slow", "fast", "slow"]):
        await bench.deliver(first, operate("set", number, value))
    dying = asyncio.create_task(bench.deliver(first, release("l")))
    await begun.get()
    await first.stop()
    with pytest.raises(WorkerStopped):
        await dying
    answering = asyncio.create_task(bench.deliver(second, release("l"), count=2))
    await begun.get()
    again = asyncio.create_task(bench.deliver(second, old, count=2))
    await all_that_can_go_on()
    go_on.put_nowait(None)
    await begun.get()
    await all_that_can_go_on()
    assert not answering.done()
    go_on.put_nowait(None)
    await asyncio.gather(answering, again)
    assert await bench.state(second) == "slow"


async def test_a_large_state_that_another_session_has_replaced_is_read_anew(bench):
    first, second = bench.worker(), bench.worker()
    await bench.deliver(second, operate("set", 0, LARGE))
    await bench.deliver(first, acquire("l"))
    await bench.deliver(first, release("l"))
    await bench.deliver(second, operate("set", 1, LARGE + "y"))
    await bench.deliver(first, operate("set", 0, "z", stream="t"))
    assert await bench.state(first) == "z"


async def test_a_commit_whose_answer_was_lost_keeps_its_state_though_the_row_has_moved_on(bench):
    storage = Intercepted(bench.storage)
    first, second = bench.worker(storage), bench.worker()
    await bench.deliver(second, operate("set", 0, 1))
    storage.replaced = lambda: bench.deliver(second, acquire("l"))
    await bench.deliver(first, operate("set", 1, LARGE))
    assert await bench.state(second) == LARGE


async def test_a_commit_whose_answer_was_lost_keeps_what_it_has_sent_though_another_session_has_sent_it_again():
    async def passing(context):
        if context.operation_name == "pass":
            context.signal_entity("@e@2", "set", LARGE)

    bench = Bench(passing)
    storage = Intercepted(bench.storage)
    first, second = bench.worker(storage), bench.worker()
    await bench.deliver(second, operate("note", 0))
    message = operate("pass", 1)

    async def step_in():
        await bench.deliver(second, message, count=2)
        await bench.deliver(second, operate("note", 2))

    storage.replaced = step_in
    await bench.deliver(first, message)
    signal = next(each for each in bench.taken() if each.to == "@e@2")
    assert await second.payloads.text("@e@2", signal.input) == f'"{LARGE}"'


async def test_a_row_without_a_state_goes_once_nothing_can_come_twice_any_more(bench):
    worker = bench.worker()
    await bench.deliver(worker, operate("set", 0, 1))
    await bench.deliver(worker, operate("drop", 1))
    (wake,) = [each for each in bench.taken() if isinstance(each, Wake)]
    assert timedelta(hours=1) < wake.due - bench.clock.now() < timedelta(hours=1, minutes=1)
    bench.clock.time = wake.due
    await bench.deliver(worker, wake)
    assert await bench.storage.read("@e@1") is None
    assert bench.taken() == []


async def test_a_record_too_large_for_the_row_leaves_nothing_behind_when_a_race_is_lost():
    bench = Bench(box, turn_bytes=50)
    first, second = bench.worker(), bench.worker()
    await bench.deliver(first, operate("set", 0, 1))
    await bench.deliver(second, operate("set", 1, 2))
    await bench.deliver(first, operate("set", 2, 3))
    await bench.deliver(second, operate("set", 3, 4))
    assert len(await bench.storage.list_segments("@e@1")) == 1
    assert await bench.state(first) == 4


async def test_an_operation_that_ends_its_process_takes_no_others_with_it(bench):
    worker = bench.worker()
    await bench.deliver(worker, operate("set", 1, "innocent"))
    culprit = operate("set", 0, "culprit", reply=OWNER)
    await asyncio.wait_for(worker.handle_poisoned_control(encode_message(culprit), "q"), timeout=5)
    assert await bench.state(worker) == "innocent"
    (answer,) = [each for each in bench.taken() if isinstance(each, Completions)]
    assert [(each.no, each.failure.type) for each in answer.items] == [(0, "OperationLostError")]


async def test_what_a_poisoned_message_was_held_for_fails():
    """What ends the process is none of its own, but something that waited for a lock."""
    bench = Bench(box)
    first = bench.worker()
    for message in (acquire("l"), operate("set", 0, 1), operate("set", 1, 2), operate("set", 2, 3)):
        await bench.deliver(first, message)
    begun = asyncio.Event()
    bench.registry.entities.replace("e", EntityDefinition(hanging(begun)))
    held = asyncio.create_task(first.handle_control(encode_message(release("l")), "q"))
    await asyncio.wait_for(begun.wait(), timeout=5)
    held.cancel()
    await asyncio.wait_for(bench.worker().handle_poisoned_control(encode_message(release("l")), "q"), timeout=5)
    record = await bench.record()
    assert record is not None
    assert record.queue == []
    await first.stop()


def hanging(begun):
    async def hang(_):
        begun.set()
        await asyncio.Event().wait()

    return hang


async def test_a_wake_that_never_came_is_sent_again(bench):
    worker = bench.worker()
    await bench.deliver(worker, operate("set", 1, "after a gap"))
    (lost,) = bench.taken()
    bench.clock.time = lost.due + timedelta(hours=1)
    await bench.deliver(worker, operate("set", 3, "after another"))
    assert await bench.state(worker) == "after a gap"
    (again,) = bench.taken()
    await bench.deliver(worker, lost)
    bench.clock.time = again.due
    await bench.deliver(worker, again)
    assert await bench.state(worker) == "after another"


async def test_the_payload_of_a_signal_that_was_taken_in_goes_when_it_comes_again(bench):
    """Its worker may have died before it deleted the payload."""
    worker = bench.worker()
    signal = operate("set", 0)
    late = operate("set", 2)
    for message in (signal, late):
        datum = await worker.payloads.store("@e@1", f"p{message.place.seq}", '"large"')
        await bench.deliver(worker, msgspec.structs.replace(message, input=datum))
    assert await bench.storage.list_payloads("@e@1") == ["p2"]
    for message in (signal, late):
        datum = await worker.payloads.store("@e@1", f"p{message.place.seq}", '"large"')
        await bench.deliver(worker, msgspec.structs.replace(message, input=datum), count=2)
    assert await bench.storage.list_payloads("@e@1") == ["p2"]


async def test_an_orchestration_that_is_running_already_is_not_begun_and_its_input_goes():
    async def beginning(context):
        context.start_new_orchestration("o", LARGE, "one")

    bench = Bench(beginning)
    worker = bench.worker()
    await worker.starting.insert(worker.starting.row("one", "o", execution_id="x", input_=None))
    await bench.deliver(worker, operate("go", 0))
    assert await bench.storage.list_payloads("one") == []


async def test_the_clean_up_reads_a_record_that_moves_while_it_is_read():
    bench = Bench(box, turn_bytes=50)
    worker = bench.worker()
    await bench.deliver(worker, acquire("l"))
    storage = Moving(bench.storage, lambda: bench.deliver(worker, operate("set", 0)))
    client = Client(storage, clock=bench.clock)
    assert (await client.clean_entity_storage()).orphaned_locks_released == 1


class Moving:
    """A storage in which something happens before a segment is read for the first time."""

    def __init__(self, inner, step_in):
        self._inner = inner
        self._step_in = step_in

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def get_segments(self, instance_id, names):
        if self._step_in is not None:
            step_in, self._step_in = self._step_in, None
            await step_in()
        return await self._inner.get_segments(instance_id, names)


class DeafOnceItHasWritten(Deaf):
    async def replace(self, row):
        etag = await self._inner.replace(row)
        self.hears = False
        return etag


async def test_a_session_that_another_was_faster_than_sends_what_that_one_died_before_sending():
    """The message comes again to the session that still holds it, and nobody else answers for what it brought about."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def telling(context):
        if not begun.is_set() and context.get_input() == "slow":
            begun.set()
            await go_on.wait()
        context.signal_entity("@e@2", "note", context.get_input())

    bench = Bench(telling, entity_batch=1)
    deaf = DeafOnceItHasWritten(bench.storage)
    first, dying = bench.worker(), bench.worker(deaf)
    await bench.deliver(first, acquire("l"))
    await bench.deliver(first, operate("tell", 0, "fast"))
    await bench.deliver(first, operate("tell", 1, "slow"))
    held = asyncio.create_task(bench.deliver(first, release("l")))
    await begun.wait()
    with pytest.raises(StorageUnavailable):
        await bench.deliver(dying, release("l"), count=2)
    again = asyncio.create_task(bench.deliver(first, release("l"), count=3))
    await held  # its receipt is stale, and the newest one replaces it
    go_on.set()
    await again
    told = [each.input for each in bench.taken() if each.to == "@e@2"]
    assert set(told) == {'"fast"', '"slow"'}
