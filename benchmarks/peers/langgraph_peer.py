"""LangGraph's functional API with checkpoints in SQLite. They are written beside the work: no step waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.func import entrypoint, task
from langgraph.types import Command, interrupt

from benchmarks.peers.rounds import carry_out, read_order


@task
async def noop(number: int) -> int:
    return number


class LangGraph:
    """See `System`."""

    def __init__(self, saver: AsyncSqliteSaver) -> None:
        @entrypoint(checkpointer=saver)
        async def chain(number: int) -> str:
            for step in range(number):
                await noop(step)
            return "done"

        @entrypoint(checkpointer=saver)
        async def fan(number: int) -> int:
            return len(await asyncio.gather(*(noop(step) for step in range(number))))

        @entrypoint(checkpointer=saver)
        async def waits(_number: int) -> Any:
            return interrupt("go")

        self._functions: dict[str, Any] = {"chain": chain, "fan": fan, "waits": waits}

    async def run(self, function: str, instance_id: str, number: int) -> Any:
        return await self._functions[function].ainvoke(number, _config(instance_id))

    async def wait(self, instance_id: str) -> None:
        await self.run("waits", instance_id, 0)

    async def signal(self, instance_id: str) -> None:
        if await self._functions["waits"].ainvoke(Command(resume=1), _config(instance_id)) != 1:
            raise RuntimeError(f"{instance_id} did not complete")


def _config(instance_id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": instance_id}, "recursion_limit": 10_000}


async def _main() -> None:
    order = read_order()
    async with AsyncSqliteSaver.from_conn_string(str(order.folder / "langgraph.sqlite")) as saver:
        await carry_out(order, LangGraph(saver))


if __name__ == "__main__":
    asyncio.run(_main())
