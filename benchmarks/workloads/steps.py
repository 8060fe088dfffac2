"""Orchestrations of no-op activities: one after the other, at once, and very many."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Generator
from typing import Any

from benchmarks.bench import Bench
from benchmarks.floors import step_times
from benchmarks.measuring import resident_mib
from perdure.core.context import OrchestrationContext

Steps = Generator[Any, Any, Any]


def _register(bench: Bench) -> None:
    @bench.activity
    async def noop(number: int) -> int:
        return number

    @bench.orchestrator
    def chain(context: OrchestrationContext) -> Steps:
        for number in range(context.get_input()):
            yield context.call_activity("noop", number)
        return "done"

    @bench.orchestrator
    def fan(context: OrchestrationContext) -> Steps:
        results = yield context.task_all(
            [context.call_activity("noop", number) for number in range(context.get_input())]
        )
        return len(results)


async def _warm(bench: Bench) -> None:
    _register(bench)
    bench.serve()
    await bench.completed(await bench.client.start_new("chain", "warm", 20))
    await bench.completed(await bench.client.start_new("fan", "warm-fan", 5))
    bench.counts.clear()


async def chain(bench: Bench) -> dict[str, float]:
    """Sequential steps a second, as the client sees it, and by the times in the instance's row."""
    steps = bench.sizes["steps"]
    await _warm(bench)
    for number in range(bench.sizes["rounds"]):
        with bench.meter:
            await bench.completed(await bench.client.start_new("chain", f"c{number}", steps))
    await bench.note_writes("c0")
    return {"steps_per_s": steps / bench.meter.wall, "row_steps_per_s": steps / await _row_seconds(bench, "c")}


async def concurrent(bench: Bench) -> dict[str, float]:
    """Workflows a second."""
    workflows, steps = bench.sizes["workflows"], bench.sizes["steps"]
    await _warm(bench)

    async def one(instance_id: str) -> None:
        await bench.completed(await bench.client.start_new("chain", instance_id, steps))

    for turn in range(bench.sizes["rounds"]):
        with bench.meter:
            await asyncio.gather(*(one(f"c{turn}-{number}") for number in range(workflows)))
    await bench.note_writes("c0-0")
    return {"workflows_per_s": workflows / bench.meter.wall}


async def fan(bench: Bench) -> dict[str, float]:
    """Seconds of a fan-out, as the client sees it, and by the times in the instance's row; before that, of one whose
    activities have never run, so that nobody knows yet that they are short.
    """
    activities = bench.sizes["activities"]

    @bench.activity
    async def unheard_of(number: int) -> int:
        return number

    @bench.orchestrator
    def first_fan(context: OrchestrationContext) -> Steps:
        yield context.task_all([context.call_activity("unheard_of", number) for number in range(context.get_input())])

    await _warm(bench)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await bench.completed(await bench.client.start_new("first_fan", "first", activities))
    first = loop.time() - began
    bench.counts.clear()
    for number in range(bench.sizes["rounds"]):
        with bench.meter:
            if await bench.completed(await bench.client.start_new("fan", f"f{number}", activities)) != activities:
                raise ValueError("results are missing")
    await bench.note_writes("f0")
    return {"seconds": bench.meter.wall, "row_seconds": await _row_seconds(bench, "f"), "first_seconds": first}


async def long(bench: Bench) -> dict[str, float]:
    """Milliseconds a step around an early and a late one, and how much memory grew between them."""
    sizes = bench.sizes
    loop = asyncio.get_running_loop()
    times: list[float] = []
    memory: dict[int, float] = {}

    @bench.activity
    async def timed(number: int) -> int:
        times.append(loop.time())
        if number in (sizes["first"], sizes["last"]):
            memory[number] = resident_mib()
        return number

    @bench.orchestrator
    def marathon(context: OrchestrationContext) -> Steps:
        for number in range(context.get_input()):
            yield context.call_activity("timed", number)

    await _warm(bench)
    with bench.meter:
        await bench.completed(await bench.client.start_new("marathon", "long", sizes["last"] + sizes["width"] + 1))
    await bench.note_writes("long")
    return {**step_times(times, sizes), "grown_mib": memory[sizes["last"]] - memory[sizes["first"]]}


async def _row_seconds(bench: Bench, prefix: str) -> float:
    """Return the median time from creation to the last change of the instances of a prefix."""
    seconds = []
    for number in range(bench.sizes["rounds"]):
        status = await bench.watcher.get_status(f"{prefix}{number}")
        if status.created_time is None or status.last_updated_time is None:
            raise ValueError("an instance is missing")
        seconds.append((status.last_updated_time - status.created_time).total_seconds())
    return statistics.median(seconds)
