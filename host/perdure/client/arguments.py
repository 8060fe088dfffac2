"""What callers give, brought into the form in which it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from perdure.core.naming import check_text
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.storage.rows import InstanceQuery

TAGS_LIMIT = 8_000
"""Characters that all tags of an instance may have together."""


def aware(time: datetime | None) -> datetime | None:
    """Return the time in UTC; a naive one means UTC."""
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags if they can be stored. Raises TypeError for what is no text, ValueError for too much of it."""
    checked = {check_text(key, "a tag"): check_text(value, f"tag '{key}'") for key, value in (tags or {}).items()}
    size = sum(len(key) + len(value) for key, value in checked.items())
    if size > TAGS_LIMIT:
        raise ValueError(f"the tags have {size} characters in all: {TAGS_LIMIT} are allowed")
    return checked


def instance_query(
    created_time_from: datetime | None,
    created_time_to: datetime | None,
    runtime_status: Iterable[OrchestrationRuntimeStatus] | None,
    instance_id_prefix: str = "",
) -> InstanceQuery:
    """Return the query for orchestrations that meet every condition given."""
    return InstanceQuery(
        id_prefix=instance_id_prefix,
        statuses=tuple(OrchestrationRuntimeStatus(status).value for status in runtime_status or ()),
        created_from=aware(created_time_from),
        created_to=aware(created_time_to),
    )
