"""What writers and readers of a stream can rely on, over every store."""

import asyncio

import pytest

from perdure.errors import InstanceNotFoundError
from perdure.streaming import StreamClosedError
from perdure.streaming.chunk import MAX_ITEM_BYTES
from tests.streaming.conftest import said


class Broken(Exception):
    pass


async def broken_off(streams, *items, **options):
    """Write some items, and leave as an activity does that raises."""

    async def attempt():
        async with streams.write(**options) as stream:
            for item in items:
                await stream.write(item)
            raise Broken

    with pytest.raises(Broken):
        await attempt()


async def test_what_is_written_is_read_in_order_and_ends(streams):
    async with streams.write() as stream:
        await stream.write("Hello")
        await stream.write({"deep": [1, None, "ä"]})
        await stream.write(7, event="count")
        assert await stream.finish({"words": 2}) is True

    assert await streams.read() == ["Hello", {"deep": [1, None, "ä"]}, "count: 7", "end: completed {'words': 2}"]


async def test_whatever_json_can_hold_is_read_back(streams):
    said_ = ["\ud83d", "\ude00", 10**40, 0.1, None, [], {"": {}}, "line\nline", True]
    async with streams.write() as stream:
        for each in said_:
            await stream.write(each)
        await stream.complete("\ud83d")
    async with streams.write() as again:
        assert again.result == "\ud83d"

    assert await streams.read() == said_


async def test_a_reader_that_resumes_at_any_item_gets_exactly_those_that_remain(streams):
    await broken_off(streams, "x", "y", step="b")
    async with streams.write(step="a") as stream:
        for number in range(5):
            await stream.write(number)
            if number % 2:
                await stream.flush()
    async with streams.write(step="b") as stream:
        await stream.write("z")
        await stream.finish()

    page = await streams.page()
    assert page.ended
    assert [said(item) for item in page.items] == ["x", "y", 0, 1, 2, 3, 4, "restart: 2", "z", "end: completed None"]
    for place, item in enumerate(page.items):
        rest = await streams.page(item.cursor)
        assert rest.items == page.items[place + 1 :]
        assert rest.ended
    for limit in (1, 2, 3):
        found, cursor, ended = [], None, False
        while not ended:
            part = await streams.page(cursor, limit=limit)
            assert len(part.items) <= limit
            found, cursor, ended = found + part.items, part.cursor, part.ended
        assert [said(item) for item in found] == [said(item) for item in page.items]


async def test_steps_go_on_with_the_same_stream(streams):
    for step in "abc":
        async with streams.write(step=step) as stream:
            assert (stream.attempt, stream.finished, stream.is_open) == (1, False, True)
            await stream.write(f"{step}1")
            await stream.write(f"{step}2")

    assert await streams.read() == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert [item.step for item in (await streams.page()).items] == ["a", "a", "b", "b", "c", "c"]


async def test_streams_of_an_instance_are_apart_whatever_their_names(streams):
    names = ["a", "a-00000000", "a-0", "A", "01-a", "a-s000000000000-0001"]
    for name in names:
        async with streams.write(name=name) as stream:
            await stream.write(name)

    for name in names:
        assert await streams.read(name=name) == [name]


async def test_a_step_that_broke_off_is_written_anew_and_readers_are_told(streams):
    await broken_off(streams, "x", "y", step="a")
    await broken_off(streams, "x'", step="a")

    async with streams.write(step="a") as stream:
        assert stream.attempt == 3
        await stream.write("x''")

    assert await streams.read() == ["x", "y", "restart: 2", "x'", "restart: 1", "x''"]


async def test_an_attempt_that_said_nothing_needs_no_restart(streams):
    await broken_off(streams, step="a")
    async with streams.write(step="a") as stream:
        await stream.write("x")

    assert await streams.read() == ["x"]


async def test_a_repeat_that_says_nothing_makes_what_was_said_void(streams):
    await broken_off(streams, "x", step="a")
    async with streams.write(step="a"):
        pass

    assert await streams.read() == ["x", "restart: 1"]


