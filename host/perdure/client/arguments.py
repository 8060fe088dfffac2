"""What callers give, brought into the form in which it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from perdure.core.naming import checked_tags
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.storage.rows import InstanceQuery


def aware(time: datetime | None) -> datetime | None:
    """Return the time in UTC; a naive one means UTC. Raises ValueError for one that UTC's calendar does not reach."""
    if time is None:
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{time} is out of range") from None


def instance_query(
    created_time_from: datetime | None,
    created_time_to: datetime | None,
    runtime_status: Iterable[OrchestrationRuntimeStatus] | None,
    instance_id_prefix: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> InstanceQuery:
    """Return the query for orchestrations that meet every condition given."""
    return InstanceQuery(
        id_prefix=instance_id_prefix or "",
        statuses=tuple(OrchestrationRuntimeStatus(status).value for status in runtime_status or ()),
        created_from=aware(created_time_from),
        created_to=aware(created_time_to),
        tags=checked_tags(tags),
    )
