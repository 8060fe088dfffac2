"""Run a load in a process of its own and print its figures: `python -m tests.limits.measure LOAD SIZE CONNECTION`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from tests.limits.loads import LOADS, peak_mib
from tests.scenarios.hub import Hub
from tests.storage.providers import new_hub


async def measured(load: str, size: int, value: str) -> dict[str, float]:
    """Run a load on the store that a connection setting says; return its figures."""
    connection = resolve_connection("Storage", {"Storage": value})
    name = new_hub()
    hub = Hub(lambda: open_storage(connection, name))
    before = peak_mib()
    try:
        seconds = await LOADS[load].load(hub, size)
    finally:
        await hub.close()
    return seconds | {"mib_before": round(before), "mib_peak": round(peak_mib())}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.stdout.write(json.dumps(asyncio.run(measured(sys.argv[1], int(sys.argv[2]), sys.argv[3]))) + "\n")
