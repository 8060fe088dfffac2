"""What the requests of the management API may say, and what its answers look like."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from perdure.client.arguments import aware
from perdure.core.status import OrchestrationRuntimeStatus
from perdure_functions.stream_answers import DEFAULT_WAIT, LONGEST_WAIT


def _plus_restored(value: object) -> object:
    """Undo what happens to the plus of `+02:00` in a query that was not encoded."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", value) if isinstance(value, str) else value


def _statuses(value: str) -> list[str]:
    spelling = {status.casefold(): status for status in OrchestrationRuntimeStatus}
    names = [name.strip() for name in value.split(",") if name.strip()]
    return [spelling.get(name.casefold(), name) for name in names]


def _tags(value: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in filter(None, value.split(",")):
        name, separator, text = part.partition("=")
        if not separator:
            raise ValueError(f"{part!r} should read name=value")
        tags[name] = text
    return tags


_Time = Annotated[datetime, BeforeValidator(_plus_restored), AfterValidator(aware)]
_Statuses = Annotated[tuple[OrchestrationRuntimeStatus, ...], BeforeValidator(_statuses)]
_EndedStatuses = Annotated[
    tuple[Literal["Completed", "Failed", "Canceled", "Terminated"], ...], BeforeValidator(_statuses)
]
_Tags = Annotated[
    dict[str, str],
    BeforeValidator(_tags),
    Field(json_schema_extra={"type": "string", "pattern": "^([^=,]+=[^,]*(,[^=,]+=[^,]*)*)?$"}),
]


class Query(BaseModel):
    """Parameters that every request may have."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    task_hub: str | None = Field(default=None, description="The task hub, if it is not the app's own.")
    connection: str | None = Field(default=None, description="The connection to it, if it is not the app's own.")


class StartQuery(Query):
    """Starting."""

    version: str | None = Field(default=None, max_length=100, description="The version to start with.")
    timeout: float | None = Field(
        default=None, ge=0, le=3_600, allow_inf_nan=False, description="Seconds to wait for the instance's end."
    )
    polling_interval: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Accepted for compatibility: polling adapts itself."
    )


class StatusQuery(Query):
    """Asking after one instance."""

    show_history: bool = Field(default=False, description="Include the history.")
    show_history_output: bool = Field(default=False, description="Include results in it.")
    show_input: bool = Field(default=True, description="Include inputs.")
    return_internal_server_error_on_failure: bool = Field(
        default=False, description="Answer 500 rather than 200 for an instance that has failed."
    )


class ListQuery(Query):
    """Asking after many."""

    instance_id_prefix: str = Field(default="", description="Whose id begins with this.")
    created_time_from: _Time | None = Field(default=None, description="Created at this time or later.")
    created_time_to: _Time | None = Field(default=None, description="Created at this time or earlier.")
    runtime_status: _Statuses = Field(default=(), description="In one of these statuses, separated by commas.")
    tags: _Tags = Field(default={}, description="With these tags: `name=value`, separated by commas.")
    show_input: bool = Field(default=True, description="Include inputs.")
    top: int = Field(default=100, ge=1, le=1_000, description="How many at most.")


class ReasonQuery(Query):
    """Suspending, resuming, rewinding."""

    reason: str = Field(default="", max_length=4_000, description="Why; shown in the history.")


class TerminateQuery(Query):
    """Terminating."""

    reason: str = Field(default="", max_length=4_000, description="Why; becomes the output.")
    recursive: bool = Field(default=True, description="Terminate sub-orchestrations, too.")


class RestartQuery(Query):
    """Restarting."""

    restart_with_new_instance_id: bool = Field(default=True, description="Whether the new instance has another id.")


class PurgeQuery(Query):
    """Purging one instance."""

    recursive: bool = Field(default=False, description="Purge its sub-orchestrations that have ended, too.")


class PurgeManyQuery(PurgeQuery):
    """Purging many. A request without conditions does not delete everything: one is required."""

    created_time_from: _Time = Field(description="Created at this time or later.")
    created_time_to: _Time | None = Field(default=None, description="Created at this time or earlier.")
    runtime_status: _EndedStatuses = Field(default=(), description="In one of these statuses, separated by commas.")
    tags: _Tags = Field(default={}, description="With these tags: `name=value`, separated by commas.")


class EntityListQuery(Query):
    """Asking after many entities."""

    last_operation_time_from: _Time | None = Field(
        default=None, description="With their last operation at this time or later."
    )
    last_operation_time_to: _Time | None = Field(
        default=None, description="With their last operation at this time or earlier."
    )
    fetch_state: bool = Field(default=False, description="Include states.")
    top: int = Field(default=100, ge=1, le=1_000, description="How many at most.")


class NamedEntityListQuery(EntityListQuery):
    """Asking after many entities of one name."""

    key_prefix: str = Field(default="", description="Whose key begins with this.")


class SignalQuery(Query):
    """Signalling an entity."""

    op: str = Field(min_length=1, max_length=1_000, description="The operation.")
    signal_time: _Time | None = Field(default=None, description="When to perform it, at the earliest.")


class PoisonListQuery(Query):
    """Asking after poison messages."""

    instance_id: str | None = Field(default=None, description="Only messages for this instance or entity.")
    top: int = Field(default=100, ge=1, le=1_000, description="How many at most.")


class StreamQuery(Query):
    """Reading a stream."""

    cursor: str = Field(
        default="",
        pattern=r"^([0-9a-z]{1,16}\.[0-9]{1,12}\.[0-9]{1,12}(\.end)?)?$",
        description="What the caller has had; by default nothing.",
    )
    wait: float = Field(
        default=DEFAULT_WAIT,
        ge=0,
        le=LONGEST_WAIT,
        allow_inf_nan=False,
        description="Seconds to wait for an item if there is none yet.",
    )


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class CheckStatus(_Answer):
    """The URLs by which an instance is managed."""

    id: str
    status_query_get_uri: str
    send_event_post_uri: str
    terminate_post_uri: str
    suspend_post_uri: str
    resume_post_uri: str
    rewind_post_uri: str
    restart_post_uri: str
    purge_history_delete_uri: str


class Status(_Answer):
    """The status of an instance."""

    name: str
    instance_id: str
    runtime_status: OrchestrationRuntimeStatus
    input: Any
    custom_status: Any
    output: Any
    created_time: datetime
    last_updated_time: datetime
    history_events: list[dict[str, Any]] = Field(default=[], description="Only if it was asked for.")
    tags: dict[str, str] = Field(default={}, description="Only if the instance has any.")
    reason: str = Field(default="", description="Only if it makes no progress: why.")


class EntityName(_Answer):
    """Which entity it is."""

    name: str
    key: str


class ListedEntity(_Answer):
    """An entity in a list."""

    entity_id: EntityName
    last_operation_time: datetime
    state: Any = Field(default=None, description="Only if it was asked for; null if it is lost.")
    reason: str = Field(default="", description="Only if its state is lost, or messages for it are parked: which.")


class ListedPoison(_Answer):
    """A message that could not be processed, in a list."""

    id: str
    kind: str = Field(description="Start, RaiseEvent, Completions, WorkItem ... or Unreadable.")
    instance_id: str | None = Field(description="The instance or entity it is for; null if that can't be told.")
    reason: str = Field(description="Why it is parked.")
    parked_time: datetime | None = Field(description="When it was parked; null if what is stored of it is damaged.")
    queue: str = Field(description="The queue it came from.")


class Poison(ListedPoison):
    """A message that could not be processed."""

    body: str = Field(description="Its text as it was in the queue.")


class Item(_Answer):
    """An item of a stream."""

    cursor: str = Field(description="For who has had this item.")
    event: str = Field(
        description="`message`, or what its writer has called it; `restart`: the last `superseded` items of the step "
        "are void; `end`: nothing follows."
    )
    data: Any
    step: str = Field(description="The key of the step that has written it; empty if none has.")


class ItemPage(_Answer):
    """What a stream holds behind a cursor."""

    items: list[Item]
    cursor: str = Field(description="For the next request.")
    ended: bool = Field(description="Nothing follows.")


class Purged(_Answer):
    """How many instances were deleted."""

    instances_deleted: int


class Problem(_Answer):
    """What is wrong with a request, for people."""

    message: str
