from datetime import timedelta

import pytest

from perdure.local.timespan import parse_timespan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:30", timedelta(seconds=30)),
        ("00:05", timedelta(minutes=5)),
        ("23:59:59", timedelta(hours=23, minutes=59, seconds=59)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("00:00:00.1234567", timedelta(microseconds=123456)),
        ("2.03:00:00", timedelta(days=2, hours=3)),
        ("24:00:00", timedelta(days=24)),
        (" 00:00:01 ", timedelta(seconds=1)),
    ],
)
def test_durations_are_read_as_dotnet_reads_them(text, expected):
    assert parse_timespan(text) == expected


@pytest.mark.parametrize("text", ["", "30", "1:2:3:4", "00:60:00", "00:00:60", "1.24:00:00", "-00:00:01", "a:b:c"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_timespan(text)
