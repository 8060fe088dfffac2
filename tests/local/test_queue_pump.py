"""The pump under virtual time, on the in-memory store."""

import asyncio
import logging
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import pytest

from perdure.local.invocation import InvocationError
from perdure.local.polling import Polling
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.memory import MemoryStorage
from perdure.storage.protocol import Queues, StorageUnavailable
from perdure.testing.virtual_time import run_virtual

QUEUE = "work"
POISON = "work-poison"


def now():
    return asyncio.get_running_loop().time()


class Store(MemoryStorage):
    """The in-memory queues on the loop's clock; calls can be made to fail, and are counted."""

    def __init__(self):
        super().__init__("hub", clock=now)
        self.failing = set()
        self.calls = []

    async def _call(self, name):
        self.calls.append((name, now()))
        if name in self.failing:
            raise StorageUnavailable("The store is away.")

    async def receive(self, queue, *, count, invisibility):
        await self._call("receive")
        return await super().receive(queue, count=count, invisibility=invisibility)

    async def wait_for_message(self, queue, timeout):  # noqa: ASYNC109 - the protocol's own
        await self._call("wait")
        await super().wait_for_message(queue, timeout)

    async def extend(self, queue, message_id, receipt, *, invisibility):
        await self._call("extend")
        return await super().extend(queue, message_id, receipt, invisibility=invisibility)

    async def delete_message(self, queue, message_id, receipt):
        await self._call("delete")
        return await super().delete_message(queue, message_id, receipt)

    async def send(self, queue, body, *, delay=0):
        await self._call("send")
        return await super().send(queue, body, delay=delay)

    def times(self, name):
        return [moment for call, moment in self.calls if call == name]


class Silent:
    """The same store without notifications, like Azure's."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        if name == "wait_for_message":
            raise AttributeError(name)
        return getattr(self._store, name)


class Function:
    """Stands for a user's function: notes its runs, takes its time, and fails on request."""

    def __init__(self, *, lasts=0.0, fails=lambda _message: False):
        self.runs = []
        self.done = []
        self.at_once = 0
        self.most_at_once = 0
        self._lasts = lasts
        self._fails = fails

    async def __call__(self, message):
        self.runs.append((message.body, message.dequeue_count, now()))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self._lasts)
        finally:
            self.at_once -= 1
        if self._fails(message):
            raise InvocationError("The function failed.")
        self.done.append(message.body)


@asynccontextmanager
async def pumping(store, function, **options):
    await store.create_queue(QUEUE)
    pump = QueuePump(store, QUEUE, function, PumpOptions(**options))
    task = asyncio.create_task(pump.run())
    try:
        yield pump
    finally:
        pump.stop()
        await pump.release()
        await task


async def emptied(store, queue=QUEUE):
    while await store.queue_length(queue):
        await asyncio.sleep(0.05)


def test_a_message_is_delivered_once_and_deleted():
    async def main():
        store, function = Store(), Function()
        async with pumping(store, function):
            await store.send(QUEUE, "a")
            await emptied(store)
            await asyncio.sleep(600)
        return function.runs

    assert [(body, count) for body, count, _ in run_virtual(main())] == [("a", 1)]


def test_a_store_that_goes_away_while_an_empty_queue_is_waited_for_is_tried_again():
    async def main():
        store, function = Store(), Function()
        store.failing.add("wait")
        async with pumping(store, function):
            await asyncio.sleep(30)
            store.failing.clear()
            await asyncio.sleep(12)
            sent = now()
            await store.send(QUEUE, "a")
            await emptied(store)
            [(body, _, began)] = function.runs
        return body, began - sent, len(store.times("wait"))

    body, waited, tries = run_virtual(main())
    assert (body, waited) == ("a", 0)
    assert tries < 20, "a store that is away is not to be stormed"


def test_a_long_run_keeps_its_message_hidden():
    async def main():
        store, function = Store(), Function(lasts=200)
        async with pumping(store, function, invisibility=60):
            await store.send(QUEUE, "a")
            await emptied(store)
        return function.runs, store.times("extend")

    runs, extended = run_virtual(main())
    assert len(runs) == 1
    assert extended == [pytest.approx(30 * n, abs=0.2) for n in range(1, 7)]


