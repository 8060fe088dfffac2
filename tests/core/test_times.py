"""Times that users give."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from perdure.core.times import instant


def test_a_naive_time_means_utc():
    naive = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - the point
    assert instant(naive, "when") == datetime(2026, 3, 1, 12, tzinfo=UTC)
    tokyo = datetime(2026, 3, 1, 21, tzinfo=timezone(timedelta(hours=9)))
    assert instant(tokyo, "when") == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("hours", [14, -14])
def test_a_time_that_utc_does_not_reach(hours):
    zone = timezone(timedelta(hours=hours))
    edge = datetime(1, 1, 1, tzinfo=zone) if hours > 0 else datetime(9999, 12, 31, 23, tzinfo=zone)
    with pytest.raises(ValueError, match="out of range"):
        instant(edge, "when")


def test_what_is_no_time():
    with pytest.raises(TypeError, match="when is a datetime, not timedelta"):
        instant(timedelta(hours=1), "when")
