"""What callers give, checked, and brought into the form in which it is stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from perdure.core.naming import INSTANCE_ID_LIMIT, check_text, checked_tags
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.times import instant
from perdure.storage.rows import InstanceQuery

_LONGEST_WAIT = timedelta(days=365_000).total_seconds()
"""Seconds; a wait that is longer has no deadline: the calendar ends."""


def aware(time: datetime | None, what: str = "a time") -> datetime | None:
    """Return the time in UTC; a naive one means UTC.

    Args:
        time: the time.
        what: how an error names it.

    Raises:
        TypeError: it is none.
        ValueError: UTC's calendar does not reach it.
    """
    return None if time is None else instant(time, what)


def seconds_of(timeout: float | timedelta | None) -> float | None:
    """Return a timeout in seconds, None for one without an end. Raises TypeError or ValueError for what is none."""
    if timeout is None:
        return None
    if not isinstance(timeout, int | float | timedelta):
        raise TypeError(f"a timeout is a number of seconds or a timedelta, not {type(timeout).__name__}")
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, float) and math.isnan(seconds):
        raise ValueError("a timeout is a number of seconds or a timedelta, not NaN")
    return None if seconds > _LONGEST_WAIT else float(max(seconds, 0))


def instance_query(
    created_time_from: datetime | None,
    created_time_to: datetime | None,
    runtime_status: Iterable[OrchestrationRuntimeStatus] | None,
    instance_id_prefix: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> InstanceQuery:
    """Return the query for orchestrations that meet every condition given. Raises TypeError and ValueError."""
    return InstanceQuery(
        id_prefix=checked_prefix(instance_id_prefix, "instance_id_prefix"),
        statuses=_statuses(runtime_status),
        created_from=aware(created_time_from, "created_time_from"),
        created_to=aware(created_time_to, "created_time_to"),
        tags=checked_tags(tags),
    )


def checked_prefix(prefix: str | None, what: str) -> str:
    """Return what ids are to begin with; None means anything. Raises TypeError and ValueError."""
    return "" if prefix is None else check_text(prefix, what, INSTANCE_ID_LIMIT)


def _statuses(given: Iterable[OrchestrationRuntimeStatus] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"runtime_status is a list of statuses, not {type(given).__name__}")
    return tuple(_status(status) for status in given)


def _status(given: object) -> str:
    for status in OrchestrationRuntimeStatus:
        if given == status:
            return status.value
    raise ValueError(f"there is no runtime status {given!r}: {', '.join(OrchestrationRuntimeStatus)} are")
