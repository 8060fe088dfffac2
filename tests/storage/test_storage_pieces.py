"""Segments and payloads."""

import asyncio
import gzip
import random

import pytest

from perdure.storage.protocol import PayloadMissing
from tests.storage.providers import new_hub


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def prose(size: int) -> bytes:
    return (b"the quick brown fox jumps over the lazy dog. " * (size // 45 + 1))[:size]


@pytest.mark.parametrize("content", [noise, prose])
@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 1024**2, 20 * 1024**2])
async def test_a_payload_comes_back_as_it_was_stored(storage, size, content):
    data = content(size)

    await storage.put_payload("one", "p", data)

    assert await storage.get_payload("one", "p") == data
    assert await storage.list_payloads("one") == ["p"]


async def test_a_payload_may_be_overwritten(storage):
    await storage.put_payload("one", "p", prose(5000))
    await storage.put_payload("one", "p", b"short")

    assert await storage.get_payload("one", "p") == b"short"


@pytest.mark.parametrize("size", [0, 5000, 20 * 1024**2])
async def test_a_payload_is_added_only_where_there_is_none(storage, size):
    first, second = noise(size), prose(size + 1)

    assert await storage.add_payload("one", "p", first) is True
    assert await storage.add_payload("one", "p", second) is False
    assert await storage.get_payload("one", "p") == first
    assert await storage.add_payload("one", "q", second) is True
    assert await storage.add_payload("two", "p", second) is True
    assert await storage.list_payloads("one") == ["p", "q"]


async def test_a_payload_that_was_put_is_not_added_and_one_that_was_deleted_is(storage):
    await storage.put_payload("one", "p", b"put")
    assert await storage.add_payload("one", "p", b"added") is False
    await storage.delete_payloads("one", ["p"])

    assert await storage.add_payload("one", "p", b"added") is True
    await storage.put_payload("one", "p", b"put again")

    assert await storage.get_payload("one", "p") == b"put again"


async def test_of_many_who_add_the_same_payload_one_succeeds(storage):
    data = [str(number).encode() for number in range(12)]

    added = await asyncio.gather(*(storage.add_payload("one", "p", each) for each in data))

    assert sorted(added) == [False] * 11 + [True]
    assert await storage.get_payload("one", "p") == data[added.index(True)]


async def test_payloads_are_listed_by_what_their_names_begin_with(storage):
    for name in ("a", "ab", "ab-1", "abz", "b", "aB", "A"):
        await storage.put_payload("one", name, b"x")
    await storage.put_payload("one-ab", "ab", b"x")
    await storage.put_segment("one", "ab-2", noise(10**6))

    assert await storage.list_payloads("one", "ab") == ["ab", "ab-1", "abz"]
    assert await storage.list_payloads("one", "ab-") == ["ab-1"]
    assert await storage.list_payloads("one", "c") == []
    assert len(await storage.list_payloads("one", "")) == 7
    with pytest.raises(ValueError):
        await storage.list_payloads("one", "a/b")


async def test_bytes_that_are_gzip_already_come_back_untouched(storage):
    data = gzip.compress(noise(1000)) * 3
    await storage.put_payload("one", "p", data)

    assert await storage.get_payload("one", "p") == data


async def test_a_missing_payload_is_an_error_that_names_it(storage):
    with pytest.raises(PayloadMissing, match=r"nothing.*one"):
        await storage.get_payload("one", "nothing")


async def test_payloads_are_deleted_by_name(storage):
    for name in ("a", "b", "c"):
        await storage.put_payload("one", name, b"x")

    await storage.delete_payloads("one", ["c", "a", "never-was"])

    assert await storage.list_payloads("one") == ["b"]
    with pytest.raises(PayloadMissing):
        await storage.get_payload("one", "a")
    await storage.delete_payloads("one", ["b", "c"])
    await storage.delete_payloads("one", [])
    assert await storage.list_payloads("one") == []


async def test_segments_come_back_in_the_order_asked_for(storage):
    names = [f"0-{number}-c{number}" for number in range(12)]
    for name in reversed(names):
        await storage.put_segment("one", name, name.encode())

    assert await storage.get_segments("one", names) == [name.encode() for name in names]
    assert await storage.get_segments("one", [names[7], names[2]]) == [b"0-7-c7", b"0-2-c2"]
    assert await storage.get_segments("one", []) == []
    assert await storage.list_segments("one") == sorted(names)


