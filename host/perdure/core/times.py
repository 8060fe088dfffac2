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