async def test_a_finished_step_is_not_written_again_and_its_result_is_kept(streams):
    async with streams.write(step="a") as stream:
        await stream.write("x")
        assert await stream.complete({"text": "x"}) == {"text": "x"}
        assert stream.result == {"text": "x"}
        assert not stream.is_open
        with pytest.raises(StreamClosedError, match=r"step 'a' of stream 'talk' of instance 'one'"):
            await stream.write("more")

    async with streams.write(step="a") as again:
        assert (again.finished, again.result, again.is_open) == (True, {"text": "x"}, False)
        await again.write("y")
        await again.flush()
        assert await again.complete("y") == {"text": "x"}

    assert await streams.read() == ["x"]


async def test_a_step_is_finished_when_its_block_ends_well(streams):
    async with streams.write(step="a") as stream:
        await stream.write("x")
    async with streams.write(step="a") as again:
        assert (again.finished, again.result) == (True, None)
        await again.write("y")

    assert await streams.read() == ["x"]


async def test_a_newer_attempt_shuts_the_older_one_out(streams):
    async with streams.write(step="a") as old, streams.write(step="b") as other:
        await old.write("old 1")
        await old.flush()
        async with streams.write(step="a") as new:
            await new.write("new 1")
            await new.flush()
            await old.write("old 2")
            await old.flush()
            assert not old.is_open
            await old.write("old 3")
            await other.write("other")
            await other.flush()
            await new.write("new 2")
            await new.complete("new")
        assert await old.complete("old") == "new"
        assert old.finished

    assert await streams.read() == ["old 1", "restart: 1", "new 1", "other", "new 2"]


async def test_of_two_attempts_the_one_that_was_opened_later_counts_whichever_speaks_first(streams):
    async with streams.write(step="a") as old, streams.write(step="a") as new:
        await old.write("old")
        await old.flush()
        await new.write("new")
        await new.flush()
    assert await streams.read() == ["old", "restart: 1", "new"]

    async with streams.write(step="b", name="other") as old, streams.write(step="b", name="other") as new:
        await new.write("new")
        await new.flush()
        await old.write("old")
        await old.flush()
    assert await streams.read("other") == ["new"]


async def test_many_writers_at_once_lose_nothing_and_keep_their_order(streams):
    async def speak(step):
        async with streams.write(step=step) as stream:
            for number in range(5):
                await stream.write([step, number])
                await stream.flush()

    await asyncio.gather(*map(speak, "abcdef"))

    found = await streams.read()
    assert len(found) == 30
    for step in "abcdef":
        assert [number for who, number in found if who == step] == list(range(5))


async def test_nothing_is_written_after_the_end_and_the_end_is_written_once(streams):
    async with streams.write(step="b") as late:
        async with streams.write(step="a") as stream:
            assert await stream.fail(ValueError("no model")) is True
        await late.write("more")
        await late.flush()
        assert not late.is_open
        assert await late.finish("later") is False
    async with streams.write(step="a") as again:
        assert again.finished
        assert await again.finish("again") is False
    async with streams.write(step="c") as unaware:
        await unaware.write("more")

    assert await streams.read() == ["end: failed ValueError: no model"]


async def test_a_step_that_begins_after_the_end_is_told_so(streams):
    async with streams.write(step="a") as stream:
        await stream.write("x")
        await stream.finish()
    async with streams.write(step="b") as late:
        assert not late.is_open
        assert await late.finish("other") is False
    assert await streams.read() == ["x", "end: completed None"]


async def test_a_step_that_finished_without_ending_the_stream_can_end_it_when_it_is_repeated(streams):
    async with streams.write(step="a") as stream:
        await stream.write("x")
        await stream.complete()
    async with streams.write(step="a") as again:
        assert await again.finish("done") is True

    assert await streams.read() == ["x", "end: completed done"]


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("Completed", "end: completed None"),
        ("Failed", "end: failed instance 'two' has ended: Failed"),
        ("Terminated", "end: terminated instance 'two' has ended: Terminated"),
    ],
)
async def test_a_stream_ends_with_its_instance(streams, status, end):
    await streams.begin("two", status=status)
    async with streams.write(instance_id="two") as stream:
        await stream.write("x")

    first = await streams.page(instance_id="two")
    second = await streams.page(first.cursor, instance_id="two", wait=60)
    third = await streams.page(second.cursor, instance_id="two", wait=60)

    assert ([said(item) for item in first.items], first.ended) == (["x"], False)
    assert ([said(item) for item in second.items], second.ended) == ([end], True)
    assert (third.items, third.ended, third.cursor) == ([], True, second.cursor)


