"""Durable streams over HTTP: as server-sent events, or as JSON to who asks for that.

The answer of a plain Azure Function goes out when it is complete. So it holds what there is once something is there,
and ends; `EventSource` reconnects by itself, says what it has had, and gets the rest. In an app that has imported
azurefunctions-extensions-http-fastapi the answer goes on until the stream ends. Each item comes once either way.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import azure.functions as func

from perdure.client import Client, StreamItem, StreamPage
from perdure.streaming import sse

LONGEST_WAIT = 120.0
"""Seconds for which a request may wait; the load balancer before Functions gives up after 230."""
DEFAULT_WAIT = 20.0
_RECONNECT_MILLISECONDS = 200
_HEARTBEAT_SECONDS = 15.0
LAST_EVENT_ID = "Last-Event-ID"


class StreamedResponse(func.HttpResponse):
    """An answer of server-sent events: as it is, what there is; where answers can be streamed, all until the end."""

    def __init__(self, page: StreamPage, follow: Callable[[str], AsyncIterator[StreamPage]]) -> None:
        super().__init__(events_text(page), headers=sse.HEADERS, mimetype=sse.CONTENT_TYPE)
        self._page = page
        self._follow = follow

    async def live(self) -> AsyncIterator[str]:
        """Iterate over the text of all events as they come, until the stream ends."""
        yield events_text(self._page)
        if self._page.ended:
            return
        async for page in self._follow(self._page.cursor):
            yield "".join(map(sse.sse_item, page.items)) or sse.HEARTBEAT


async def answer_stream(
    request: func.HttpRequest,
    client: Client,
    instance_id: str,
    name: str,
    *,
    cursor: str | None = None,
    wait: float = DEFAULT_WAIT,
) -> func.HttpResponse:
    """Answer a request for the items of a stream that follow a cursor, with 200; with 204, which has an `EventSource`
    stop, to who has had the end already.

    Args:
        request: its header `Last-Event-ID` goes before `cursor`, its header `Accept` chooses between events and JSON.
        client: reads.
        instance_id: the orchestration or entity that the stream belongs to.
        name: the stream's name.
        cursor: what the request says elsewhere of what its sender has had; None or "" for nothing.
        wait: seconds to wait for an item if there is none yet.

    Raises:
        InstanceNotFoundError: there is no such orchestration.
        StoredDataError: the stream is damaged.
        ValueError: the name or the cursor is none.
    """
    begin = header(request.headers, LAST_EVENT_ID) or cursor or None
    page = await client.read_stream(instance_id, name, cursor=begin, wait=wait)
    if wants_json(request.headers):
        return func.HttpResponse(json.dumps(page_content(page)), mimetype="application/json")
    if page.ended and not page.items:
        return func.HttpResponse(status_code=204)

    async def follow(cursor: str) -> AsyncIterator[StreamPage]:
        ended = False
        while not ended:
            following = await client.read_stream(instance_id, name, cursor=cursor, wait=_HEARTBEAT_SECONDS)
            cursor, ended = following.cursor, following.ended
            yield following

    return StreamedResponse(page, follow)


def wants_json(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for JSON rather than events, by its header `Accept`."""
    accepted = header(headers, "Accept").casefold()
    return "application/json" in accepted and sse.CONTENT_TYPE not in accepted


def events_text(page: StreamPage) -> str:
    """Return a page as server-sent events: complete, so that its reader comes again for what follows."""
    return sse.sse_retry(_RECONNECT_MILLISECONDS) + ("".join(map(sse.sse_item, page.items)) or sse.HEARTBEAT)


def page_content(page: StreamPage) -> dict[str, Any]:
    """Return a page as JSON can hold it."""
    return {"items": [item_content(item) for item in page.items], "cursor": page.cursor, "ended": page.ended}


def item_content(item: StreamItem) -> dict[str, Any]:
    """Return an item as JSON can hold it."""
    return {"cursor": item.cursor, "event": item.event, "data": item.data, "step": item.step}


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header of a request, "" if it has none of that name, whatever its case."""
    return next((value for key, value in headers.items() if key.casefold() == name.casefold()), "")
