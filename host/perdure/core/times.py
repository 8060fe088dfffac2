"""Points in time as callers give them."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(when: datetime, what: str = "a time") -> datetime:
    """Return the time in UTC; a naive one means UTC.

    Args:
        when: the time.
        what: how an error names it.

    Raises:
        TypeError: it is no datetime.
        ValueError: UTC's calendar does not reach it.
    """
    if not isinstance(when, datetime):
        raise TypeError(f"{what} is a datetime, not {type(when).__name__}")
    try:
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{what} is out of range: {when}") from None


EARLIEST_START = datetime(1601, 1, 1, tzinfo=UTC)
"""An instance's row can't hold a time before it: it is where the times of Azure's tables begin."""


def start_time(when: datetime) -> datetime:
    """Return the time at which an instance is to start, in UTC. Raises as `instant`, and ValueError before 1601."""
    due = instant(when, "start_at")
    if due < EARLIEST_START:
        raise ValueError(f"start_at is out of range: {when} is before {EARLIEST_START.year}")
    return due