def test_a_failed_renewal_is_tried_again_before_the_message_reappears():
    async def main():
        store, function = Store(), Function(lasts=100)
        async with pumping(store, function, invisibility=60):
            await store.send(QUEUE, "a")
            await asyncio.sleep(29)
            store.failing.add("extend")
            await asyncio.sleep(15)
            store.failing.clear()
            await emptied(store)
        return function.runs

    assert len(run_virtual(main())) == 1


def test_a_message_lost_to_somebody_else_is_left_to_them(caplog):
    async def main():
        store, function = Store(), Function(lasts=100, fails=lambda _: True)
        async with pumping(store, function, invisibility=60) as pump:
            await store.send(QUEUE, "a")
            await asyncio.sleep(25)
            # another host took it: our receipt is stale
            [[message_id, message]] = store._store.queues[QUEUE].items()
            await MemoryStorage.extend(store, QUEUE, message_id, message.receipt, invisibility=3600)
            await asyncio.sleep(200)
            pump.stop()
            return await store.queue_length(QUEUE), store.times("extend")

    length, extended = run_virtual(main())
    assert length == 1
    assert len(extended) == 1
    assert "reappeared while it was being worked on" in caplog.text


def test_a_failed_message_comes_back_after_the_visibility_timeout():
    async def main():
        store, function = Store(), Function(fails=lambda message: message.dequeue_count < 3)
        async with pumping(store, function, visibility_timeout=10):
            await store.send(QUEUE, "a")
            await emptied(store)
        return [(count, round(moment)) for _, count, moment in function.runs]

    assert run_virtual(main()) == [(1, 0), (2, 10), (3, 20)]


def test_a_poisoned_message_moves_to_the_poison_queue(caplog):
    async def main():
        store, function = Store(), Function(fails=lambda _: True)
        async with pumping(store, function, max_dequeue_count=3, visibility_timeout=10):
            await store.send(QUEUE, '{"a": 1}')
            await emptied(store)
            [poisoned] = await store.receive(POISON, count=32, invisibility=1)
        return [(count, round(moment)) for _, count, moment in function.runs], now(), poisoned.body

    runs, ended, body = run_virtual(main())
    assert runs == [(1, 0), (2, 10), (3, 20)]
    assert ended < 21
    assert body == '{"a": 1}'
    assert "has reached MaxDequeueCount of 3. Moving message to queue 'work-poison'" in caplog.text


def test_poisoning_sends_before_it_deletes():
    async def main():
        store, function = Store(), Function(fails=lambda _: True)
        async with pumping(store, function, max_dequeue_count=1):
            await store.send(QUEUE, "a")
            store.failing.add("send")
            await asyncio.sleep(30)
            kept = await store.queue_length(QUEUE)
            store.failing.clear()
            await emptied(store)
        return kept, await store.queue_length(POISON), len(function.runs)

    # the second delivery is one too many: it goes to the poison queue without running again
    assert run_virtual(main()) == (1, 1, 1)


def test_a_message_that_killed_its_hosts_is_not_run_again():
    async def main():
        store, function = Store(), Function()
        await store.create_queue(QUEUE)
        await store.send(QUEUE, "a")
        for _ in range(5):
            await store.receive(QUEUE, count=1, invisibility=1)
            await asyncio.sleep(2)
        async with pumping(store, function, max_dequeue_count=5):
            await emptied(store)
        return function.runs, await store.queue_length(POISON)

    assert run_virtual(main()) == ([], 1)


def test_a_poison_queues_own_function_has_no_poison_queue():
    async def main():
        store, function = Store(), Function(fails=lambda _: True)
        await store.create_queue(POISON)
        await store.send(POISON, "a")
        pump = QueuePump(store, POISON, function, PumpOptions(invisibility=60, max_dequeue_count=2))
        task = asyncio.create_task(pump.run())
        await asyncio.sleep(500)
        pump.stop()
        await task
        return len(function.runs), await store.queue_length(POISON), "work-poison-poison" in store._store.queues

    assert run_virtual(main()) == (2, 1, False)


