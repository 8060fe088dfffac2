"""What an entity takes in: everything from one sender in its order, nothing twice, and nothing waits for ever."""

from datetime import timedelta

import msgspec
import pytest

from perdure.core.codec import decode_record, encode_record
from perdure.core.entities.admission import (
    CLIENT_STREAM,
    REMEMBERED,
    SHORT_PATIENCE,
    STREAMS,
    Admission,
    due_for_patience,
)
from perdure.core.entities.agenda import Agenda, can_go_on
from perdure.core.entities.record import Answer, Early, Inflow, Lock, Record, stream_key
from perdure.core.intake import Verdict
from perdure.core.messages import AcquireLock, Completion, Operate, RaiseEvent, ReleaseLock, Wake
from perdure.core.state import Parent
from perdure.core.streams import Flow, Place
from perdure.errors import DataError
from tests.core.driving import NOON

ME = "@counter@a"
PATIENCE = timedelta(minutes=15)


def op(seq, stream="s", **more):
    place = Place(stream, seq)
    return Operate(to=ME, id=str(place), place=place, operation=f"{stream}{seq}", input=None, **more)


def acquire(lock, entities=(ME,), position=0, stream="o"):
    place = Place(stream, 0)
    owner = Parent("flow", "e.0", 7)
    return AcquireLock(
        to=ME, id=str(place), place=place, lock=lock, entities=list(entities), position=position, owner=owner
    )


def release(lock, onward=(), seq=1, stream="o"):
    place = Place(stream, seq)
    return ReleaseLock(to=ME, id=str(place), place=place, lock=lock, onward=list(onward))


def admitted(record, *messages, now=NOON):
    """Take messages in through one commit: return the verdicts, and the record as it is stored and read again."""
    admission = Admission(record, now, PATIENCE)
    verdicts = [admission.judge(message) for message in messages]
    admission.finish()
    return verdicts, decode_record(encode_record(record))


def queued(record):
    return [request.operation if isinstance(request, Operate) else type(request).__name__ for request in record.queue]


def test_a_stream_is_taken_in_by_number_whatever_the_order_in_which_it_comes():
    verdicts, record = admitted(Record(), op(2), op(0))
    assert verdicts == [Verdict.CONSUME] * 2
    assert queued(record) == ["s0"]
    verdicts, record = admitted(record, op(3), op(1))
    assert queued(record) == ["s0", "s1", "s2", "s3"]
    assert not record.early


def test_what_has_been_taken_in_is_known_and_a_copy_in_the_batch_a_repeat():
    verdicts, record = admitted(Record(), op(0), op(0), op(2), op(2))
    assert verdicts == [Verdict.CONSUME, Verdict.REPEAT, Verdict.CONSUME, Verdict.REPEAT]
    verdicts, record = admitted(record, op(0), op(2), op(0, "other"))
    assert verdicts == [Verdict.KNOWN, Verdict.KNOWN, Verdict.CONSUME]
    assert queued(record) == ["s0", "other0"]


def test_what_never_comes_is_not_waited_for_for_ever_and_taken_in_should_it_come():
    _, record = admitted(Record(), op(0), op(2), op(5))
    _, record = admitted(record, now=NOON + PATIENCE - timedelta(seconds=1))
    assert queued(record) == ["s0"]
    _, record = admitted(record, now=NOON + PATIENCE)
    assert queued(record) == ["s0", "s2", "s5"]
    verdicts, record = admitted(record, op(4), op(3), op(4), now=NOON + PATIENCE)
    assert verdicts == [Verdict.CONSUME, Verdict.CONSUME, Verdict.REPEAT]
    verdicts, record = admitted(record, op(4), op(1), now=NOON + PATIENCE)
    assert verdicts == [Verdict.KNOWN, Verdict.CONSUME]
    assert queued(record) == ["s0", "s2", "s5", "s4", "s3", "s1"]