@pytest.mark.parametrize("size", [0, 60 * 1024, 60 * 1024 + 1, 700 * 1024, 700 * 1024 + 1, 3 * 1024**2])
async def test_a_segment_of_any_size_comes_back(storage, size):
    data = noise(size)

    await storage.put_segment("one", "0-0-c", data)

    assert await storage.get_segments("one", ["0-0-c"]) == [data]
    assert await storage.list_segments("one") == ["0-0-c"]
    assert await storage.list_payloads("one") == []


@pytest.mark.parametrize(("first", "second"), [(10, 3_000_000), (3_000_000, 10), (200_000, 10)])
async def test_a_segment_put_again_is_overwritten(storage, first, second):
    await storage.put_segment("one", "0-0-c", noise(first))
    await storage.put_segment("one", "0-0-c", noise(second))

    assert await storage.get_segments("one", ["0-0-c"]) == [noise(second)]


async def test_a_missing_segment_is_an_error_that_names_it(storage):
    await storage.put_segment("one", "0-0-c", b"x")

    with pytest.raises(PayloadMissing, match=r"0-1-c.*one"):
        await storage.get_segments("one", ["0-0-c", "0-1-c"])


async def test_segments_are_deleted_by_name(storage):
    sizes = {"0-0-small": 9, "0-1-large": 10**6, "0-2-stays": 9}
    await asyncio.gather(*(storage.put_segment("one", name, noise(size)) for name, size in sizes.items()))

    await storage.delete_segments("one", ["0-0-small", "0-1-large", "never-was"])

    assert await storage.list_segments("one") == ["0-2-stays"]
    with pytest.raises(PayloadMissing):
        await storage.get_segments("one", ["0-1-large"])
    await storage.delete_segments("one", list(sizes))
    await storage.delete_segments("one", [])
    assert await storage.list_segments("one") == []


async def test_segments_and_payloads_of_one_name_are_two_things(storage):
    await storage.put_segment("one", "x", noise(10**6))
    await storage.put_payload("one", "x", b"payload")

    assert await storage.get_segments("one", ["x"]) == [noise(10**6)]
    assert await storage.get_payload("one", "x") == b"payload"
    await storage.delete_segments("one", ["x"])
    assert await storage.list_payloads("one") == ["x"]


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "..", "a b", "é", "x" * 129, "line\n"])
async def test_a_name_of_other_characters_is_refused(storage, name):
    with pytest.raises(ValueError):
        await storage.put_payload("one", name, b"")
    with pytest.raises(ValueError):
        await storage.add_payload("one", name, b"")
    with pytest.raises(ValueError):
        await storage.put_segment("one", name, b"")


async def test_all_payloads_are_listed_a_page_at_a_time(storage):
    owners = ["one", "one-more", "@e@1", "a/b", "a.", "..", "~d", "ends~", "\U0001f401", "%2F", "x" * 200]
    there = {(owner, f"p-{number}") for owner in owners for number in range(3)}
    for owner, name in there:
        await storage.put_payload(owner, name, b"x")
    await storage.put_segment("one", "0-0-c", noise(10**6))

    page = await storage.list_all_payloads()
    assert (set(page.payloads), len(page.payloads), page.continuation) == (there, len(there), None)

    found, continuation = [], None
    while True:
        page = await storage.list_all_payloads(top=4, continuation=continuation)
        assert len(page.payloads) <= 4
        found += page.payloads
        if (continuation := page.continuation) is None:
            break
    assert (set(found), len(found)) == (there, len(there))
    runs = [owner for number, (owner, _) in enumerate(found) if number == 0 or found[number - 1][0] != owner]
    assert len(runs) == len(owners), "those of one instance stand together"


async def test_payloads_of_another_hub_are_not_listed(provider):
    first, second = provider.open(new_hub()), provider.open(new_hub())
    for storage in (first, second):
        await storage.create()
    await first.put_payload("one", "p", b"x")
    await first.put_payload("one", "q", b"x")

    assert (await second.list_all_payloads()).payloads == []
    page = await first.list_all_payloads(top=1)
    with pytest.raises(ValueError, match="comes from"):
        await second.list_all_payloads(continuation=page.continuation)


@pytest.mark.parametrize("top", [0, 5001])
async def test_a_page_of_payloads_has_bounds(storage, top):
    with pytest.raises(ValueError, match="1 to 5000 payloads"):
        await storage.list_all_payloads(top=top)
