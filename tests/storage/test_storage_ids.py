"""Instance ids of every awkward kind: each its own instance, in rows, segments, payloads and queries."""

import asyncio

import pytest

from perdure.storage.protocol import Conflict
from perdure.storage.rows import InstanceQuery, RowUpdate
from tests.storage.providers import NOON, new_row

AWKWARD = [
    *("a/b", "a\\b", "a#b", "a?b", "a%b", "a%2Fb", "a%252Fb", "a'b", "a''b", 'a"b', "a^b", "a|b", "a:b", "a~b", "a~sb"),
    *("a+b", "a&b", "a=b", "a;b", "a,b", "a$b", "a@b", "a<b", "a>b", "a`b", "a{b}", "a[b]", "(a)", "a*b", "a!b"),
    *("a b", " a", "a ", "  ", "a\u00a0b", "\u3000"),
    *(
        ".",
        "..",
        "...",
        "a.",
        "a..",
        ".a",
        "a/",
        "/a",
        "a/.",
        "a/../b",
        "a//b",
        "/",
        "//",
        "\\",
        "?",
        "#",
        "%",
        "'",
        "~",
    ),
    *("a\x00b", "\x00", "\x01\x1f", "a\tb", "a\nb", "a\r\nb", "\x7f", "\x80", "\x9f", "a\x85b", "\u2028", "\ufeff"),
    *("\ufffe", "\uffff", "\ufffd", "\ue000", "\ud7ff", "\U0010ffff", "\u2400", "~\u2400", "~À"),
    *("é", "e\u0301", "ß", "ss", "İ", "i", "I", "\u0131", "ﬀ", "鼠", "🐁", "🐁🐁", "👩‍👩‍👧", "\u202eabc", "\u200b"),
    *("case", "CASE", "Case", "abc", "abcd", "ab", "@entity@key", "NULL", "true", "0", "-1"),
    *("x" * 256, "x" * 255, "/" * 256, "\x00" * 256, "🐁" * 256, "'" * 256, "~" * 256, "." * 256, " " * 256),
    *("鼠" * 256, "\x80" * 256, "%2F" * 85),
]


@pytest.fixture
async def instances(storage):
    gate = asyncio.Semaphore(16)

    async def store(number: int, instance_id: str) -> None:
        async with gate:
            await storage.insert(new_row(instance_id, name=str(number), tail=[str(number).encode()]))

    await asyncio.gather(*(store(number, instance_id) for number, instance_id in enumerate(AWKWARD)))
    return AWKWARD


async def test_each_id_names_a_row_of_its_own(storage, instances):
    assert len(set(instances)) == len(instances)
    for number, instance_id in enumerate(instances):
        row = await storage.read(instance_id)
        assert (row.instance.instance_id, row.instance.name, row.tail) == (
            instance_id,
            str(number),
            [str(number).encode()],
        )
        with pytest.raises(Conflict):
            await storage.insert(new_row(instance_id))
        row.etag = await storage.merge(
            instance_id, row.etag, RowUpdate(updated_at=NOON, commit=f"c{number}", turn=b"next", tail_index=1)
        )
        await storage.replace(row)
        assert (await storage.read_instance(instance_id)).instance_id == instance_id

    for number, instance_id in enumerate(instances):
        row = await storage.read(instance_id)
        assert row.instance.name == str(number)
        await storage.delete(instance_id, row.etag)
        assert await storage.read(instance_id) is None
    assert (await storage.query(InstanceQuery())).instances == []


async def test_a_query_finds_each_id_and_prefixes_exactly(storage, instances):
    async def found(prefix: str) -> set[str]:
        ids, continuation = [], None
        while True:
            page = await storage.query(InstanceQuery(id_prefix=prefix), top=1000, continuation=continuation)
            ids += [instance.instance_id for instance in page.instances]
            if page.continuation is None:
                assert len(ids) == len(set(ids))
                return set(ids)
            continuation = page.continuation

    assert await found("") == set(instances)
    prefixes = {*instances, "a", "a%", "a/", "C", "c", "x" * 200, "🐁" * 3, "👩", "\x00" * 9, "~", "'" * 7, "e"}
    for prefix in prefixes:
        assert await found(prefix) == {instance_id for instance_id in instances if instance_id.startswith(prefix)}


async def test_segments_and_payloads_belong_to_exactly_one_id(storage):
    gate = asyncio.Semaphore(16)

    async def store(number: int, instance_id: str) -> None:
        async with gate:
            await storage.put_payload(instance_id, f"p{number}", instance_id.encode())
            await storage.put_segment(instance_id, f"s{number}", instance_id.encode())

    async def check(number: int, instance_id: str) -> None:
        async with gate:
            assert await storage.list_payloads(instance_id) == [f"p{number}"]
            assert await storage.list_segments(instance_id) == [f"s{number}"]
            assert await storage.get_payload(instance_id, f"p{number}") == instance_id.encode()
            assert await storage.get_segments(instance_id, [f"s{number}"]) == [instance_id.encode()]

    async def delete(number: int, instance_id: str) -> None:
        async with gate:
            await storage.delete_payloads(instance_id, [f"p{number}"])
            await storage.delete_segments(instance_id, [f"s{number}"])
            assert await storage.list_payloads(instance_id) == []
            assert await storage.list_segments(instance_id) == []

    numbered = list(enumerate(AWKWARD))
    await asyncio.gather(*(store(*each) for each in numbered))
    await asyncio.gather(*(check(*each) for each in numbered))
    await asyncio.gather(*(delete(*each) for each in numbered[::2]))
    await asyncio.gather(*(check(*each) for each in numbered[1::2]))


async def test_a_large_segment_takes_any_id(storage):
    data = bytes(950 * 1024)
    for instance_id in ("🐁" * 256, "a.", "..", "\x00" * 256, " a/b? "):
        await storage.put_segment(instance_id, "0-0-c", data)
        assert await storage.get_segments(instance_id, ["0-0-c"]) == [data]
        await storage.delete_segments(instance_id, ["0-0-c"])
        assert await storage.list_segments(instance_id) == []


async def test_an_id_that_is_no_text_is_refused(storage):
    with pytest.raises(ValueError):
        await storage.insert(new_row("lone surrogate \ud83d"))
