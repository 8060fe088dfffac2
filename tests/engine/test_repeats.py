"""What is told or taken over again: outcomes may share messages with others than the first time, and what history needs
of them stays; what runs, or has run, is not run again without need.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from perdure.core.codec import encode_message
from perdure.core.messages import Completion, Completions, RaiseEvent, Rewind, Start, WorkItem
from perdure.engine.delivery import WorkerStopped
from perdure.engine.registry import Registry
from perdure.engine.succession import purge
from perdure.storage.protocol import StorageUnavailable
from tests.engine.bench import LARGE, Bench


async def start(bench, worker, name):
    await worker.starting.insert(worker.starting.row("one", name, execution_id="e", input_=None))
    await bench.deliver(worker, Start(to="one", id="e/start", execution_id="e"))


async def output(bench, worker):
    instance = await bench.storage.read_instance("one")
    assert instance.status == "Completed", instance
    return json.loads(await worker.payloads.text("one", instance.output))


GO = RaiseEvent(to="one", id="go", name="go", data="1")


async def test_children_that_are_purged_together_tell_their_outcomes_again_and_the_parent_keeps_them():
    def parent(context):
        results = yield context.task_all(
            [context.call_sub_orchestrator("child", instance_id=f"child-{number}") for number in range(3)]
        )
        yield context.wait_for_external_event("go")
        return [len(result) for result in results]

    def child(_):
        return LARGE

    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("parent", parent)
    bench.registry.orchestrators.add("child", child)
    worker = bench.worker()
    await start(bench, worker, "parent")
    for message in bench.taken():
        await bench.deliver(worker, message)
    outcomes = [(message.to, message.execution, item) for message in bench.taken() for item in message.items]
    for to, execution, item in outcomes:  # the first time each came by itself
        await bench.deliver(
            worker, Completions(to=to, id=f"{execution}/done/{item.no}", execution=execution, items=[item])
        )

    rows = [await bench.storage.read(f"child-{number}") for number in range(3)]
    await asyncio.gather(*(purge(bench.storage, worker.dispatch, row) for row in rows))
    again = bench.taken()
    assert sum(len(message.items) for message in again) == 3
    assert any(len(message.items) > 1 for message in again), "they share a message that nobody has seen before"
    for message in again:
        await bench.deliver(worker, message, queue_id=f"again-{message.id}")

    cold = bench.worker()
    await bench.deliver(cold, GO)
    assert await output(bench, cold) == [len(LARGE)] * 3


async def test_an_outcome_that_a_blocked_instance_has_put_back_keeps_its_data_though_a_copy_of_it_is_dropped():
    def waiting(context):
        return (yield context.call_activity("elsewhere", placement="queue"))

    def changed(context):
        return (yield context.wait_for_external_event("go"))

    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("waiting", waiting)
    await start(bench, bench.worker(), "waiting")
    bench.taken()
    registry, bench.registry = bench.registry, Registry()
    bench.registry.orchestrators.add("waiting", changed)
    worker = bench.worker()
    datum = await worker.payloads.offload("one", json.dumps(LARGE))
    told = Completions(to="one", id="e.0/done/0", execution="e.0", items=[Completion(0, datum)])
    again = Completions(to="one", id="e.0/done/0,7", execution="e.0", items=[Completion(0, datum), Completion(7, "1")])
    await asyncio.gather(bench.deliver(worker, told), bench.deliver(worker, again))
    (later,) = bench.taken()
    bench.registry = registry
    mended = bench.worker()
    await bench.deliver(mended, later)
    assert await output(bench, mended) == LARGE


class Here:
    """A bench with an orchestration that runs activities in place, once it is known how short they are."""

    def __init__(self, *, crowd: int) -> None:
        def fan(context):
            yield context.call_activity("work", -1)
            results = yield context.task_all([context.call_activity("work", number) for number in range(crowd)])
            return sum(results)

        def changed(context):
            yield context.wait_for_external_event("go")

        self.begun = []
        self.came_to_an_end = []
        self.go_on = asyncio.Event()
        self.bench = Bench(lambda _: None)
        self.bench.registry.orchestrators.add("fan", fan)
        self.bench.registry.activities.add("work", self._work)
        self.changed = Registry()
        self.changed.orchestrators.add("fan", changed)
        self.changed.activities.add("work", self._work)

    async def _work(self, number):
        self.begun.append(number)
        if number >= 0:
            await self.go_on.wait()
        self.came_to_an_end.append(number)
        return number

    async def begin(self, worker):
        """Start it; return what acknowledges the start message. Everything in place has begun then."""
        await worker.starting.insert(worker.starting.row("one", "fan", execution_id="e", input_=None))
        message = Start(to="one", id="e/start", execution_id="e", safety_net=True)
        anchor = asyncio.create_task(self.bench.deliver(worker, message, queue_id="net"))
        while not any(number >= 0 for number in self.begun):
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        return anchor


async def test_a_session_that_takes_over_from_itself_goes_on_with_what_it_runs():
    """The copy of its anchor that lay under it has shown up: the event loop was held up for long."""
    here = Here(crowd=3)
    worker = here.bench.worker()
    anchor = await here.begin(worker)
    assert here.begun == [-1, 0, 1, 2]
    copy = asyncio.create_task(
        here.bench.deliver(
            worker, Start(to="one", id="e/start", execution_id="e", safety_net=True, tries=1), queue_id="copy"
        )
    )
    for _ in range(20):
        await asyncio.sleep(0)
    assert [each for each in here.bench.taken() if isinstance(each, WorkItem)] == []
    here.go_on.set()
    await asyncio.gather(anchor, copy, return_exceptions=True)
    assert await output(here.bench, worker) == 3
    assert here.begun == [-1, 0, 1, 2]


@pytest.mark.parametrize("crowd", [1, 3])
async def test_an_instance_that_is_blocked_does_not_run_its_activities_again_and_again(crowd):
    here = Here(crowd=crowd)
    here.go_on.set()
    bench = here.bench
    dying = bench.worker()
    here.go_on.clear()
    anchor = await here.begin(dying)
    await dying.stop()
    with pytest.raises(WorkerStopped):
        await anchor
    here.go_on.set()
    registry, bench.registry = bench.registry, here.changed
    worker = bench.worker()
    message = Start(to="one", id="e/start", execution_id="e", safety_net=True)
    await bench.deliver(worker, message, queue_id="net", count=2)
    for round_ in range(6):
        for each in bench.taken():
            if isinstance(each, WorkItem):
                await worker.handle_work(encode_message(each))
            else:
                await bench.deliver(worker, each, queue_id=f"{each.id}-{round_}")
    assert (await bench.storage.read_instance("one")).reason.startswith("blocked")
    assert len(here.begun) <= 1 + 2 * crowd, "once at the worker that died, and once after that"
    bench.registry = registry
    mended = bench.worker()
    for each in bench.taken():
        await bench.deliver(mended, each)
    assert await output(bench, mended) == sum(range(crowd))


async def test_an_outcome_under_an_old_number_takes_nothing_from_the_one_under_the_new_number():
    def parent(context):
        children = [context.call_sub_orchestrator("large"), context.call_sub_orchestrator("fails_once")]
        results = yield context.task_all(children)
        return [len(result) for result in results]

    failures = iter([ValueError("not yet")])

    def fails_once(_):
        for failure in failures:
            raise failure
        return "ok"

    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("parent", parent)
    bench.registry.orchestrators.add("large", lambda _: LARGE)
    bench.registry.orchestrators.add("fails_once", fails_once)
    worker = bench.worker()
    await start(bench, worker, "parent")
    for message in bench.taken():
        await bench.deliver(worker, message)
    large, failed = sorted(bench.taken(), key=lambda message: message.id)
    await bench.deliver(worker, failed)
    assert (await bench.storage.read_instance("one")).status == "Failed"
    await bench.deliver(worker, Rewind(to="one", id="r", execution_id="e", reason="again"))
    for message in bench.taken():
        await bench.deliver(worker, message, queue_id=f"again-{message.id}")
    told_anew = bench.taken()
    await bench.deliver(worker, large)
    cold = bench.worker()
    for message in told_anew:
        await bench.deliver(cold, message, queue_id=f"anew-{message.id}")
    assert await output(bench, cold) == [len(LARGE), 2]


async def test_what_runs_in_place_ends_with_its_session():
    here = Here(crowd=3)
    worker = here.bench.worker()
    anchor = await here.begin(worker)
    await worker.stop()
    with pytest.raises(WorkerStopped):
        await anchor
    here.go_on.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert here.came_to_an_end == [-1], "who takes it over runs the others anew"


async def test_an_anchor_comes_again_if_a_result_can_not_be_stored():
    def one(context):
        return (yield context.call_activity("large"))

    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("one", one)
    bench.registry.activities.add("large", lambda _: LARGE)
    full = bench.worker(Full(bench.storage))
    with pytest.raises(StorageUnavailable):
        await start(bench, full, "one")
    worker = bench.worker()
    await bench.deliver(worker, Start(to="one", id="e/start", execution_id="e"), count=2)
    assert await output(bench, worker) == LARGE


class Full:
    """A storage that takes no large data."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def put_payload(self, *_args):
        raise StorageUnavailable("the store is away")


async def test_an_event_that_has_come_again_does_not_take_the_place_of_the_one_that_answers_for_what_runs_in_place():
    """It may be an old delivery, of a message that has been deleted meanwhile: then it would come no more."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    def orchestrator(context):
        first = yield context.wait_for_external_event("first")
        second = yield context.wait_for_external_event("second")
        yield context.call_activity("slow")
        return [first, second]

    async def slow(_):
        begun.set()
        await go_on.wait()

    bench = Bench(lambda _: None)
    bench.registry.orchestrators.add("orchestrator", orchestrator)
    bench.registry.activities.add("slow", slow)
    worker = bench.worker()
    await start(bench, worker, "orchestrator")
    old = RaiseEvent(to="one", id="m1", name="first", data="1")
    await bench.deliver(worker, old)
    answering = asyncio.create_task(bench.deliver(worker, RaiseEvent(to="one", id="m2", name="second", data="2")))
    await begun.wait()
    await bench.deliver(worker, old, count=2)
    assert not answering.done()
    go_on.set()
    await answering
    assert await output(bench, worker) == [1, 2]
