"""Durations as host.json and timer schedules write them: .NET's TimeSpan.

https://learn.microsoft.com/dotnet/api/system.timespan.parse
"""

from __future__ import annotations

import re
from datetime import timedelta

_TIMESPAN = re.compile(
    r"(?:(?P<days>\d+)\.)?(?P<first>\d+):(?P<second>\d{1,2})(?::(?P<third>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?",
    re.ASCII,
)


def parse_timespan(text: str) -> timedelta:
    """Read `hh:mm`, `hh:mm:ss`, `hh:mm:ss.fffffff` or `d.hh:mm:ss`.

    As in .NET, a first part of 24 or more counts days, not hours: `24:00:00` is 24 days.

    Raises:
        ValueError: The text is no such duration.
    """
    match = _TIMESPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 00:00:30 (hours:minutes:seconds)")
    first, second, third = int(match["first"]), int(match["second"]), int(match["third"] or 0)
    if match["days"] is None and first >= _HOURS_A_DAY and match["third"] is not None:
        days, hours, minutes, seconds = first, second, third, 0
    else:
        days, hours, minutes, seconds = int(match["days"] or 0), first, second, third
    if hours >= _HOURS_A_DAY or minutes >= _SIXTY or seconds >= _SIXTY:
        raise ValueError(f"{text!r} is not a duration: hours go to 23, minutes and seconds to 59")
    microseconds = int((match["fraction"] or "0").ljust(7, "0")) // 10
    if days > timedelta.max.days - 1:
        raise ValueError(f"{text!r} is not a duration: it is too long")
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)


_HOURS_A_DAY = 24
_SIXTY = 60