def test_clients_are_waited_for_less_long():
    stream = f"{CLIENT_STREAM}x"
    _, record = admitted(Record(), op(1, stream), op(1))
    assert due_for_patience(record.early, PATIENCE) == NOON + SHORT_PATIENCE
    assert due_for_patience([], PATIENCE) is None
    _, record = admitted(record, now=NOON + SHORT_PATIENCE)
    assert queued(record) == [f"{stream}1"]
    assert due_for_patience(record.early, PATIENCE) == NOON + PATIENCE


def test_a_gap_of_any_size_is_remembered_in_part_only():
    _, record = admitted(Record(), op(10**9))
    _, record = admitted(record, now=NOON + PATIENCE)
    (inflow,) = record.inflows
    assert inflow.next == 10**9 + 1
    assert len(inflow.missing) == 1_000


def test_a_delayed_one_is_put_back_until_it_is_due():
    later = op(0, "at", due=NOON + timedelta(hours=1))
    admission = Admission(Record(), NOON, PATIENCE)
    assert admission.judge(later) is Verdict.EARLY
    assert admission.due == {later.id: later.due}
    assert admitted(Record(), later, now=later.due)[0] == [Verdict.CONSUME]


def test_streams_are_forgotten_an_hour_after_their_last_message():
    _, record = admitted(Record(), op(0), op(0, "t"), op(2, "waits"))
    _, record = admitted(record, op(1), now=NOON + timedelta(minutes=10))
    _, record = admitted(record, now=NOON + REMEMBERED)
    assert {each.key for each in record.inflows} == {stream_key("s"), stream_key("waits")}


def test_the_latest_streams_are_remembered_and_those_in_which_something_waits():
    record = Record(inflows=[Inflow(stream_key(str(n)), 1, int(NOON.timestamp()) - n % 7) for n in range(STREAMS)])
    _, record = admitted(record, op(1, "waits"), now=NOON - timedelta(minutes=30))
    assert len(record.inflows) == STREAMS
    assert stream_key("waits") in {each.key for each in record.inflows}


def test_what_comes_in_a_stream_that_was_forgotten_does_not_wait_for_long():
    streams = [Inflow(stream_key(str(n)), 1, int(NOON.timestamp())) for n in range(STREAMS)]
    _, record = admitted(Record(inflows=streams), op(1, "forgotten"), op(3, "forgotten"), op(2, "0"))
    assert len(record.early) == 3
    _, record = admitted(record, now=NOON + timedelta(seconds=31))
    assert queued(record) == ["forgotten1", "forgotten3"]
    assert len(record.early) == 1


def test_a_wake_is_taken_once_and_when_it_is_due():
    wake = Wake(to=ME, id="e/wake/3", no=3, due=NOON)
    record = Record(wake=wake, wakes=4)
    early = Admission(record, NOON - timedelta(seconds=1), PATIENCE)
    assert early.judge(wake) is Verdict.EARLY
    assert early.due == {wake.id: NOON}
    verdicts, record = admitted(record, wake, wake)
    assert verdicts == [Verdict.CONSUME, Verdict.KNOWN]
    assert record.wake is None
    unknown = msgspec.structs.replace(wake, no=9, id="e/wake/9")
    assert admitted(record, unknown)[0] == [Verdict.IRRELEVANT]


def test_messages_for_orchestrations_mean_nothing():
    assert admitted(Record(), RaiseEvent(to=ME, id="m", name="go", data=None))[0] == [Verdict.IRRELEVANT]


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"\x01no zlib", b"\x07"])
def test_a_damaged_record_is_told(data):
    with pytest.raises(DataError, match="the record of an entity can't be read"):
        decode_record(data)


# ---- the agenda ------------------------------------------------------------------------------------------------------


def agenda(record):
    return Agenda(record, ME, "life", NOON)


def performed(record, limit=100):
    made = agenda(record)
    operations = [operation.operation for operation in made.take_operations(limit)]
    made.finish()
    return operations, made.sends


