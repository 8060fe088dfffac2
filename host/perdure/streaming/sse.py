"""Server-sent events, as browsers' `EventSource` reads them (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from typing import Any

from perdure.streaming.item import StreamItem

CONTENT_TYPE = "text/event-stream"
HEADERS = {"Content-Type": f"{CONTENT_TYPE}; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Of an answer that consists of events; the last one has proxies pass them on as they come."""
HEARTBEAT = ": \n\n"
"""A comment: it says nothing, and keeps a connection from looking dead."""


def sse_event(data: Any, *, event: str | None = None, id: str | None = None) -> str:  # noqa: A002 - the field's name
    """Return the text of one event.

    Args:
        data: what JSON can hold.
        event: what it is called; `message` to its readers if None.
        id: what a reader that reconnects sends as `Last-Event-ID`.

    Raises:
        ValueError: `event` or `id` has more than one line.
    """
    lines = []
    for name, value in (("id", id), ("event", event)):
        if value is None:
            continue
        if "\n" in value or "\r" in value or "\0" in value:
            raise ValueError(f"the {name} of an event has one line, not {value!r}")
        lines.append(f"{name}: {value}")
    return "\n".join([*lines, f"data: {json.dumps(data)}", "", ""])


def sse_item(item: StreamItem) -> str:
    """Return the event that an item of a stream is: its cursor is the id."""
    return sse_event(item.data, event=None if item.event == "message" else item.event, id=item.cursor)


def sse_retry(milliseconds: int) -> str:
    """Return the line that tells a reader how long to wait before it reconnects."""
    return f"retry: {milliseconds}\n\n"
