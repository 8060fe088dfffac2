"""Floors: what the same storage, through the same client, needs for the least writes that a workload could do with.

Nothing is decided, replayed or run here. `TELLS` says of each floor what it does; the reports print it.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime

from benchmarks.bench import HUB, Bench
from benchmarks.measuring import percentile
from perdure.storage.rows import Instance, Row, RowUpdate

TELLS = {
    "chain": "one after the other: a row inserted, a hidden message, a conditional merge a step, the message deleted",
    "concurrent": "at once for all workflows: a row inserted, a hidden message, a conditional merge a step, a delete",
    "fan": "a row inserted, a hidden message, two conditional merges as large as the largest turn, the message deleted",
    "signal": "one after the other: a message sent, received and deleted, a conditional merge, a read",
    "entity": "all signals sent at once, then received 32 at a time and deleted; after each receive a conditional "
    "merge for every entity",
    "long": "a conditional merge a step; every 200 a segment of them all is put and the row replaced",
    "start": "a POST to a function of the same host that does an insert, a hidden message, three merges, a delete",
    "scaleout": "the activities' work alone, in one process and in two",
}
_QUEUE = f"{HUB.lower()}-control"
_BATCH = 32
_HIDDEN = 30.0
_TAIL = 200
_COMMIT = "0123456789abcdef0123456789abcdef"


async def chain(bench: Bench) -> dict[str, float]:
    """See `TELLS`."""
    steps = bench.sizes["steps"]
    await instance(bench, "warm", 20)
    bench.counts.clear()
    for number in range(bench.sizes["rounds"]):
        with bench.meter:
            await instance(bench, f"i{number}", steps)
    return {"steps_per_s": steps / bench.meter.wall}


async def concurrent(bench: Bench) -> dict[str, float]:
    """See `TELLS`."""
    workflows, steps = bench.sizes["workflows"], bench.sizes["steps"]
    await asyncio.gather(*(instance(bench, f"w{number}", steps) for number in range(20)))
    bench.counts.clear()
    for turn in range(bench.sizes["rounds"]):
        with bench.meter:
            await asyncio.gather(*(instance(bench, f"i{turn}-{number}", steps) for number in range(workflows)))
    return {"workflows_per_s": workflows / bench.meter.wall}


async def fan(bench: Bench) -> dict[str, float]:
    """See `TELLS`."""
    size = int(bench.shape["largest_turn_bytes"])
    await instance(bench, "warm", 20)
    bench.counts.clear()
    for number in range(bench.sizes["rounds"]):
        with bench.meter:
            etag = await _insert(bench, f"f{number}")
            sent = await bench.storage.send(_QUEUE, "x" * 200, delay=_HIDDEN)
            for place in range(2):
                etag = await _merge(bench, f"f{number}", etag, place, size)
            await bench.storage.delete_message(_QUEUE, sent.message_id, sent.receipt)
    return {"seconds": bench.meter.wall}


async def signal(bench: Bench) -> dict[str, float]:
    """See `TELLS`."""
    etag = await _insert(bench, "one")
    for number in range(-5, bench.sizes["waiting"]):
        if number == 0:
            bench.counts.clear()
            bench.meter.walls.clear()
        with bench.meter:
            await bench.storage.send(_QUEUE, "x" * 200)
            (message,) = await bench.storage.receive(_QUEUE, count=_BATCH, invisibility=_HIDDEN)
            etag = await _merge(bench, "one", etag, number + 5, int(bench.shape["turn_bytes"]))
            await bench.storage.read_instance("one")
            await bench.storage.delete_message(_QUEUE, message.message_id, message.receipt)
    milliseconds = [wall * 1000 for wall in bench.meter.walls]
    return {"p50_ms": percentile(milliseconds, 0.5), "p95_ms": percentile(milliseconds, 0.95)}


async def entity(bench: Bench) -> dict[str, float]:
    """See `TELLS`."""
    signals, entities = bench.sizes["signals"], bench.sizes["entities"]
    names = [f"e{number}" for number in range(entities)]
    etags = {name: await _insert(bench, name) for name in names}
    places = itertools.count()

    async def commit(name: str) -> None:
        etags[name] = await _merge(bench, name, etags[name], next(places) % _TAIL, 200)

    bench.counts.clear()
    with bench.meter:
        await asyncio.gather(*(bench.storage.send(_QUEUE, "x" * 200) for _ in range(signals)))
        for left in range(signals, 0, -_BATCH):
            await _receive_all(bench, min(left, _BATCH))
            await asyncio.gather(*(commit(name) for name in names))
    return {"signals_per_s": signals / bench.meter.wall}


async def long(bench: Bench) -> dict[str, float]:
    """See `TELLS`."""
    size, last, width = int(bench.shape["turn_bytes"]), bench.sizes["last"], bench.sizes["width"]
    bench.counts.clear()
    etag = await _insert(bench, "long")
    loop = asyncio.get_running_loop()
    times = [loop.time()]
    with bench.meter:
        for step in range(last + width):
            if step and step % _TAIL == 0:
                await bench.storage.put_segment("long", f"00000000-{step:06d}-{_COMMIT}", b"x" * size * _TAIL)
                etag = await bench.storage.replace(_row("long", etag=etag))
            etag = await _merge(bench, "long", etag, step % _TAIL, size)
            times.append(loop.time())
    return step_times(times, bench.sizes)


def step_times(times: list[float], sizes: dict[str, int]) -> dict[str, float]:
    """Return how long steps took around an early and a late one, given when each step was done."""
    width = sizes["width"]

    def around(step: int) -> float:
        return (times[step + width] - times[step - width]) / (2 * width) * 1000

    early, late = around(sizes["first"]), around(sizes["last"])
    return {"early_ms": early, "late_ms": late, "ratio": late / early}


async def instance(bench: Bench, instance_id: str, merges: int) -> None:
    """Do the writes of one orchestration."""
    size = int(bench.shape["turn_bytes"])
    etag = await _insert(bench, instance_id)
    sent = await bench.storage.send(_QUEUE, "x" * 200, delay=_HIDDEN)
    for place in range(merges):
        etag = await _merge(bench, instance_id, etag, place, size)
    await bench.storage.delete_message(_QUEUE, sent.message_id, sent.receipt)


async def _insert(bench: Bench, instance_id: str) -> str:
    return await bench.storage.insert(_row(instance_id))


async def _merge(bench: Bench, instance_id: str, etag: str, place: int, size: int) -> str:
    update = RowUpdate(updated_at=datetime.now(UTC), commit=_COMMIT, turn=b"x" * size, tail_index=place)
    return await bench.storage.merge(instance_id, etag, update)


def _row(instance_id: str, etag: str = "") -> Row:
    now = datetime.now(UTC)
    instance = Instance(
        instance_id=instance_id, name="bare", execution_id=_COMMIT, status="Running", created_at=now, updated_at=now
    )
    return Row(instance=instance, etag=etag)


async def _receive_all(bench: Bench, number: int) -> None:
    """Receive so many messages and delete them."""
    while number > 0:
        messages = await bench.storage.receive(_QUEUE, count=_BATCH, invisibility=_HIDDEN)
        deleting = (bench.storage.delete_message(_QUEUE, each.message_id, each.receipt) for each in messages)
        await asyncio.gather(*deleting)
        number -= len(messages)
