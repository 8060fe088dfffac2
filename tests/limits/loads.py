"""Loads at the limits: each runs on a hub that may be of any provider, checks what came out, and measures itself."""

from __future__ import annotations

import asyncio
import re
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.storage.rows import InstanceQuery
from tests.scenarios.hub import Hub

Load = Callable[[Hub, int], Awaitable[dict[str, float]]]

ENOUGH = 3_600
_MIB = 1024 * 1024
_AT_ONCE = 32


def peak_mib() -> float:
    """Most memory that this process has had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux passes the parent's peak on to what getrusage says of the child
        (line,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii"), re.MULTILINE)
        return int(line) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MIB if sys.platform == "darwin" else 1024)


class Stopwatch:
    """Seconds of the parts of a load."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._at, 2)
        self._at = now


async def history(hub: Hub, events: int) -> dict[str, float]:
    """A chain of activities, each of which leaves two events; then another worker goes on from its history."""
    steps = events // 2

    @hub.orchestrator
    def chain(context):
        total = 0
        for step in range(steps):
            total += yield context.call_activity("one", step)
        context.set_custom_status("waits")
        return total + (yield context.wait_for_external_event("more"))

    @hub.activity
    def one(step: int) -> int:
        return 1

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    watch = Stopwatch()
    await client.start_new("chain", "long")
    await hub.reaches("long", lambda instance: instance.custom_status is not None, ENOUGH)
    watch.lap("chain")
    await hub.workers.pop(0).stop()
    await hub.add_worker()
    await client.raise_event("long", "more", 1)
    assert await hub.output("long", ENOUGH) == steps + 1
    watch.lap("replay")
    shown = await client.get_status("long", show_history=True)
    assert shown.history is not None
    assert sum(event["EventType"] == "TaskCompleted" for event in shown.history) == steps
    watch.lap("status_with_history")
    assert (await client.purge_instance_history("long")).instances_deleted == 1
    assert await hub.storage.list_segments("long") == []
    watch.lap("purge")
    return watch.seconds


async def fan_out(hub: Hub, width: int) -> dict[str, float]:
    """As many activities at once as an orchestrator asks for."""

    @hub.orchestrator
    def spread(context):
        squares = yield context.task_all([context.call_activity("square", number) for number in range(width)])
        return sum(squares)

    @hub.activity
    def square(number: int) -> int:
        return number * number

    await hub.add_worker()
    watch = Stopwatch()
    await Client(hub.storage, worker=hub.engine).start_new("spread", "wide")
    assert await hub.output("wide", ENOUGH) == sum(number * number for number in range(width))
    watch.lap("fan_out")
    return watch.seconds


async def large_data(hub: Hub, size: int) -> dict[str, float]:
    """A text that goes in, through an activity, and out again."""

    @hub.orchestrator
    def carry(context):
        return (yield context.call_activity("echo", context.get_input()))

    @hub.activity
    def echo(text: str) -> str:
        return text

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    text = "".join(f"{number:07x} " for number in range(size // 8))
    watch = Stopwatch()
    await client.start_new("carry", "heavy", text)
    await hub.ended("heavy", ENOUGH)
    watch.lap("run")
    assert (await client.get_status("heavy")).output == text
    watch.lap("read")
    assert (await client.purge_instance_history("heavy")).instances_deleted == 1
    assert await hub.storage.list_payloads("heavy") == []
    watch.lap("purge")
    return watch.seconds


async def external_events(hub: Hub, number: int) -> dict[str, float]:
    """Events for one instance: the first half comes while it waits for another, the rest while it takes them."""

    @hub.orchestrator
    def collect(context):
        yield context.wait_for_external_event("begin")
        taken = set()
        for _ in range(number):
            taken.add((yield context.wait_for_external_event("item")))
        return [len(taken), sum(taken)]

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    watch = Stopwatch()
    await client.start_new("collect", "many")
    await _each(range(number // 2), lambda item: client.raise_event("many", "item", item))
    await client.raise_event("many", "begin")
    watch.lap("raise_first_half")
    await _each(range(number // 2, number), lambda item: client.raise_event("many", "item", item))
    watch.lap("raise_second_half")
    assert await hub.output("many", ENOUGH) == [number, sum(range(number))]
    watch.lap("rest")
    return watch.seconds


async def generations(hub: Hub, number: int) -> dict[str, float]:
    """Continue-as-new again and again, with large data; what earlier generations have stored goes."""

    @hub.orchestrator
    def renew(context):
        state = context.get_input()
        if state["generation"] == number:
            return state["generation"]
        text = yield context.call_activity("grow", state["generation"])
        context.continue_as_new({"generation": state["generation"] + 1, "text": text})
        return None

    @hub.activity
    def grow(generation: int) -> str:
        return f"{generation:08}" * 5_000

    hub.settings = type(hub.settings)(turn_bytes=256)  # so that each generation has segments
    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    watch = Stopwatch()
    await client.start_new("renew", "eternal", {"generation": 0, "text": ""})
    assert await hub.output("eternal", ENOUGH) == number
    watch.lap("generations")
    await hub.quiet(ENOUGH)
    segments, payloads = await hub.storage.list_segments("eternal"), await hub.storage.list_payloads("eternal")
    assert len(segments) <= 4, segments
    assert len(payloads) <= 2, payloads
    return watch.seconds | {"segments_left": len(segments), "payloads_left": len(payloads)}


async def hub_of_many(hub: Hub, number: int) -> dict[str, float]:
    """Many instances: started, listed page by page, found by prefix and status, purged."""

    @hub.orchestrator
    def quick(context):
        return context.get_input()

    await hub.add_worker()
    client = Client(hub.storage, worker=hub.engine)
    watch = Stopwatch()
    await _each(range(number), lambda item: client.start_new("quick", f"job-{item:06}", item))
    watch.lap("start")
    await client.wait_for_completion(f"job-{number - 1:06}", ENOUGH)
    await hub.quiet(ENOUGH)
    watch.lap("settle")
    seen: list[str] = []
    page = await client.query(top=1_000)
    while True:
        assert all(status.runtime_status is OrchestrationRuntimeStatus.Completed for status in page.instances)
        seen += [status.instance_id for status in page.instances]
        if page.continuation is None:
            break
        page = await client.query(top=1_000, continuation=page.continuation)
    assert seen == [f"job-{item:06}" for item in range(number)]
    watch.lap("all_pages")
    found = await client.query(InstanceQuery(id_prefix=f"job-{number - 1:06}"))
    assert [status.output for status in found.instances] == [number - 1]
    watch.lap("by_prefix")
    purged = await client.purge_instance_history_by(None, None, [OrchestrationRuntimeStatus.Completed])
    assert purged.instances_deleted == number
    assert (await client.query()).instances == []
    watch.lap("purge")
    return watch.seconds


async def _each(items: Any, call: Callable[[Any], Awaitable[Any]]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Any) -> None:
        async with gate:
            await call(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


class Limit(NamedTuple):
    """A load, and how much of it is promised."""

    load: Load
    limit: int
    """Its size: events, activities, bytes ..."""
    sample: int
    """A size that takes a second or two."""
    most_mib: int
    """What it may add to the memory of an empty worker, in MiB, at either size."""


LOADS = {
    "history": Limit(history, 50_000, 3_000, 160),
    "fan_out": Limit(fan_out, 5_000, 400, 40),
    "large_data": Limit(large_data, 50 * _MIB, 4 * _MIB, 700),
    "external_events": Limit(external_events, 10_000, 800, 40),
    "generations": Limit(generations, 1_000, 60, 20),
    "hub_of_many": Limit(hub_of_many, 20_000, 300, 100),
}
