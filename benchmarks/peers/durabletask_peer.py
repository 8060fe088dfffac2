"""The Durable Task SDK on its in-memory backend, over gRPC within one process. Nothing is kept when it ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Generator
from typing import Any

from durabletask import task
from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.testing import create_test_backend
from durabletask.worker import TaskHubGrpcWorker

from benchmarks.peers.rounds import carry_out, read_order

_PATIENCE = 120
_WAITERS = 4
"""Each takes a thread of the backend's ten; with all of them taken nothing would move."""


def noop(_context: task.ActivityContext, number: int) -> int:
    return number


def chain(context: task.OrchestrationContext, number: int) -> Generator[Any, Any, str]:
    for step in range(number):
        yield context.call_activity(noop, input=step)
    return "done"


def fan(context: task.OrchestrationContext, number: int) -> Generator[Any, Any, int]:
    results = yield task.when_all([context.call_activity(noop, input=step) for step in range(number)])
    return len(results)


def waits(context: task.OrchestrationContext, _number: int) -> Generator[Any, Any, Any]:
    return (yield context.wait_for_external_event("go"))


class DurableTask:
    """See `System`."""

    def __init__(self, client: AsyncTaskHubGrpcClient) -> None:
        self._client = client
        self._waiters = asyncio.Semaphore(_WAITERS)

    async def run(self, function: str, instance_id: str, number: int) -> Any:
        orchestrator: Any = {"chain": chain, "fan": fan}[function]
        await self._client.schedule_new_orchestration(orchestrator, input=number, instance_id=instance_id)
        return await self._output(instance_id)

    async def wait(self, instance_id: str) -> None:
        await self._client.schedule_new_orchestration(waits, input=0, instance_id=instance_id)
        async with self._waiters:
            await self._client.wait_for_orchestration_start(instance_id, timeout=_PATIENCE)

    async def signal(self, instance_id: str) -> None:
        await self._client.raise_orchestration_event(instance_id, "go", data=1)
        await self._output(instance_id)

    async def _output(self, instance_id: str) -> Any:
        async with self._waiters:
            state = await self._client.wait_for_orchestration_completion(instance_id, timeout=_PATIENCE)
        if state is None or state.runtime_status.name != "COMPLETED":
            raise RuntimeError(f"{instance_id} did not complete: {state}")
        return state.get_output(int) if instance_id.startswith("f") else None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def _main() -> None:
    order = read_order()
    port = _free_port()
    logging.disable(logging.WARNING)
    backend = create_test_backend(port=port)
    address = f"127.0.0.1:{port}"
    with TaskHubGrpcWorker(host_address=address) as worker:
        for function in (chain, fan, waits):
            worker.add_orchestrator(function)
        worker.add_activity(noop)
        worker.start()
        client = AsyncTaskHubGrpcClient(host_address=address)
        await carry_out(order, DurableTask(client))
        await client.close()
    backend.stop()


if __name__ == "__main__":
    asyncio.run(_main())
