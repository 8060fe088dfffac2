"""A worker process with CPU-bound activities: the first line of its input names the store; it ends with its input."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from typing import Any

from benchmarks.bench import POLLING, Bench
from benchmarks.burning import burn
from benchmarks.stores import Place
from perdure.core.context import OrchestrationContext
from perdure.engine.settings import EngineSettings
from perdure.local.queue_pump import PumpOptions

_AT_ONCE = 4
"""Activities at once in a process, and messages in its hands: what docs/placement.md says for work of this kind."""


async def _work() -> None:
    name, _, connection = sys.stdin.readline().strip().partition(" ")
    bench = Bench(Place(name, connection), {}, EngineSettings(max_concurrent_activities=_AT_ONCE))

    @bench.activity
    def burns(milliseconds: float) -> None:
        burn(milliseconds)

    @bench.orchestrator
    def burn_all(context: OrchestrationContext) -> Generator[Any, Any, Any]:
        number, milliseconds = context.get_input()
        done = yield context.task_all([context.call_activity("burns", milliseconds) for _ in range(number)])
        return len(done)

    await bench.create()
    bench.serve(PumpOptions(batch_size=_AT_ONCE // 2, new_batch_threshold=_AT_ONCE // 2, max_polling_interval=POLLING))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await bench.close()


if __name__ == "__main__":
    asyncio.run(_work())