async def test_a_stream_goes_on_when_its_instance_is_rewound(streams):
    row = await streams.begin("two", status="Failed")
    end = await streams.page(instance_id="two")
    assert end.ended
    row.instance.status = "Running"
    row.etag = await streams.storage.replace(row)
    async with streams.write(instance_id="two") as stream:
        await stream.write("x")

    page = await streams.page(end.cursor, instance_id="two")

    assert ([said(item) for item in page.items], page.ended) == (["x"], False)


async def test_the_streams_of_a_purged_instance_end_and_are_not_those_of_the_next_one(streams):
    row = await streams.begin("two")
    async with streams.write(instance_id="two") as stream:
        await stream.write("x")
    page = await streams.page(instance_id="two")
    await streams.storage.delete("two", row.etag)

    gone = await streams.page(page.cursor, instance_id="two", wait=60)
    assert [said(item) for item in gone.items] == ["end: deleted instance 'two' has been purged, or begun anew"]
    with pytest.raises(InstanceNotFoundError, match="'two'"):
        await streams.page(instance_id="two")

    await streams.begin("two")
    assert await streams.read(instance_id="two") == []
    assert (await streams.page(page.cursor, instance_id="two")).ended


async def test_a_writer_that_outlives_its_instance_leaves_nothing_behind(streams):
    row = await streams.begin("two")
    async with streams.write(instance_id="two") as stream:
        await stream.write("x")
        await stream.flush()
        payloads = await streams.storage.list_payloads("two")
        assert len(payloads) == 2
        await streams.storage.delete_payloads("two", payloads)
        await streams.storage.delete("two", row.etag)
        await stream.write("y")

    assert await streams.storage.list_payloads("two") == []


async def test_an_entity_has_streams_before_it_has_a_row_and_until_they_are_deleted(streams):
    async with streams.write(instance_id="@chat@1") as stream:
        await stream.write("x")
    page = await streams.page(instance_id="@chat@1")
    assert [said(item) for item in page.items] == ["x"]
    assert (await streams.page(page.cursor, instance_id="@chat@1")).items == []

    await streams.storage.delete_payloads("@chat@1", await streams.storage.list_payloads("@chat@1"))

    gone = await streams.page(page.cursor, instance_id="@chat@1", wait=60)
    assert [said(item) for item in gone.items] == ["end: deleted stream 'talk' of instance '@chat@1' has been deleted"]


async def test_a_stream_that_nobody_has_written_to_is_empty(streams):
    page = await streams.page(name="nothing")

    assert (page.items, page.ended) == ([], False)


@pytest.mark.parametrize("cursor", ["", "x", "abc.1", "abc.1.x", "../../etc", "abc.-1.0", 7])
async def test_what_is_no_cursor_is_refused(streams, cursor):
    with pytest.raises(ValueError, match="no cursor"):
        await streams.page(cursor)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a_b", "a.b", "é", "x" * 65, "line\n"])
async def test_what_can_name_no_stream_is_refused(streams, name):
    with pytest.raises(ValueError, match="can't name a stream"):
        streams.write(name=name)
    with pytest.raises(ValueError, match="can't name a stream"):
        await streams.page(name=name)


@pytest.mark.parametrize("event", ["", "restart", "end", "two words", "line\n", "x" * 65])
async def test_what_can_name_no_event_is_refused(streams, event):
    async with streams.write() as stream:
        with pytest.raises(ValueError, match="can't name an event"):
            await stream.write("x", event=event)


async def test_an_item_too_large_is_refused_and_the_largest_is_not(streams):
    async with streams.write() as stream:
        with pytest.raises(ValueError, match=r"an item of stream 'talk' has 1048577 bytes"):
            await stream.write("x" * (MAX_ITEM_BYTES - 1))
        await stream.write("x" * (MAX_ITEM_BYTES - 2))

    assert await streams.read() == ["x" * (MAX_ITEM_BYTES - 2)]
