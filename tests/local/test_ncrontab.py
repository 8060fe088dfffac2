from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.local.ncrontab import Ncrontab, parse_schedule

NOW = datetime(2025, 12, 31, 23, 58, 3, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * * *", "2025-12-31 23:58:04"),
        ("*/5 * * * *", "2026-01-01 00:00:00"),
        ("0 */5 * * * *", "2026-01-01 00:00:00"),
        ("30 59 23 * * *", "2025-12-31 23:59:30"),
        ("5/20 * * * * *", "2025-12-31 23:58:05"),
        ("0-10/5 * * * * *", "2025-12-31 23:58:05"),
        ("15/1 0 0 * * *", "2026-01-01 00:00:15"),
        ("0 0 9-17 * * mon-fri", "2026-01-01 09:00:00"),
        ("0 0 0 * * Sun", "2026-01-04 00:00:00"),
        ("0 0 0 * * 6-5", "2026-01-02 00:00:00"),
        ("0 0 12 1 jan,jul *", "2026-01-01 12:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 0 0 31 * *", "2026-01-31 00:00:00"),
        ("0 0 0 13 * 5", "2026-02-13 00:00:00"),
        ("00:00:30", "2025-12-31 23:58:33.500000"),
        ("1.00:00:00", "2026-01-01 23:58:03.500000"),
    ],
)
def test_next_occurrence(text, expected):
    assert parse_schedule(text).next_after(NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_times_of_other_zones_are_converted():
    berlin = timezone(timedelta(hours=1))
    found = parse_schedule("0 0 12 * * *").next_after(datetime(2026, 1, 1, 12, 30, tzinfo=berlin))
    assert found == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("* * * *", "neither five or six"),
        ("every minute", "neither five or six"),
        ("60 * * * * *", "out of range for the second field"),
        ("0 0 24 * * *", "out of range for the hour field"),
        ("0 0 0 0 * *", "out of range for the day field"),
        ("0 0 0 * * 7", "out of range for the day of week field"),
        ("0 0 0 * foo *", "'foo' is no value for the month field"),
        ("*/0 * * * * *", "no step"),
        ("1,,2 * * * * *", "'' is no value for the second field"),
        ("0 0 0 30 2 *", "never happens"),
        ("00:00:00", "longer than zero"),
        ("00:99:00", "is not a duration"),
    ],
)
def test_nonsense_is_refused_with_its_reason(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_schedule(text)


def _field(low, high):
    number = st.integers(low, high)
    part = st.one_of(
        st.just("*"),
        st.integers(2, 10).map(lambda step: f"*/{step}"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    )
    return st.lists(part, min_size=1, max_size=3).map(",".join)


_STARTS = st.integers(0, 60 * 365 * 24 * 3600).map(timedelta(seconds=1).__mul__).map(NOW.__add__)


@given(
    st.tuples(_field(0, 59), _field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)),
    _STARTS,
)
def test_occurrences_match_every_field_and_leave_out_no_second(fields, start):
    schedule = parse_schedule(" ".join(fields))
    assert isinstance(schedule, Ncrontab)
    moments = [start]
    for _ in range(3):
        moments.append(schedule.next_after(moments[-1]))
    assert all(_matches(schedule, moment) for moment in moments[1:])
    for earlier, later in pairwise(moments):
        between = (earlier + timedelta(seconds=n) for n in range(1, 200))
        assert not any(_matches(schedule, moment) for moment in between if moment.replace(microsecond=0) < later)


def _matches(schedule, moment):
    return (
        moment.second in schedule.seconds
        and moment.minute in schedule.minutes
        and moment.hour in schedule.hours
        and moment.day in schedule.days
        and moment.month in schedule.months
        and moment.isoweekday() % 7 in schedule.weekdays
    )
