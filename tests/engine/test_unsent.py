"""What an orchestration has committed for entities reaches them, though its worker dies before it is sent and nobody
asks the orchestration again.
"""

from __future__ import annotations

import pytest

from perdure.core.failure import Failure
from perdure.core.messages import AcquireLock, Completion, Completions, Operate, ReleaseLock, Rewind, Start, Terminate
from perdure.engine.succession import purge, replace_ended
from perdure.storage.protocol import StorageUnavailable
from tests.engine.bench import Bench, Deaf


async def holder(context):
    context.signal_entity("@e@2", "note", 1)
    lock = context.lock_entities(["@e@1"])
    await context.call_activity("step")
    async with lock:
        await context.call_entity("@e@1", "note")


@pytest.fixture
async def bench():
    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("holder", holder)
    return bench


async def start(bench, worker):
    row = worker.starting.row("one", "holder", execution_id="x", input_=None)
    await worker.starting.insert(row)
    await bench.deliver(worker, Start(to="one", id="x/start", execution_id="x"))


async def row_of(bench):
    row = await bench.storage.read("one")
    assert row is not None
    return row


async def end_unheard(bench, message):
    """Deliver a message that ends the orchestration to a worker that can't send anything."""
    deaf = Deaf(bench.storage)
    deaf.hears = False
    with pytest.raises(StorageUnavailable):
        await bench.deliver(bench.worker(deaf), message)


FAILED = Completions(
    to="one", id="x.0/done/2", execution="x.0", items=[Completion(2, failure=Failure("ValueError", "boom"))]
)


async def purged(bench, worker):
    assert await purge(bench.storage, worker.dispatch, await row_of(bench))


async def replaced(bench, worker):
    row = await row_of(bench)
    assert await worker.dispatch.farewell(row)
    assert await replace_ended(bench.storage, row, worker.starting.row("one", "holder", execution_id="y", input_=None))


async def rewound(bench, worker):
    await bench.deliver(worker, Rewind(to="one", id="r", execution_id="x", reason="again"))


@pytest.mark.parametrize("gone", [purged, replaced, rewound])
async def test_locks_are_released_though_the_orchestration_that_asked_for_them_is_no_more(bench, gone):
    worker = bench.worker()
    await start(bench, worker)
    asked = next(each for each in bench.taken() if isinstance(each, AcquireLock))
    await end_unheard(bench, FAILED)
    await gone(bench, bench.worker())
    released = [each for each in bench.taken() if isinstance(each, ReleaseLock)]
    assert [(each.to, each.lock) for each in released] == [("@e@1", asked.lock)]


async def test_what_was_sent_long_ago_is_not_sent_again_before_a_purge(bench):
    """The entity would not know it any more."""
    await start(bench, bench.worker())
    assert any(isinstance(each, Operate) for each in bench.taken())
    await bench.clock.sleep(7200)
    worker = bench.worker()
    await bench.deliver(worker, Terminate(to="one", id="t", reason="enough"))
    bench.taken()
    await purged(bench, bench.worker())
    assert [type(each) for each in bench.taken()] == [ReleaseLock]


class Barren:
    """A storage that takes no new rows."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def insert(self, row):
        raise StorageUnavailable(f"no room for '{row.instance.instance_id}'")


async def test_a_child_that_was_terminated_with_its_parent_before_it_was_started_is_not_started_later(bench):
    """Its parent's worker died before it had started it; its message is hidden until nobody terminates it any more."""

    def parent(context):
        yield context.call_sub_orchestrator("child", None, "the child")

    def child(context):
        yield context.wait_for_external_event("never")

    bench.registry.orchestrators.add("parent", parent)
    bench.registry.orchestrators.add("child", child)
    await bench.worker().starting.insert(bench.worker().starting.row("one", "parent", execution_id="x", input_=None))
    message = Start(to="one", id="x/start", execution_id="x")
    with pytest.raises(StorageUnavailable):
        await bench.deliver(bench.worker(Barren(bench.storage)), message)
    worker = bench.worker()
    await bench.deliver(worker, Terminate(to="one", id="t", reason="enough"))
    while terminations := [each for each in bench.taken() if isinstance(each, Terminate)]:
        for number, each in enumerate(terminations):
            await bench.deliver(worker, each, queue_id=f"{each.id}-{each.tries}-{number}")
    await bench.deliver(worker, message, count=2)
    for each in bench.taken():
        await bench.deliver(worker, each)
    instance = await bench.storage.read_instance("the child")
    assert instance is None or instance.status == "Terminated"
