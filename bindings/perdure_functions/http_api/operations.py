"""The operations of the management API, for its OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from perdure.streaming.sse import CONTENT_TYPE
from perdure_functions.http_api.models import (
    CheckStatus,
    EntityListQuery,
    ItemPage,
    ListedEntity,
    ListedPoison,
    ListQuery,
    NamedEntityListQuery,
    Poison,
    PoisonListQuery,
    Purged,
    PurgeManyQuery,
    PurgeQuery,
    Query,
    ReasonQuery,
    RestartQuery,
    SignalQuery,
    StartQuery,
    Status,
    StatusQuery,
    StreamQuery,
    TerminateQuery,
)
from perdure_functions.http_api.paging import CONTINUATION
from perdure_functions.stream_answers import LAST_EVENT_ID

SCHEMAS = "#/components/schemas/{model}"
TROUBLE = (500, 503)
"""Codes that tell of the hub and its store, not of the request."""
_EMPTY = "Accepted; it takes effect with the instance's next turn."
_SENT = "Accepted; the entity performs it in its turn."


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: what it takes and what it answers."""

    path: str
    method: str
    id: str
    summary: str
    query: type[Query]
    answers: dict[int, tuple[str, Any]]
    """By code: what it means, and the schema of its body; None for none."""
    problems: tuple[int, ...] = (400,)
    """Codes of refusals; any operation may meet with `TROUBLE`, too."""
    body: str | None = None
    """What the body is, if there may be one."""
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers and what they are."""
    media_type: str | None = None
    """What the body of a 200 may be besides JSON."""


def schema_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the reference to a model's schema."""
    return {"$ref": SCHEMAS.format(model=model.__name__)}