def test_operations_are_taken_in_order_and_not_more_than_asked_for():
    record = Record(queue=[op(0), op(1), op(2)])
    assert performed(record, 2)[0] == ["s0", "s1"]
    assert can_go_on(record)
    assert performed(record)[0] == ["s2"]
    assert not can_go_on(record)


def test_a_lock_is_granted_in_turn_and_keeps_others_out():
    record = Record(queue=[op(0), acquire("L"), op(1), op(2, lock="L"), acquire("M", stream="p")])
    operations, sends = performed(record)
    assert operations == ["s0", "s2"]
    assert sends == [Answer(Parent("flow", "e.0", 7), Completion(7))]
    assert record.lock == Lock("L", Parent("flow", "e.0", 7), NOON)
    assert queued(record) == ["s1", "AcquireLock"]
    assert not can_go_on(record)
    record.queue.append(release("L"))
    assert can_go_on(record)
    assert performed(record)[0] == ["s1"]
    assert record.lock.id == "M"


def test_a_request_goes_on_to_the_next_entity():
    record = Record(queue=[acquire("L", [ME, "@counter@b"])])
    ((to_b,),) = [performed(record)[1]]
    assert (to_b.to, to_b.position, to_b.lock, str(to_b.place), to_b.id) == (
        "@counter@b",
        1,
        "L",
        "life/0#0",
        "life/0#0",
    )
    assert record.outflows == {"@counter@b": Flow("life/0", 1, NOON)}
    assert record.streams == 1


def test_a_section_that_is_given_up_is_left_behind_the_request():
    record = Record(queue=[acquire("L", [ME, "@counter@b"]), release("L", ["@counter@b", "@counter@c"]), op(0)])
    operations, (lock, left) = performed(record)
    assert operations == ["s0"]
    assert record.lock is None
    assert [str(each.place) for each in (lock, left)] == ["life/0#0", "life/0#1"]
    assert left.onward == ["@counter@c"]


def test_the_end_of_a_section_that_is_not_there_changes_nothing():
    record = Record(queue=[release("L"), op(0)], lock=None)
    assert performed(record)[0] == ["s0"]
    held = Record(queue=[release("M")], lock=Lock("L", Parent("f", "e", 0), NOON))
    assert performed(held)[0] == []
    assert held.lock is not None


def test_the_end_of_a_section_that_is_over_here_is_passed_on_during_another_one():
    """Somebody has cleaned up here only: if it waited, two sections might wait for each other for ever."""
    record = Record(queue=[op(0), release("L", ["@counter@b"])], lock=Lock("M", Parent("f", "e", 0), NOON))
    assert can_go_on(record)
    operations, (left,) = performed(record)
    assert (operations, left.to, left.lock) == ([], "@counter@b", "L")
    assert (record.lock.id, queued(record), can_go_on(record)) == ("M", ["s0"], False)


def test_the_end_of_a_section_waits_for_its_beginning_if_that_waits():
    record = Record(
        queue=[acquire("L", [ME, "@counter@b"]), release("L", ["@counter@b"])],
        lock=Lock("M", Parent("f", "e", 0), NOON),
    )
    assert performed(record) == ([], [])
    record.queue.append(release("M", stream="p"))
    lock, left = performed(record)[1]
    assert [str(each.place) for each in (lock, left)] == ["life/0#0", "life/0#1"]
    assert record.lock is None


def test_a_second_entity_begins_a_second_stream():
    record = Record()
    made = agenda(record)
    assert [str(made.place(to)) for to in ("x", "y", "x")] == ["life/0#0", "life/1#0", "life/0#1"]


def test_what_waits_is_stored_and_read():
    record = Record(early=[Early(release("L"), NOON)], queue=[acquire("L"), op(0, reply=Parent("f", "e.0", 1))])
    assert decode_record(encode_record(record)) == record
