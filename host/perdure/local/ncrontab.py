"""Timer schedules: NCRONTAB expressions of five or six fields, and plain intervals.

The grammar is that of the NCrontab library, which the Functions host uses:
https://github.com/atifaziz/NCrontab/wiki/Crontab-Expression. Unlike Unix cron a day must match both day fields.
All times are UTC, as on Azure.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from perdure.local.timespan import parse_timespan

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_YEARS_AHEAD = 28
"""The calendar of weekdays and leap years repeats after 28 years (within 1901 to 2099)."""


class Schedule(Protocol):
    """When a timer fires."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first occurrence later than `moment` (aware, UTC), or None if there is none."""


@dataclass(frozen=True)
class Interval:
    """Fires every `period`, counted from the last time."""

    period: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """Return `moment` plus the period."""
        return moment + self.period


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Ncrontab:
    """A parsed expression: the sorted values that each field takes."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """0 is Sunday."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first matching second later than `moment` (aware), or None (such as for 30 February)."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        for year in range(start.year, start.year + _YEARS_AHEAD + 1):
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                for day in self.days:
                    if day > monthrange(year, month)[1]:
                        break
                    found = self._on_day(datetime(year, month, day, tzinfo=UTC), start)
                    if found is not None:
                        return found
        return None

    def _on_day(self, midnight: datetime, start: datetime) -> datetime | None:
        if midnight.date() < start.date() or midnight.isoweekday() % 7 not in self.weekdays:
            return None
        if midnight.date() > start.date():
            return midnight.replace(hour=self.hours[0], minute=self.minutes[0], second=self.seconds[0])
        earliest = (start.hour, start.minute, start.second)
        for hour in self.hours:
            if hour < earliest[0]:
                continue
            for minute in self.minutes:
                if (hour, minute) < earliest[:2]:
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= earliest:
                        return midnight.replace(hour=hour, minute=minute, second=second)
        return None


def parse_schedule(text: str) -> Schedule:
    """Read a timer's `schedule`: an NCRONTAB expression or an `hh:mm:ss` interval.

    Raises:
        ValueError: It is neither; the message says what is wrong with it.
    """
    fields = text.split()
    if len(fields) == len(_FIELDS):
        return _ncrontab(fields)
    if len(fields) == len(_FIELDS) - 1:
        return _ncrontab(["0", *fields])
    if len(fields) == 1 and ":" in text:
        period = parse_timespan(text)
        if period <= timedelta(0):
            raise ValueError(f"{text!r} is no interval: it must be longer than zero")
        return Interval(period)
    raise ValueError(f"{text!r} is neither five or six NCRONTAB fields nor an interval such as 00:05:00")


def _ncrontab(texts: list[str]) -> Ncrontab:
    values = [_values(field, text) for field, text in zip(_FIELDS, texts, strict=True)]
    schedule = Ncrontab(*values)
    if schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError(f"{' '.join(texts)!r} never happens")
    return schedule


def _values(field: _Field, text: str) -> tuple[int, ...]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _step(field, step_text) if slash else 1
        first, last = _span(field, span, open_ended=step > 1)
        values.update(range(first, last + 1, step))
    return tuple(sorted(values))


def _step(field: _Field, text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{text!r} is no step for the {field.name} field: use a positive whole number")
    return int(text)


def _span(field: _Field, text: str, *, open_ended: bool) -> tuple[int, int]:
    if text == "*":
        return field.low, field.high
    first_text, dash, last_text = text.partition("-")
    first = _value(field, first_text)
    if dash:
        last = _value(field, last_text)
        return min(first, last), max(first, last)  # NCrontab swaps a range that runs backwards
    return first, field.high if open_ended else first


def _value(field: _Field, text: str) -> int:
    if text.isdecimal():
        value = int(text)
        if field.low <= value <= field.high:
            return value
        raise ValueError(f"{value} is out of range for the {field.name} field ({field.low} to {field.high})")
    for number, word in enumerate(field.words, field.low):
        if text and word.startswith(text.lower()):
            return number
    raise ValueError(f"{text!r} is no value for the {field.name} field")
