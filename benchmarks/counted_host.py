"""Counting the storage requests of a whole host process, its triggers' included, from within."""

from __future__ import annotations

from collections import Counter
from typing import Any

COUNTS: Counter[str] = Counter()
"""Requests of this process so far: HTTP requests by kind on Azure; transactions on SQLite, and glances at whether other
processes have written."""


def count_requests(connection: str) -> None:
    """Begin to count the requests to the store that a connection string names.

    Nothing in Perdure offers this: the benchmark puts itself between the providers and their store.
    """
    if connection.startswith("sqlite:"):
        _count_transactions()
    else:
        _count_http()


def _count_http() -> None:
    from perdure.storage.azure.transport import Transport, request_kind

    def counted(self: Transport, method: str, url: str) -> None:
        COUNTS[request_kind(self._urls, method, url)] += 1

    setattr(Transport, "note", counted)  # noqa: B010 - a method is no variable to a type checker


def _count_transactions() -> None:
    from perdure.storage.sqlite.database import Database

    def counted(kind: str, method: Any) -> Any:
        async def call(self: Database, work: Any) -> Any:
            COUNTS[kind] += 1
            return await method(self, work)

        return call

    for kind in ("read", "write"):
        setattr(Database, kind, counted(kind, getattr(Database, kind)))
    glance = Database._others_have_written  # noqa: SLF001 - the benchmark puts itself in between

    def glanced(self: Database, connection: Any) -> bool:
        COUNTS["glance"] += 1
        return glance(self, connection)

    setattr(Database, "_others_have_written", glanced)  # noqa: B010 - as above
