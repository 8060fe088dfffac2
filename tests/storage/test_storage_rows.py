import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from perdure.storage.protocol import Conflict
from perdure.storage.rows import RowUpdate
from tests.storage.providers import NOON, memory_provider, new_row

LATER = NOON + timedelta(seconds=1, microseconds=1)
FULL = {
    "commit": "c9",
    "kind": "entity",
    "version": "1.2",
    "generation": 3,
    "completed_at": NOON + timedelta(microseconds=7),
    "start_at": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "input": '{"a": 1}',
    "output": '"done"',
    "custom_status": "[]",
    "failure": '{"message": "it\'s \\"broken\\""}',
    "reason": "blocked: naïve — 鼠 🐁",
    "parent_id": "parent/1",
    "tags": {"colour": "ré'd", "": "empty key"},
    "deleting": True,
}


def commit(name="c1", **changes) -> RowUpdate:
    return RowUpdate(updated_at=LATER, commit=name, **changes)


@pytest.mark.parametrize("columns", [{}, FULL], ids=["defaults", "every column"])
async def test_a_row_comes_back_as_it_was_stored(storage, columns):
    row = new_row(head=b"\x00head\xff", segments=["0-0-c1", "0-1-c2"], tail=[b"one", b"", b"three"], **columns)

    row.etag = await storage.insert(row)

    assert await storage.read("one") == row
    assert await storage.read_instance("one") == row.instance


async def test_an_unknown_instance_has_no_row(storage):
    assert await storage.read("unknown") is None
    assert await storage.read_instance("unknown") is None


async def test_a_second_insert_conflicts_and_changes_nothing(storage):
    row = new_row(tail=[b"first"])
    row.etag = await storage.insert(row)

    with pytest.raises(Conflict, match="one"):
        await storage.insert(new_row(name="other", tail=[b"second"]))

    assert await storage.read("one") == row


async def test_of_concurrent_inserts_exactly_one_succeeds(provider, storage):
    storages = [storage, *(provider.open(storage.hub) for _ in range(3))]
    inserts = [each.insert(new_row(commit=str(place))) for place, each in enumerate(storages)]

    outcomes = await asyncio.gather(*inserts, return_exceptions=True)

    (winner,) = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert all(isinstance(outcome, Conflict) for place, outcome in enumerate(outcomes) if place != winner)
    row = await storage.read("one")
    assert (row.instance.commit, row.etag) == (str(winner), outcomes[winner])


async def test_a_merge_sets_the_columns_it_names_and_adds_a_turn(storage):
    row = new_row(input='"in"', custom_status='"old"', head=b"head", segments=["0-0-c"], tail=[b"turn 0"])
    etag = await storage.insert(row)

    row.etag = await storage.merge(
        "one", etag, commit(turn=b"turn 1", tail_index=1, status="Completed", completed_at=LATER, output='"out"')
    )

    instance = row.instance
    instance.updated_at = instance.completed_at = LATER
    instance.commit, instance.status, instance.output = "c1", "Completed", '"out"'
    row.tail.append(b"turn 1")
    assert row.etag != etag
    assert await storage.read("one") == row


async def test_a_merge_without_a_turn_leaves_the_tail_alone(storage):
    etag = await storage.insert(new_row(tail=[b"turn 0"]))

    await storage.merge("one", etag, commit(deleting=True))

    row = await storage.read("one")
    assert row.tail == [b"turn 0"]
    assert row.instance.deleting
    assert (await storage.read_instance("one")).deleting


@pytest.mark.parametrize("column", ["output", "custom_status", "failure", "reason", "version"])
@pytest.mark.parametrize("text", ["x", ""], ids=["text", "empty text"])
async def test_a_merge_can_empty_a_column_and_fill_it_again(storage, column, text):
    etag = await storage.insert(new_row(**{column: text}))
    assert getattr(await storage.read_instance("one"), column) == text

    etag = await storage.merge("one", etag, commit(**{column: None}))
    assert getattr(await storage.read_instance("one"), column) is None

    etag = await storage.merge("one", etag, commit(**{column: text}))
    assert getattr(await storage.read_instance("one"), column) == text

    row = await storage.read("one")
    setattr(row.instance, column, None)
    await storage.replace(row)
    assert getattr(await storage.read_instance("one"), column) is None


