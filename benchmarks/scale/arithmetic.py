"""From requests to orchestrations a second and dollars: Perdure's requests as counted, others' as published."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.scale.azure import (
    ACCOUNT_PER_SECOND,
    OLD_QUEUE_PRICE,
    QUEUE_PER_SECOND,
    QUEUE_PRICE,
    TABLE_PRICE,
)
from benchmarks.scale.tables import number

_MILLION = 1_000_000
_HOUR = 3_600
_MONTH_HOURS = 730


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one orchestration costs, in requests."""

    engine: str
    workload: str
    steps: int
    table: float
    """Requests to tables, and whatever else is no queue."""
    queue: float
    """Requests to queues."""
    busiest_queue: float | None = None
    """Of them, those to the control queue or to the queue of work items, whichever has more."""

    @property
    def requests(self) -> float:
        """All of them."""
        return self.table + self.queue

    @property
    def a_second(self) -> float:
        """Orchestrations a second that one account takes."""
        return ACCOUNT_PER_SECOND / self.requests

    def dollars(self, queue_price: float) -> float:
        """Return dollars for a million steps."""
        return (self.table * TABLE_PRICE + self.queue * queue_price) / self.steps * _MILLION


_IDLE = ((1, 1, 60), (10, 1, 1), (100, 1, 1), (1_000, 1, 1), (1_000, 4, 1), (1_000, 4, 10), (1_000, 4, 60))
"""Workers, control queues, seconds between two polls."""
_CHAIN_MESSAGES = 2 * 3 + 1
_DURABLE_TASK = "DurableTask.AzureStorage"


def _durable_task(workload: str, steps: int, requests: float, messages: int) -> Cost:
    """Its requests, counted from its code. Of each message at least the sending and the deletion are queue requests;
    the rest is taken for the cheaper kind.
    """
    queue = 2 * messages
    return Cost(engine=_DURABLE_TASK, workload=workload, steps=steps, table=requests - queue, queue=queue)


DURABLE_TASK = (
    _durable_task("chain of 3", 3, 36, _CHAIN_MESSAGES),
    _durable_task("fan-out of 100, at best", 100, 526, 201),
    _durable_task("fan-out of 100, at worst", 100, 910, 201),
    _durable_task("fan-out of 1,000, at best", 1_000, 5_181, 2_001),
    _durable_task("fan-out of 1,000, at worst", 1_000, 11_021, 2_001),
)
HEADERS = (
    "orchestration",
    "engine",
    "table requests",
    "queue requests",
    "a step",
    "orchestrations/s an account",
    "steps/s an account",
    "$ a million steps, v2",
    "v1",
)


def cost_rows(costs: Sequence[Cost]) -> Iterator[list[str]]:
    """Say of each what an account takes of it, and what it costs."""
    for cost in costs:
        yield [
            cost.workload,
            cost.engine,
            number(cost.table),
            number(cost.queue),
            number(cost.requests / cost.steps),
            number(cost.a_second),
            number(cost.a_second * cost.steps),
            f"{cost.dollars(QUEUE_PRICE):.2f}",
            f"{cost.dollars(OLD_QUEUE_PRICE):.2f}",
        ]


QUEUE_HEADERS = ("orchestration", "on its busiest queue", "one queue takes /s", "queues that fill an account")


def queue_rows(costs: Sequence[Cost]) -> Iterator[list[str]]:
    """Say how many queues of the busiest kind it takes until the account is the limit."""
    for cost in costs:
        if cost.busiest_queue is not None:
            needed = math.ceil(cost.a_second * cost.busiest_queue / QUEUE_PER_SECOND)
            one = QUEUE_PER_SECOND / cost.busiest_queue
            yield [cost.workload, number(cost.busiest_queue), number(one), str(needed)]


POLLING_HEADERS = (
    "workers",
    "control queues",
    "maxPollingInterval",
    "polls a queue /s",
    "of its limit",
    "of the account's",
    "$ a month, v2",
)


def polling_rows() -> Iterator[list[str]]:
    """Say what idle workers cost. Each polls each queue, and for each queue one for poison messages."""
    for workers, control, interval in _IDLE:
        a_queue = workers / interval
        polls = a_queue * 2 * (control + 1)
        yield [
            number(workers),
            str(control),
            f"{interval} s",
            number(a_queue),
            f"{a_queue / QUEUE_PER_SECOND:.1%}",
            f"{polls / ACCOUNT_PER_SECOND:.1%}",
            number(polls * _HOUR * _MONTH_HOURS * QUEUE_PRICE),
        ]