def test_no_more_run_at_once_than_a_batch_and_the_threshold():
    async def main():
        store, function = Store(), Function(lasts=1)
        await store.create_queue(QUEUE)
        for number in range(100):
            await store.send(QUEUE, str(number))
        async with pumping(store, function, batch_size=8, new_batch_threshold=4):
            await emptied(store)
        return function.most_at_once, sorted(function.done, key=int)

    most, done = run_virtual(main())
    assert 8 <= most <= 12
    assert done == [str(number) for number in range(100)]


def test_an_outage_is_survived_with_growing_pauses(caplog):
    async def main():
        store, function = Store(), Function()
        store.failing.add("receive")
        async with pumping(store, function):
            await store.send(QUEUE, "a")
            await asyncio.sleep(120)
            tries = store.times("receive")
            store.failing.clear()
            await emptied(store)
        return tries, function.done

    tries, done = run_virtual(main())
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses[0] < 0.3
    assert 7 < pauses[-1] < 13
    assert len(tries) < 25
    assert done == ["a"]
    assert "can't be read, trying again: The store is away." in caplog.text


def test_a_deletion_that_fails_means_another_delivery():
    async def main():
        store, function = Store(), Function()
        async with pumping(store, function, invisibility=60):
            await store.send(QUEUE, "a")
            store.failing.add("delete")
            await asyncio.sleep(30)
            store.failing.clear()
            await emptied(store)
        return [count for _, count, _ in function.runs]

    assert run_virtual(main()) == [1, 2]


def test_a_drained_pump_has_finished_what_it_took():
    async def main():
        store, function = Store(), Function(lasts=5)
        await store.create_queue(QUEUE)
        for body in "abc":
            await store.send(QUEUE, body)
        pump = QueuePump(store, QUEUE, function, PumpOptions())
        task = asyncio.create_task(pump.run())
        await asyncio.sleep(1)
        pump.stop()
        await store.send(QUEUE, "late")
        await task
        await pump.drain(10)
        return sorted(function.done), await store.queue_length(QUEUE), now()

    done, left, ended = run_virtual(main())
    assert (done, left) == (["a", "b", "c"], 1)
    assert ended == pytest.approx(5, abs=0.5)


def test_what_does_not_finish_in_time_is_given_back_at_once():
    async def main():
        store, function = Store(), Function(lasts=1000)
        await store.create_queue(QUEUE)
        await store.send(QUEUE, "a")
        pump = QueuePump(store, QUEUE, function, PumpOptions())
        task = asyncio.create_task(pump.run())
        await asyncio.sleep(1)
        pump.stop()
        await task
        await pump.drain(10)
        await pump.release()
        [again] = await store.receive(QUEUE, count=1, invisibility=1)
        return function.done, function.at_once, again.dequeue_count

    assert run_virtual(main()) == ([], 0, 2)


def test_a_message_received_while_stopping_is_given_back():
    async def main():
        store, function = Store(), Function()
        await store.create_queue(QUEUE)
        await store.send(QUEUE, "a")
        pump = QueuePump(store, QUEUE, function, PumpOptions())
        receive = store.receive

        async def slow_receive(queue, *, count, invisibility):
            messages = await receive(queue, count=count, invisibility=invisibility)
            pump.stop()
            return messages

        store.receive = slow_receive
        await pump.run()
        store.receive = receive
        return function.runs, len(await store.receive(QUEUE, count=1, invisibility=1))

    assert run_virtual(main()) == ([], 1)


def test_a_breakdown_of_ours_is_logged_and_the_message_comes_back(caplog):
    async def main():
        runs = []

        async def handle(message):
            runs.append(message.dequeue_count)
            if len(runs) == 1:
                raise ZeroDivisionError

        store = Store()
        async with pumping(store, handle, invisibility=10):
            await store.send(QUEUE, "a")
            await emptied(store)
        return runs

    with caplog.at_level(logging.ERROR):
        assert run_virtual(main()) == [1, 2]
    assert "a delivery broke down" in caplog.text


