"""Times as text: UTC, to the microsecond, of fixed width so that text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime


def time_to_text(time: datetime) -> str:
    """Return e.g. `2026-01-31T23:59:59.123456Z`. Raises ValueError for a time without a zone."""
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone; stored times are aware, in UTC")
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def time_from_text(text: str) -> datetime:
    """Read what `time_to_text` wrote, or what Azure Tables returns (up to seven digits of a second)."""
    return datetime.fromisoformat(text).astimezone(UTC)
