"""DBOS on SQLite: workflows and steps of asyncio, in one process with its system database."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Any

if sqlite3.sqlite_version_info < (3, 42):  # its tables ask for a function that came with 3.42
    sys.modules["sqlite3"] = __import__("pysqlite3")

from dbos import DBOS, SetWorkflowID

from benchmarks.peers.rounds import carry_out, read_order


@DBOS.step()
async def noop(number: int) -> int:
    return number


@DBOS.workflow()
async def chain(number: int) -> str:
    for step in range(number):
        await noop(step)
    return "done"


@DBOS.workflow()
async def fan(number: int) -> int:
    return len(await asyncio.gather(*(noop(step) for step in range(number))))


@DBOS.workflow()
async def waits(_number: int) -> Any:
    return await DBOS.recv_async("go", timeout_seconds=300)


class Dbos:
    """See `System`."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    async def run(self, function: str, instance_id: str, number: int) -> Any:
        handle = await self._started({"chain": chain, "fan": fan}[function], instance_id, number)
        return await handle.get_result()

    async def wait(self, instance_id: str) -> None:
        self._handles[instance_id] = await self._started(waits, instance_id, 0)

    async def signal(self, instance_id: str) -> None:
        await DBOS.send_async(instance_id, 1, "go")
        await self._handles[instance_id].get_result()

    async def _started(self, function: Any, instance_id: str, number: int) -> Any:
        with SetWorkflowID(instance_id):
            return await DBOS.start_workflow_async(function, number)


async def _main() -> None:
    order = read_order()
    database = order.folder / "dbos.sqlite"
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{database}", "log_level": "ERROR"})
    DBOS.launch()
    await carry_out(order, Dbos())
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(_main())