def test_an_idle_queue_without_notifications_is_polled_ever_more_rarely():
    async def main():
        store, function = Store(), Function()
        await store.create_queue(QUEUE)
        pump = QueuePump(Silent(store), QUEUE, function, PumpOptions(max_polling_interval=2))
        task = asyncio.create_task(pump.run())
        await asyncio.sleep(60)
        idle = store.times("receive")
        await store.send(QUEUE, "a")
        await emptied(store)
        store.calls.clear()
        await asyncio.sleep(1)
        after_work = store.times("receive")
        pump.stop()
        await task
        return idle, after_work

    idle, after_work = run_virtual(main())
    pauses = [later - earlier for earlier, later in pairwise(idle)]
    growing = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
    assert pauses[:8] == [pytest.approx(pause, rel=0.21) for pause in growing]
    assert pauses[8:] == [pytest.approx(2, rel=0.21)] * len(pauses[8:])
    assert len(after_work) >= 2


def test_a_store_that_notifies_wakes_the_pump_at_once():
    async def main():
        store, function = Store(), Function()
        async with pumping(store, function):
            await asyncio.sleep(30)
            await store.send(QUEUE, "a", delay=7.25)
            await asyncio.sleep(10)
        return [round(moment, 2) for _, _, moment in function.runs]

    assert run_virtual(main()) == [37.25]


def test_a_store_that_notifies_is_looked_at_once_a_minute():
    async def main():
        store = Store()
        async with pumping(store, Function(), max_polling_interval=1):
            await asyncio.sleep(600)
        return len(store.times("receive"))

    assert run_virtual(main()) == pytest.approx(10, abs=1)


def test_a_batch_that_is_not_full_was_all_that_there_was():
    """The next look is a request that costs as much as the message, and gets nothing: it can wait for 10 ms."""

    async def main():
        store, function = Store(), Function(lasts=0.1)
        await store.create_queue(QUEUE)
        for number in range(20):
            await store.send(QUEUE, str(number))
        options = PumpOptions(max_polling_interval=2, batch_size=16, new_batch_threshold=32)
        pump = QueuePump(Silent(store), QUEUE, function, options)
        task = asyncio.create_task(pump.run())
        await asyncio.sleep(0.015)
        pump.stop()
        await task
        return store.times("receive")

    assert run_virtual(main()) == [0, 0, pytest.approx(0.01, rel=0.21)], "a full batch, the rest, and one look more"


def test_two_that_look_for_messages_do_not_stay_in_step():
    class Silent:
        """A queue of another machine: nothing tells of its messages."""

    async def looks(moments):
        polling = Polling(cast("Queues", Silent()), QUEUE, 0.1)
        for _ in range(100):
            await polling.wait()
            moments.append(now())

    async def main():
        first, second = [], []
        await asyncio.gather(looks(first), looks(second))
        due = [moment / 10 for moment in range(10, 90)]
        return [next(m for m in first if m >= moment) < next(m for m in second if m >= moment) for moment in due]

    first_wins = sum(run_virtual(main()))
    assert 8 < first_wins < 72


def test_many_messages_survive_failures_outages_and_a_restart():
    async def main():
        store = Store()
        function = Function(lasts=3, fails=lambda message: message.dequeue_count == 1 and int(message.body) % 3 == 0)
        await store.create_queue(QUEUE)
        for number in range(60):
            await store.send(QUEUE, str(number))
        for _ in range(4):
            async with pumping(store, function, invisibility=20, batch_size=8, new_batch_threshold=4):
                await asyncio.sleep(5)
                store.failing.update({"receive", "delete", "extend"})
                await asyncio.sleep(6)
                store.failing.clear()
        async with pumping(store, function, invisibility=20, max_dequeue_count=50):
            await emptied(store)
        return set(function.done), POISON in store._store.queues

    done, poisoned = run_virtual(main())
    assert done == {str(number) for number in range(60)}
    assert not poisoned
