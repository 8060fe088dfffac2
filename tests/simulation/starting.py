"""Starting an instance in a simulation, as the client of a worker does."""

from __future__ import annotations

from perdure.engine.worker import Worker
from perdure.storage.rows import Row


async def start(worker: Worker, row: Row) -> None:
    """Start the execution, or start it again: whoever asked for it has had no answer."""
    if await worker.begin(row):
        return
    if await worker.starting.insert(row) is None:
        await worker.start(row)
    else:
        await worker.dispatch.start(row)