async def test_a_merge_can_empty_a_time(storage):
    etag = await storage.insert(new_row(completed_at=NOON))

    etag = await storage.merge("one", etag, commit(completed_at=None))
    assert (await storage.read_instance("one")).completed_at is None

    await storage.merge("one", etag, commit())
    assert (await storage.read_instance("one")).completed_at is None


async def test_columns_a_merge_does_not_name_stay(storage):
    row = new_row(**FULL)
    etag = await storage.insert(row)

    await storage.merge("one", etag, commit())

    row.instance.updated_at, row.instance.commit = LATER, "c1"
    assert await storage.read_instance("one") == row.instance


async def test_a_merge_under_a_stale_etag_conflicts_and_changes_nothing(storage):
    stale = await storage.insert(new_row())
    await storage.merge("one", stale, commit(turn=b"first"))
    row = await storage.read("one")

    with pytest.raises(Conflict, match="one"):
        await storage.merge("one", stale, commit("c2", turn=b"second", tail_index=1, status="Failed"))

    assert await storage.read("one") == row


async def test_of_two_concurrent_merges_exactly_one_wins(provider, storage):
    other = provider.open(storage.hub)
    etag = await storage.insert(new_row())
    for turn in range(10):
        outcomes = await asyncio.gather(
            storage.merge("one", etag, commit(f"a{turn}", turn=b"a", tail_index=turn)),
            other.merge("one", etag, commit(f"b{turn}", turn=b"b", tail_index=turn)),
            return_exceptions=True,
        )

        (winner,) = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, str)]
        assert isinstance(outcomes[1 - winner], Conflict)
        row = await storage.read("one")
        assert row.instance.commit == f"{'ab'[winner]}{turn}"
        assert len(row.tail) == turn + 1
        assert row.tail[-1] == (b"a", b"b")[winner]
        etag = outcomes[winner]


async def test_a_write_repeated_because_its_answer_was_lost_conflicts_and_bears_its_commit(storage):
    etag = await storage.insert(new_row(commit="start"))
    with pytest.raises(Conflict):
        await storage.insert(new_row(commit="start"))
    assert (await storage.read_instance("one")).commit == "start"

    await storage.merge("one", etag, commit("mine", turn=b"turn"))
    with pytest.raises(Conflict):
        await storage.merge("one", etag, commit("mine", turn=b"turn"))
    row = await storage.read("one")
    assert (row.instance.commit, row.tail) == ("mine", [b"turn"])

    row.instance.commit = "sealed"
    await storage.replace(row)
    with pytest.raises(Conflict):
        await storage.replace(row)
    assert (await storage.read_instance("one")).commit == "sealed"


async def test_a_replacement_drops_the_old_tail_and_columns(storage):
    etag = await storage.insert(new_row(tail=[b"0", b"1", b"2"], head=b"old", **FULL))
    row = new_row(head=b"new", segments=["0-0-c1"], tail=[b"only"], status="Completed", etag=etag)

    row.etag = await storage.replace(row)

    assert row.etag != etag
    assert await storage.read("one") == row

    etag = await storage.merge("one", row.etag, commit(turn=b"next", tail_index=1))
    assert (await storage.read("one")).tail == [b"only", b"next"]


async def test_a_replacement_under_a_stale_etag_conflicts(storage):
    stale = await storage.insert(new_row())
    await storage.merge("one", stale, commit(turn=b"turn"))
    row = await storage.read("one")

    with pytest.raises(Conflict, match="one"):
        await storage.replace(new_row(etag=stale, status="Failed"))

    assert await storage.read("one") == row


async def test_writes_to_a_row_that_vanished_conflict(storage):
    etag = await storage.insert(new_row())
    await storage.delete("one", etag)

    with pytest.raises(Conflict):
        await storage.merge("one", etag, commit(turn=b"turn"))
    with pytest.raises(Conflict):
        await storage.replace(new_row(etag=etag))

    assert await storage.read("one") is None


async def test_an_etag_of_a_deleted_row_is_worth_nothing_for_its_successor(storage):
    stale = await storage.insert(new_row(tail=[b"old"]))
    await storage.delete("one", stale)
    etag = await storage.insert(new_row())

    with pytest.raises(Conflict):
        await storage.merge("one", stale, commit())

    row = await storage.read("one")
    assert (row.etag, row.tail) == (etag, [])


async def test_a_delete_is_conditional_and_may_be_repeated(storage):
    stale = await storage.insert(new_row())
    etag = await storage.merge("one", stale, commit())

    with pytest.raises(Conflict, match="one"):
        await storage.delete("one", stale)
    assert await storage.read("one") is not None

    await storage.delete("one", etag)
    assert await storage.read("one") is None
    await storage.delete("one", etag)