_INSTANCE = "/instances/{instanceId}"
_ENTITY = "/entities/{entityName}/{entityKey}"
_POISON = "/poison/{messageId}"
_PAGE_BEFORE = "The same header of the page before."
OPERATIONS = [
    *(
        Operation(
            path=f"/orchestrators/{{functionName}}{rest}",
            method="post",
            id=name,
            summary=summary,
            query=StartQuery,
            answers={
                202: ("Started.", schema_of(CheckStatus)),
                200: ("It has completed, or been terminated, within `timeout`: its output, or its status.", {}),
                500: ("It has failed within `timeout`: its status.", schema_of(Status)),
            },
            problems=(400, 409),
            body="The input.",
        )
        for rest, name, summary in (
            ("", "start", "Start an orchestration."),
            ("/{instanceId}", "startWithId", "Start an orchestration under a given instance id."),
        )
    ),
    Operation(
        path="/instances",
        method="get",
        id="list",
        summary="List instances.",
        query=ListQuery,
        answers={200: ("One page of them.", {"type": "array", "items": schema_of(Status)})},
        headers={CONTINUATION: _PAGE_BEFORE},
    ),
    Operation(
        path="/instances",
        method="delete",
        id="purgeMany",
        summary="Delete ended instances, with everything that is stored of them.",
        query=PurgeManyQuery,
        answers={200: ("Deleted.", schema_of(Purged))},
        problems=(400, 404),
    ),
    Operation(
        path=_INSTANCE,
        method="get",
        id="status",
        summary="Ask for the status of an instance.",
        query=StatusQuery,
        answers={
            200: ("It has ended.", schema_of(Status)),
            202: ("It has not ended; ask again later.", schema_of(Status)),
            500: ("It has failed, and `returnInternalServerErrorOnFailure` is set.", schema_of(Status)),
        },
        problems=(400, 404),
    ),
    Operation(
        path=_INSTANCE,
        method="delete",
        id="purge",
        summary="Delete an ended instance, with everything that is stored of it.",
        query=PurgeQuery,
        answers={200: ("Deleted.", schema_of(Purged))},
        problems=(400, 404, 409),
    ),
    Operation(
        path=f"{_INSTANCE}/streams/{{streamName}}",
        method="get",
        id="stream",
        summary="Read a durable stream, as server-sent events, or as JSON if the header `Accept` asks for it.",
        query=StreamQuery,
        answers={
            200: ("What there is behind the cursor, at once or once there is something.", schema_of(ItemPage)),
            204: ("The stream has ended, and the caller has had its end.", None),
        },
        problems=(400, 404),
        headers={LAST_EVENT_ID: "The id of the last event that the caller has had; goes before `cursor`."},
        media_type=CONTENT_TYPE,
    ),
    Operation(
        path=f"{_INSTANCE}/raiseEvent/{{eventName}}",
        method="post",
        id="raiseEvent",
        summary="Send an instance an external event.",
        query=Query,
        answers={202: (_EMPTY, None)},
        problems=(400, 404, 410),
        body="The event's data.",
    ),
    *(
        Operation(
            path=f"{_INSTANCE}/{name}",
            method="post",
            id=name,
            summary=summary,
            query=query,
            answers={202: (_EMPTY, None)},
            problems=(400, 404, 410),
        )
        for name, summary, query in (
            ("terminate", "End an instance.", TerminateQuery),
            ("suspend", "Pause an instance.", ReasonQuery),
            ("resume", "End the pause of an instance.", ReasonQuery),
        )
    ),
    Operation(
        path=f"{_INSTANCE}/rewind",
        method="post",
        id="rewind",
        summary="Have a failed instance go back to before what failed it, and on from there.",
        query=ReasonQuery,
        answers={202: (_EMPTY, None)},
        problems=(400, 404, 409, 410),
    ),
    Operation(
        path=f"{_INSTANCE}/restart",
        method="post",
        id="restart",
        summary="Start an instance's orchestrator once more, with the same input.",
        query=RestartQuery,
        answers={202: ("Started.", schema_of(CheckStatus))},
        problems=(400, 404, 409),
    ),
    *(
        Operation(
            path=f"/entities{rest}",
            method="get",
            id=name,
            summary=summary,
            query=query,
            answers={200: ("One page of them.", {"type": "array", "items": schema_of(ListedEntity)})},
            headers={CONTINUATION: _PAGE_BEFORE},
        )
        for rest, name, summary, query in (
            ("", "listEntities", "List entities that have a state.", EntityListQuery),
            ("/{entityName}", "listNamedEntities", "List those of one name.", NamedEntityListQuery),
        )
    ),
    Operation(
        path=_ENTITY,
        method="get",
        id="entityState",
        summary="Ask for the state of an entity.",
        query=Query,
        answers={200: ("The state.", {})},
        problems=(400, 404),
    ),
    Operation(
        path=_ENTITY,
        method="post",
        id="signalEntity",
        summary="Have an entity perform an operation.",
        query=SignalQuery,
        answers={202: (_SENT, None)},
        problems=(400, 404),
        body="The operation's input.",
    ),
    Operation(
        path=_ENTITY,
        method="delete",
        id="deleteEntity",
        summary="Delete an entity; if it is a class, have it perform its operation `delete`.",
        query=Query,
        answers={202: (_SENT, None)},
        problems=(400, 404),
    ),
    Operation(
        path="/poison",
        method="get",
        id="listPoison",
        summary="List messages that could not be processed and are parked.",
        query=PoisonListQuery,
        answers={200: ("One page of them.", {"type": "array", "items": schema_of(ListedPoison)})},
        headers={CONTINUATION: _PAGE_BEFORE},
    ),
    Operation(
        path=_POISON,
        method="get",
        id="showPoison",
        summary="Show a parked message.",
        query=Query,
        answers={200: ("The message.", schema_of(Poison))},
        problems=(400, 404),
    ),
    Operation(
        path=_POISON,
        method="delete",
        id="discardPoison",
        summary="Delete a parked message with its payloads; whoever waits for what it says waits for ever.",
        query=Query,
        answers={200: ("Deleted: this message.", schema_of(ListedPoison))},
        problems=(400, 404),
    ),
    Operation(
        path=f"{_POISON}/retry",
        method="post",
        id="retryPoison",
        summary="Send a parked message again.",
        query=Query,
        answers={202: ("Accepted; the message is in its queue.", None)},
        problems=(400, 404),
    ),
]
