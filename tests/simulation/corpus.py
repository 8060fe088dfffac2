"""Orchestrations that the simulation runs, and what each must come to.

Activities write into the simulation's ledger, so that a run that history does not explain is seen.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

from perdure.core.codec import decode_message
from perdure.core.context import OrchestrationContext
from perdure.core.failure import TaskFailedError
from perdure.core.messages import WorkItem
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import Registry, activity_context
from perdure.testing import Simulation

LARGE = 40_000
_UNSEEN = 5.0
Orchestrator = Generator[Any, Any, Any]


def chain(context: OrchestrationContext) -> Orchestrator:
    total = 0
    for step in range(6):
        total = yield context.call_activity("add", [total, step])
    return total


async def fan(context: OrchestrationContext) -> int:
    first = await context.task_all([context.call_activity("add", [n, 1]) for n in range(6)])
    middle = await context.call_activity("add", [sum(first), 0])
    last = await context.task_all([context.call_activity("add", [middle, n]) for n in range(3)])
    return sum(last)


def timers(context: OrchestrationContext) -> Orchestrator:
    began = context.current_utc_datetime
    yield context.call_activity("add", [0, 0])
    yield context.create_timer(timedelta(seconds=20))
    yield context.create_timer(timedelta(seconds=1))
    long = context.create_timer(timedelta(seconds=200))
    winner = yield context.task_any([context.call_activity("add", [1, 1]), long])
    assert winner is not long
    long.cancel()
    assert context.current_utc_datetime - began >= timedelta(seconds=21)
    return "slept"


def race(context: OrchestrationContext) -> Orchestrator:
    """An event against an activity: either may win, and the code goes different ways."""
    yield context.call_activity("add", [0, 0])
    event = context.wait_for_external_event("go")
    activity = context.call_activity("add", [20, 2])
    winner = yield context.task_any([event, activity])
    way = "event" if winner is event else "activity"
    number = yield context.call_activity("add", [1, len(way)])
    yield context.task_all([event, activity])
    return [event.result, activity.result, number == 1 + len(way)]


async def parent(context: OrchestrationContext) -> list[Any]:
    one = await context.call_activity("add", [0, 1])
    first = await context.call_sub_orchestrator("chain")
    both = await context.task_all([context.call_sub_orchestrator("fan"), context.call_sub_orchestrator("retried")])
    return [one, first, both]


def eternal(context: OrchestrationContext) -> Orchestrator:
    """Continues as new four times, each time after an activity, a message to another instance and a short timer."""
    count = context.get_input()
    yield context.call_activity("add", [count, 0])
    context.send_event("counting", "tick", count)
    yield context.create_timer(timedelta(seconds=1))
    if count < 4:
        context.continue_as_new(count + 1)
        return None
    return count


async def counting(context: OrchestrationContext) -> int:
    seen = [await context.wait_for_external_event("tick") for _ in range(5)]
    return sum(seen)


def spinning(context: OrchestrationContext) -> Orchestrator:
    """Continues as new without waiting for anything, then once more after an activity."""
    count = context.get_input()
    if count < 5:
        context.continue_as_new(count + 1)
        return None
    return (yield context.call_activity("add", [count, 0]))


def buffered(context: OrchestrationContext) -> Orchestrator:
    """Takes one event a generation; the others must survive continue-as-new."""
    seen = context.get_input()
    event = yield context.wait_for_external_event("n")
    yield context.call_activity("add", [event, 0])
    seen = sorted([*seen, event])
    if len(seen) < 4:
        context.continue_as_new(seen)
        return None
    return seen


def retried(context: OrchestrationContext) -> Orchestrator:
    policy = RetryPolicy(timedelta(seconds=1), 3, backoff_coefficient=4)
    try:
        yield context.call_activity("fail", None, retry_policy=policy)
    except TaskFailedError as error:
        return error.error_type
    return None


def large(context: OrchestrationContext) -> Orchestrator:
    text = yield context.call_activity("repeat", context.get_input())
    echoed = yield context.call_sub_orchestrator("echo", text)
    return len(echoed) + len(text)


def heavy(context: OrchestrationContext) -> Orchestrator:
    """Large data everywhere, and continues as new: what is left behind is deleted, and nothing else."""
    count, text = context.get_input()
    context.set_custom_status(text)
    number = yield context.call_activity("add", [count, 0])
    longer = yield context.call_activity("repeat", f"{number}-{number}")
    context.set_custom_status(longer)
    if count < 3:
        context.continue_as_new([count + 1, longer])
        return None
    return [len(text), longer[:3]]


def echo(context: OrchestrationContext) -> Orchestrator:
    yield context.create_timer(timedelta(seconds=2))
    return context.get_input()


def waiting(context: OrchestrationContext) -> Orchestrator:
    try:
        yield context.wait_for_external_event("never", timeout=timedelta(seconds=30))
    except TimeoutError:
        return "timed out"
    return None


def announcing(context: OrchestrationContext) -> Orchestrator:
    """Sends an event and starts a child in the very turn that continues as new; waits for neither."""
    count = context.get_input()
    yield context.call_activity("add", [count, 0])
    context.send_event("receiving", "news", count)
    context.call_sub_orchestrator("note", count)
    if count < 4:
        context.continue_as_new(count + 1)
        return None
    return count


def note(context: OrchestrationContext) -> Orchestrator:
    number = yield context.call_activity("add", [context.get_input(), 0])
    context.send_event("noting", "news", number)


def gathering(context: OrchestrationContext) -> Orchestrator:
    """Takes one event a generation, five in all."""
    seen = sorted([*context.get_input(), (yield context.wait_for_external_event("news"))])
    if len(seen) < 5:
        context.continue_as_new(seen)
        return None
    return seen


def collecting(context: OrchestrationContext) -> Orchestrator:
    """Races each event against a short timer; whichever wins, a new generation begins and no event may get lost."""
    seen = context.get_input()
    event = context.wait_for_external_event("item")
    timer = context.create_timer(timedelta(seconds=2))
    if (yield context.task_any([event, timer])) is event:
        seen = sorted([*seen, event.result])
    if len(seen) < 6:
        context.continue_as_new(seen)
        return None
    return seen


def mending(context: OrchestrationContext) -> Orchestrator:
    """Fails again and again, and so do its children; somebody rewinds it each time."""
    tasks = [
        context.call_activity("add", [1, 1]),
        *(context.call_sub_orchestrator("mended", n) for n in range(2)),
        context.call_activity("fragile", 3),
    ]
    values = yield context.task_all(tasks)
    total = yield context.call_activity("fragile", sum(values))
    done = yield context.wait_for_external_event("done")
    return [total, done]


def patched(context: OrchestrationContext) -> Orchestrator:
    """Goes the new way, before and after crashes, and in each generation anew."""
    generation = context.get_input()
    yield context.call_activity("add", [generation, 1])
    ways = [context.patched("p")]
    yield context.call_activity("add", [generation, 2])
    ways.append(context.patched("p"))
    if generation < 2:
        context.continue_as_new(generation + 1)
    return ways


def rolling(context: OrchestrationContext) -> Orchestrator:
    """Goes through a deployment: before it, one step; after it, two, of which old workers have only one."""
    total = 0
    for step in range(8):
        total = yield context.call_activity("add", [total, step])
        yield context.create_timer(timedelta(seconds=15))
    return total


def rolling_newer(context: OrchestrationContext) -> Orchestrator:
    total = 0
    for step in range(8):
        total = yield context.call_activity("add", [total, step])
        if context.patched(f"double-{step}"):
            yield context.call_activity("newer", step)
        yield context.create_timer(timedelta(seconds=15))
    return total


def pausing(context: OrchestrationContext) -> Orchestrator:
    """Is suspended and resumed again and again."""
    total = 0
    for step in range(5):
        total = yield context.call_activity("add", [total, step])
        yield context.create_timer(timedelta(seconds=5))
    return total


def doomed(context: OrchestrationContext) -> Orchestrator:
    """Waits for children that wait for ever, until somebody terminates it."""
    yield context.task_all([context.call_sub_orchestrator("forlorn", None, f"forlorn-{n}") for n in range(2)])


def forlorn(context: OrchestrationContext) -> Orchestrator:
    yield context.call_activity("add", [1, 1])
    yield context.wait_for_external_event("never")


def mended(context: OrchestrationContext) -> Orchestrator:
    number = yield context.call_activity("add", [context.get_input(), 1])
    return (yield context.call_activity("fragile", number, retry_policy=RetryPolicy(timedelta(seconds=5), 2)))


async def wide(context: OrchestrationContext) -> int:
    """Has its activities share work items, run in place side by side, and put back when one takes long."""
    uneven = await context.task_all([context.call_activity("uneven", n) for n in range(20)])
    for _ in range(2):
        uneven += await context.task_all([context.call_activity("brisk", n) for n in range(8)])
    return sum(uneven)


STARTS: dict[str, tuple[str, Any, Any]] = {
    "chain": ("chain", None, 15),
    "fan": ("fan", None, 3 * 21 + 3),
    "timers": ("timers", None, "slept"),
    "racing": ("race", None, ["v", 22, True]),
    "parent": ("parent", None, [1, 15, [66, "ValueError"]]),
    "eternal": ("eternal", 0, 4),
    "counting": ("counting", None, 10),
    "spinning": ("spinning", 0, 5),
    "buffered": ("buffered", [], [0, 1, 2, 3]),
    "large": ("large", "ab", 2 * LARGE),
    "waiting": ("waiting", None, "timed out"),
    "heavy": ("heavy", [0, ""], [LARGE // 3 * 3, "3-3"]),
    "receiving": ("gathering", [], [0, 1, 2, 3, 4]),
    "noting": ("gathering", [], [0, 1, 2, 3, 4]),
    "announcing": ("announcing", 0, 4),
    "collecting": ("collecting", [], [0, 1, 2, 3, 4, 5]),
    "later": ("chain", None, 15),
    "pausing": ("pausing", None, 10),
    "rolling": ("rolling", None, 28),
    "patched": ("patched", 0, [True, True]),
    "mending": ("mending", None, [8, "done"]),
    "wide": ("wide", None, 190 + 2 * 28),
}
"""Instance id -> orchestrator, input, output."""

ORCHESTRATORS = [
    chain, fan, timers, race, parent, eternal, counting, spinning, buffered, retried, large, echo, waiting,
    announcing, note, gathering, collecting, heavy, mending, mended,
    patched, pausing, doomed, forlorn, wide,
]  # fmt: skip


class Ledger:
    """What activities did: one entry each time one was begun, by idempotency key and name.

    Args:
        sent_twice: texts of messages that are in a queue once more: whoever receives such a one can't know.
        unseen: seconds for which an outcome may go unseen by a worker that has just looked at the row.
    """

    def __init__(self, sent_twice: Sequence[str] = (), unseen: float = _UNSEEN) -> None:
        self._unseen = unseen
        self.sent_twice = sent_twice
        self.begun: Counter[tuple[str, str]] = Counter()
        self.unexplained: list[str] = []
        self.scheduled: set[tuple[str, str]] = set()
        self.done: dict[tuple[str, int], float] = {}
        """Since when history has the outcome of an action, by its execution and number, unless it was rewound."""

    def write(self) -> None:
        call = activity_context()
        entry = (call.idempotency_key, call.name)
        self.begun[entry] += 1
        done = self.done.get((call.execution, call.no))
        late = done is not None and asyncio.get_running_loop().time() > done + self._unseen
        if late and not self._was_sent_twice(call.execution, call.no):
            self.unexplained.append(f"{call.name} of {call.idempotency_key} began again though history has its outcome")
        if entry not in self.scheduled:
            self.unexplained.append(f"{call.name} of {call.idempotency_key} ran before history knew of it")

    def _was_sent_twice(self, execution: str, no: int) -> bool:
        items = [item for item in map(decode_message, self.sent_twice) if isinstance(item, WorkItem)]
        return any(item.execution == execution and no in [call.no for call in item.calls] for item in items)


def registry_of(simulation: Simulation, ledger: Ledger, *, newer: bool = False) -> Registry:
    """Return the functions of a worker.

    Args:
        simulation: it runs in.
        ledger: what activities write into.
        newer: whether the worker has the code that a deployment brings.
    """
    registry = Registry()
    registry.orchestrators.add("rolling", rolling_newer if newer else rolling)
    for orchestrator in ORCHESTRATORS:
        registry.orchestrators.add(orchestrator.__name__, orchestrator)

    async def work() -> None:
        ledger.write()
        longest = 25.0 if simulation.random.random() < 0.1 else 2.0
        await asyncio.sleep(simulation.random.uniform(0, longest))

    async def add(numbers: list[int]) -> int:
        await work()
        return sum(numbers)

    async def fail(_: None) -> None:
        await work()
        raise ValueError("as expected")

    async def fragile(number: int) -> int:
        await work()
        if simulation.random.random() < 0.4 and simulation.loop.time() < 3_000:
            raise ValueError("not yet")
        return number

    async def repeat(text: str) -> str:
        await work()
        return text * (LARGE // len(text))

    async def uneven(number: int) -> int:
        ledger.write()
        await asyncio.sleep(3.0 if simulation.random.random() < 0.1 else 0.01)
        return number

    async def brisk(number: int) -> int:
        ledger.write()
        await asyncio.sleep(simulation.random.uniform(0, 0.01))
        return number

    async def only_newer(number: int) -> int:
        await work()
        return number

    for activity in (add, fail, fragile, repeat, uneven, brisk):
        registry.activities.add(activity.__name__, activity)
    if newer:
        registry.activities.add("newer", only_newer)
    return registry
