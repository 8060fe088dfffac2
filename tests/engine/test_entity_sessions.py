"""Sessions of entities: what two workers do to one entity, and what is left behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from perdure.core.messages import Wake
from perdure.storage.protocol import Conflict
from tests.engine.bench import LARGE, Bench, acquire, operate, release


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
