"""What is asked of a fleet, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scale.fleet import Fleet, FleetOptions
from perdure.client import Client
from perdure.core.entity_id import EntityId

STEPS = 3
"""Activities of each chain."""
_SETTLED = 5.0
"""Seconds after which idle workers poll once a second."""
_A_MINUTE = 60.0
_HOT = "hot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run has cost, and how it went."""

    seconds: float
    """Virtual ones, from the first request to the last."""
    table_requests: int
    queue_requests: int
    """Without those that found no message."""
    empty_receives: int
    lost_races: int
    reads: int
    commits: int
    throttled: int
    given_up: int
    latencies: Sequence[float] = ()
    """Of each instance, from its start to its end; the shortest first."""
    share: Sequence[int] = ()
    """What each worker has ended, or run; the least first."""
    busiest_queue: float = 0.0
    """Requests a second of the control queue that had most, those that found nothing included."""
    most_of_a_queue: int = 0
    """Requests to the queue that had most, of those that change something."""

    def latency(self, part: float) -> float:
        """Return the latency that this part of the instances did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * part))]


async def backlog(options: FleetOptions, orchestrations: int) -> Outcome:
    """Chains that wait in the queue when all workers come up at once."""
    async with Fleet(options) as fleet:
        client = fleet.client(at_once=True)
        for instance in range(orchestrations):
            await client.start_new("chain", str(instance), STEPS)
        began = fleet.now
        fleet.start_polling()
        await fleet.until_ended(orchestrations)
        latencies = [ended - began for ended in fleet.ended.values()]
        return _outcome(fleet, began, latencies, fleet.share(fleet.ended_by))


async def arrivals(options: FleetOptions, a_second: float, seconds: float) -> Outcome:
    """Chains that clients elsewhere start at random moments."""
    async with Fleet(options) as fleet:
        began = await _at_work(fleet)
        started = await _started(fleet, a_second, began + seconds)
        await fleet.until_ended(len(started))
        latencies = [ended - started[instance_id] for instance_id, ended in fleet.ended.items()]
        return _outcome(fleet, began, latencies, fleet.share(fleet.ended_by))


async def _started(fleet: Fleet, a_second: float, until: float) -> dict[str, float]:
    client, started = fleet.client(), dict[str, float]()
    async with asyncio.TaskGroup() as requests:
        while fleet.now < until:
            await asyncio.sleep(fleet.account.random.expovariate(a_second))
            instance_id = str(len(started))
            started[instance_id] = fleet.now
            requests.create_task(_start(client, instance_id))
    return started


async def _start(client: Client, instance_id: str) -> None:
    await client.start_new("chain", instance_id, STEPS)


async def fan_out(options: FleetOptions, activities: int) -> Outcome:
    """One orchestration that schedules many activities at once, and waits for all."""
    async with Fleet(options) as fleet:
        began = await _at_work(fleet)
        await fleet.client(at_once=True).start_new("fan", _HOT, activities)
        await fleet.until_ended(1)
        return _outcome(fleet, began, [fleet.now - began], fleet.share(fleet.activities))


async def signals(options: FleetOptions, count: int) -> Outcome:
    """One entity to which many signals have been sent."""
    async with Fleet(options) as fleet:
        began = await _at_work(fleet)
        client = fleet.client(at_once=True)
        for _ in range(count):
            await client.signal_entity(EntityId("counter", _HOT), "add")
        await fleet.until_deleted(count)
        return _outcome(fleet, began, [fleet.now - began])


async def idle(options: FleetOptions) -> Outcome:
    """Nothing to do: a minute of it, once polling has slowed down."""
    async with Fleet(options) as fleet:
        began = await _at_work(fleet)
        await asyncio.sleep(_A_MINUTE)
        return _outcome(fleet, began)


async def alone(options: FleetOptions, orchestrator: str, size: int) -> Outcome:
    """One orchestration, started by a client in the process of a worker, to its last acknowledgement. It is not the
    first one of its kind there.
    """
    async with Fleet(options) as fleet:
        client = fleet.client_beside_a_worker()
        await client.start_new(orchestrator, "first", 0)
        began = await _at_work(fleet)
        await client.start_new(orchestrator, _HOT, size)
        await fleet.until_ended(2)
        await fleet.until_quiet()
        return _outcome(fleet, began)


async def _at_work(fleet: Fleet) -> float:
    """Begin to poll, wait until idle workers poll as rarely as they ever do, and count from then on: return when."""
    fleet.start_polling()
    await asyncio.sleep(max(_SETTLED, 4 * fleet.options.longest_poll))
    fleet.account.forget_counts()
    return fleet.now


def _outcome(fleet: Fleet, began: float, latencies: Sequence[float] = (), share: Sequence[int] = ()) -> Outcome:
    account, seconds = fleet.account, max(fleet.now - began, 1e-9)
    return Outcome(
        seconds=seconds,
        table_requests=account.table_requests,
        queue_requests=account.queue_requests,
        empty_receives=account.empty_receives,
        lost_races=account.lost_races,
        reads=account.counts["read"],
        commits=fleet.commits.total(),
        throttled=account.throttled,
        given_up=account.given_up,
        latencies=sorted(latencies),
        share=share,
        most_of_a_queue=max(account.changes_by_queue.values(), default=0),
        busiest_queue=max((account.by_queue[queue] for queue in fleet.control_queues), default=0) / seconds,
    )