async def test_the_tail_keeps_its_order_up_to_200_turns(storage):
    turns = [f"turn {place}".encode() * 40 for place in range(200)]
    etag = await storage.insert(new_row(tail=turns[:5]))
    for place in range(5, 15):
        etag = await storage.merge("one", etag, commit(turn=turns[place], tail_index=place))
    row = await storage.read("one")
    assert row.tail == turns[:15]

    row.tail = turns[:190]
    etag = await storage.replace(row)
    for place in range(190, 200):
        etag = await storage.merge("one", etag, commit(turn=turns[place], tail_index=place))
    assert (await storage.read("one")).tail == turns


async def test_a_row_takes_entries_and_texts_of_full_size(storage):
    text = '"' + "x" * (30 * 1024 - 2) + '"'
    columns = dict.fromkeys(("input", "output", "custom_status", "failure"), text)
    entry = bytes(range(256)) * 240
    row = new_row(head=entry, tail=[entry] * 6, segments=[f"0-{n}-{'c' * 32}" for n in range(1000)], **columns)

    row.etag = await storage.insert(row)
    assert await storage.read("one") == row

    row.etag = await storage.merge("one", row.etag, commit(turn=entry, tail_index=6))
    row.tail.append(entry)
    assert (await storage.read("one")).tail == row.tail


@pytest.mark.parametrize(
    "row",
    [
        new_row(tail=[b"x" * (60 * 1024 + 1)]),
        new_row(head=b"x" * (60 * 1024 + 1)),
        new_row(tail=[b""] * 221),
        new_row(tail=[b"x" * 60 * 1024] * 17),
        new_row(input="x" * (30 * 1024 + 1)),
        new_row(reason="🐁" * (15 * 1024 + 1)),
        new_row(tags={"big": "x" * 30 * 1024}),
        new_row(""),
        new_row("x" * 257),
        new_row(created_at=datetime(2026, 1, 1)),  # noqa: DTZ001 - that it has no zone is the point
        new_row(start_at=NOON.astimezone(timezone(timedelta(hours=9)))),
        new_row(start_at=datetime(1600, 12, 31, tzinfo=UTC)),
    ],
    ids=["entry", "head", "entries", "row", "text", "emoji", "tags", "no id", "long id", "naive", "not UTC", "early"],
)
async def test_what_azure_could_not_hold_is_refused_everywhere(storage, row):
    with pytest.raises(ValueError):
        await storage.insert(row)
    assert await storage.read(row.instance.instance_id) is None


async def test_a_turn_that_azure_could_not_hold_is_refused_everywhere(storage):
    etag = await storage.insert(new_row())
    for update in (commit(turn=b"x" * (60 * 1024 + 1)), commit(turn=b"", tail_index=220), commit(output="x" * 31000)):
        with pytest.raises(ValueError):
            await storage.merge("one", etag, update)
    assert (await storage.read("one")).etag == etag


async def test_memory_notices_a_turn_in_the_wrong_place():
    storage = memory_provider().open("hub")
    etag = await storage.insert(new_row(tail=[b"0", b"1"]))

    for place in (0, 1, 3):
        with pytest.raises(ValueError, match="2 entries"):
            await storage.merge("one", etag, commit(turn=b"x", tail_index=place))


@pytest.mark.parametrize(
    "time",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, 0, 100, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    ids=str,
)
async def test_times_keep_their_microseconds(storage, time):
    etag = await storage.insert(new_row(created_at=time, start_at=time))
    await storage.merge("one", etag, RowUpdate(updated_at=time, commit="c", completed_at=time))

    instance = await storage.read_instance("one")

    assert [instance.created_at, instance.start_at, instance.updated_at, instance.completed_at] == [time] * 4


async def test_what_is_stored_shares_nothing_with_what_went_in_or_came_out(storage):
    row = new_row(tags={"a": "1"}, segments=["0-0-c"], tail=[b"turn"])
    await storage.insert(row)

    for mine in (row, await storage.read("one")):
        mine.instance.tags["a"] = "changed"
        mine.instance.status = "changed"
        mine.segments.append("changed")
        mine.tail.append(b"changed")

    stored = await storage.read("one")
    assert (stored.instance.tags, stored.instance.status) == ({"a": "1"}, "Running")
    assert (stored.segments, stored.tail) == (["0-0-c"], [b"turn"])
