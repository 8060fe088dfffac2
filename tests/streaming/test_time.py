"""When items are stored and how often a reader looks, in virtual time."""

import asyncio

import pytest

from perdure.storage.counting import CountingStorage
from perdure.storage.memory import MemoryStorage
from perdure.storage.protocol import StorageUnavailable
from perdure.streaming import StreamUnavailable
from perdure.testing.virtual_time import run_virtual
from tests.streaming.conftest import Streams, said


class Flaky(MemoryStorage):
    """Away until a given time; loses answers."""

    back_at = 0.0
    answers_to_lose = 0

    async def add_payload(self, instance_id, payload_id, data):
        if asyncio.get_running_loop().time() < self.back_at:
            raise StorageUnavailable("away")
        added = await super().add_payload(instance_id, payload_id, data)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise StorageUnavailable("the answer was lost")
        return added


def in_virtual_time(scenario):
    async def main():
        store = Flaky("hub")
        streams = Streams(CountingStorage(store))
        await streams.begin()
        streams.storage.counts.clear()
        return await scenario(streams, store)

    return run_virtual(main())


def now():
    return asyncio.get_running_loop().time()


def test_the_first_item_is_stored_at_once_and_others_together_each_100_ms():
    async def scenario(streams, store):
        async with streams.write() as stream:
            opened = streams.storage.counts.total()
            for _ in range(100):
                await stream.write("word")
                await asyncio.sleep(0.01)
            assert now() == pytest.approx(1.0)
        return opened, streams.storage.counts

    opened, counts = in_virtual_time(scenario)
    assert opened == 3, "finding the end, taking an attempt, and the owner's life"
    assert counts == {"read_instance": 2, "list_payloads": 1, "add_payload": 1 + 11 + 1}


def test_a_chunk_is_stored_before_its_time_once_it_is_large():
    async def scenario(streams, store):
        async with streams.write() as stream:
            await stream.write("first")
            await asyncio.sleep(0.001)
            before = streams.storage.counts["add_payload"]
            await stream.write("x" * 9000)
            await asyncio.sleep(0.001)
            assert streams.storage.counts["add_payload"] == before + 1

    in_virtual_time(scenario)


def test_a_short_step_costs_five_requests():
    async def scenario(streams, store):
        async with streams.write() as stream:
            await stream.write("a")
            await stream.write("b")
            await stream.complete("done")
        return streams.storage.counts

    counts = in_virtual_time(scenario)
    assert counts == {"read_instance": 2, "list_payloads": 1, "add_payload": 2}


def test_who_writes_faster_than_the_store_takes_it_has_to_wait():
    async def scenario(streams, store):
        store.back_at = 5.0
        async with asyncio.TaskGroup() as group:
            group.create_task(write(streams))
        return now()

    async def write(streams):
        async with streams.write() as stream:
            for _ in range(20):
                await stream.write("x" * 8000)

    assert in_virtual_time(scenario) >= 5.0


def test_a_store_that_is_away_for_a_while_loses_nothing():
    async def scenario(streams, store):
        async with streams.write() as stream:
            await stream.write("a")
            await stream.flush()
            store.back_at = now() + 40
            await stream.write("b")
            await asyncio.sleep(1)
            await stream.write("c")
        return await streams.read()

    assert in_virtual_time(scenario) == ["a", "b", "c"]


def test_a_store_that_stays_away_is_an_error_of_the_writer():
    async def scenario(streams, store):
        async with streams.write() as stream:
            store.back_at = 1e9
            await stream.write("a")
            with pytest.raises(StreamUnavailable):
                await stream.flush()
            assert 50 <= now() <= 61
            with pytest.raises(StreamUnavailable):
                await stream.write("b")
            store.back_at = 0
            raise KeyError

    with pytest.raises(KeyError):
        in_virtual_time(scenario)


def test_a_reader_that_waits_looks_less_and_less_often():
    async def scenario(streams, store):
        page = await streams.page(wait=20)
        assert (page.items, now()) == ([], pytest.approx(20))
        return streams.storage.counts

    counts = in_virtual_time(scenario)
    assert counts["get_payload"] <= 55
    assert counts["read_instance"] <= 23


def test_a_reader_in_the_writers_process_is_woken_at_once():
    async def scenario(streams, _store):
        async with streams.write() as stream:
            reading = asyncio.create_task(streams.page(wait=60))
            await asyncio.sleep(10)
            await stream.write("x")
            page = await reading
            return [said(item) for item in page.items], now()

    assert in_virtual_time(scenario) == (["x"], pytest.approx(10))


def test_a_reader_waits_no_longer_than_it_says_and_not_at_all_if_it_does_not():
    async def scenario(streams, _store):
        await streams.page(wait=0)
        assert now() == 0
        await streams.page(wait=0.3)
        assert now() == pytest.approx(0.3)

    in_virtual_time(scenario)


def test_a_writer_that_is_shut_out_waits_for_the_newer_one_but_not_for_ever():
    async def scenario(streams, _store):
        old, new = await streams.write().open(), await streams.write().open()
        await new.write("new")
        await new.flush()
        waiting = asyncio.create_task(old.complete("old"))
        await asyncio.sleep(10)
        assert not waiting.done()
        await new.complete("new")
        assert await waiting == "new"

        left = await streams.write(step="b").open()
        dead = await streams.write(step="b").open()
        await dead.write("dead")
        await dead.flush()
        assert await left.complete("left") == "left"
        return now()

    assert in_virtual_time(scenario) == pytest.approx(10.5 + 30, abs=1)


def test_a_chunk_whose_answer_was_lost_is_there_once():
    async def scenario(streams, store):
        async with streams.write() as stream:
            for number in range(6):
                store.answers_to_lose = 2
                await stream.write(number)
                await stream.flush()
        return await streams.read()

    assert in_virtual_time(scenario) == list(range(6))
