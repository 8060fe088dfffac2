"""Entities, and orchestrations that work with them, for the simulation.

Everything here is `async def`: virtual time knows no threads.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.core.context import OrchestrationContext
from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.failure import TaskFailedError
from perdure.engine.registry import Registry
from perdure.testing import Simulation
from tests.simulation.corpus import Ledger

LARGE = 31_000
ACCOUNTS = [EntityId("Account", name) for name in "abcd"]
FUNDS = 100
TELLERS = 6
COUNTERS = [EntityId("counter", name) for name in "xy"]
ADDERS = 4
LOG, LATE, BEGUN, BOOK = (EntityId(name, "1") for name in ("log", "late", "begun", "book"))
RELAYS = [EntityId("relay", name) for name in "pq"]
NEWER = ("late", "log", "Account")
"""Entities that a deployment brings."""


def entities_of(simulation: Simulation) -> dict[str, Any]:
    """Return the entities by name."""

    async def work() -> None:
        """Take a while now and then: long enough for a message to come again."""
        if simulation.random.random() < 0.1:
            await asyncio.sleep(simulation.random.uniform(0, 15))

    async def counter(context: DurableEntityContext) -> int:
        await work()
        if context.operation_name == "break":
            context.set_state(-1)
            context.signal_entity(LATE, "add", 1)
            raise ValueError("as expected")
        context.set_state(context.get_state(int) + context.get_input())
        return context.get_state()

    async def log(context: DurableEntityContext) -> None:
        """Keeps who sent what, in the order in which it came."""
        await work()
        context.set_state([*context.get_state(list), context.get_input()])

    async def relay(context: DurableEntityContext) -> None:
        """Passes a number on to the other relay until it is used up, and tells the log each time; or begins
        orchestrations, then is gone.
        """
        await work()
        number = context.get_input()
        if context.operation_name == "begin":
            context.start_new_orchestration("begun", number, f"begun-{number}")
            context.destruct_on_exit()
            return
        me = str(context.entity_id)
        context.set_state(context.get_state(lambda: 0) + 1)
        context.signal_entity(LOG, "note", [me, context.get_state() - 1])
        if number > 0:
            other = next(each for each in RELAYS if each != context.entity_id)
            context.signal_entity(other, "pass", number - 1)
            context.signal_entity(LATE, "add", 1, context.current_utc_datetime + timedelta(seconds=40))

    async def book(context: DurableEntityContext) -> int:
        """A state that outgrows the row, inputs and results that outgrow messages."""
        await work()
        if context.operation_name == "read":
            context.set_result(context.get_state(str))
        else:
            context.set_state(context.get_state(str) + context.get_input())
        return len(context.get_state(str))

    class Account(DurableEntity):
        state: int = FUNDS

        async def deposit(self, amount: int) -> int:
            await work()
            self.state += amount
            return self.state

        async def withdraw(self, amount: int) -> int:
            await work()
            self.state -= amount
            if self.state < 0:
                raise ValueError("not enough money")
            return self.state

        async def balance(self) -> int:
            return self.state

    return {
        "counter": counter,
        "late": counter,
        "begun": counter,
        "log": log,
        "relay": relay,
        "book": book,
        "Account": Account,
    }


# ---- orchestrations --------------------------------------------------------------------------------------------------


async def adder(context: OrchestrationContext) -> int:
    """Adds 12 to each counter, six by signals and six by calls, and asks for what fails in between."""
    seen = [0, 0]
    for step in range(6):
        for index, entity in enumerate(COUNTERS):
            context.signal_entity(entity, "add", 1)
            total = await context.call_entity(entity, "add", 1)
            assert total > seen[index]
            seen[index] = total
        if step == 3:
            with pytest.raises(TaskFailedError, match="as expected"):
                await context.call_entity(COUNTERS[0], "break")
    return len(seen)


async def chatting(context: OrchestrationContext) -> int:
    """Tells the log 0, 1, 2 ... over four generations, across activities, timers and turns."""
    count = context.get_input()
    me = context.instance_id
    for number in range(count, count + 3):
        context.signal_entity(LOG, "note", [me, number])
    await context.call_activity("nothing")
    context.signal_entity(LOG, "note", [me, count + 3])
    await context.create_timer(timedelta(seconds=1))
    context.signal_entity(LATE, "add", 1, context.current_utc_datetime + timedelta(seconds=30))
    context.signal_entity(LOG, "note", [me, count + 4])
    if count < 15:
        context.continue_as_new(count + 5)
    return count


async def teller(context: OrchestrationContext) -> int:
    """Moves money between pairs of accounts; what fails on the way is put back. Every third one fails itself at last,
    with the accounts locked.
    """
    number = context.get_input()
    done = 0
    for step in range(2):
        source, target = ACCOUNTS[(number + step) % 4], ACCOUNTS[(number * 3 + step + 1 + number % 2) % 4]
        if source == target:
            target = ACCOUNTS[(number + step + 1) % 4]
        async with context.lock_entities([source, target]):
            before = await context.call_entity(source, "balance") + await context.call_entity(target, "balance")
            try:
                await context.call_entity(source, "withdraw", 10 + 50 * step)
                try:
                    await context.call_activity("fragile")
                except TaskFailedError:
                    await context.call_entity(source, "deposit", 10 + 50 * step)
                    raise
                await context.call_entity(target, "deposit", 10 + 50 * step)
                done += 1
            except TaskFailedError:
                pass
            after = await context.call_entity(source, "balance") + await context.call_entity(target, "balance")
            assert after == before, f"{before} became {after}"
            if number % 3 == 2 and step == 1:
                raise ValueError("as expected")
    return done


async def auditor(context: OrchestrationContext) -> list[int]:
    """Looks at all accounts at once, in each of three generations that end with the accounts locked."""
    sums = context.get_input()
    await context.lock_entities(ACCOUNTS)
    assert context.is_in_critical_section
    sums.append(sum([await context.call_entity(each, "balance") for each in ACCOUNTS]))
    if len(sums) < 3:
        context.continue_as_new(sums)
    return sums


async def hog(context: OrchestrationContext) -> str:
    """Locks accounts and dawdles; somebody terminates, suspends or resumes it meanwhile, or nobody does."""
    async with context.lock_entities(ACCOUNTS[1:3]):
        await context.call_entity(ACCOUNTS[1], "balance")
        await context.create_timer(timedelta(seconds=15))
        await context.call_entity(ACCOUNTS[2], "balance")
    return "enough"


async def hasty(context: OrchestrationContext) -> str:
    """Asks for locks, does not wait for long, and ends: with an error the first times that it is rewound."""
    lock = context.lock_entities(ACCOUNTS[:3])
    await context.task_any([lock, context.create_timer(timedelta(seconds=2))])
    await context.call_activity("fragile")
    return "done"


async def returning(context: OrchestrationContext) -> str:
    """Fails while it waits for a lock, or before; is rewound; enters and leaves the section, and another one."""
    lock = context.lock_entities(ACCOUNTS[:2])
    await context.call_activity("fragile")
    async with lock:
        await context.call_entity(ACCOUNTS[0], "balance")
    async with context.lock_entities(ACCOUNTS[2:]):
        await context.call_entity(ACCOUNTS[2], "balance")
    return "done"


async def giving(context: OrchestrationContext) -> int:
    """Gives a lot of small change at once, for which a locked account has no time, and asks at last what is there."""
    for amount in (1, 2, 3, 4, -5, -5):
        context.signal_entity(ACCOUNTS[1], "deposit", amount)
    await context.create_timer(timedelta(seconds=5))
    for amount in (5, 5, -4, -3, -2, -1):
        context.signal_entity(ACCOUNTS[1], "deposit", amount)
    return await context.call_entity(ACCOUNTS[1], "balance")


async def begun(context: OrchestrationContext) -> int:
    context.signal_entity(BEGUN, "add", 1)
    return await context.call_entity(BEGUN, "add", 1)


async def writing(context: OrchestrationContext) -> list[int]:
    """Writes chapters by large signals and calls, reads the whole; a lot of it is on its way at once."""
    letter = context.get_input()
    for _ in range(2):
        context.signal_entity(BOOK, "write", letter * LARGE)
    length = await context.call_entity(BOOK, "write", letter * LARGE)
    text = await context.call_entity(BOOK, "read")
    assert text.count(letter) == 3 * LARGE
    assert len(text) >= length
    return [text.count(letter)]


async def relaying(context: OrchestrationContext) -> int:
    for number in range(3):
        context.signal_entity(RELAYS[0], "pass", 4)
        context.signal_entity(EntityId("relay", f"starting-{number}"), "begin", number)
        await context.create_timer(timedelta(seconds=2))
    return 3


ORCHESTRATORS = [adder, chatting, teller, auditor, hog, hasty, returning, giving, begun, writing, relaying]

SUMS: dict[str, tuple[str, Any, set[str]]] = {
    **{f"adder-{number}": ("adder", None, {"Completed"}) for number in range(ADDERS)},
    **{f"chatting-{number}": ("chatting", 0, {"Completed"}) for number in range(3)},
    "writing-a": ("writing", "a", {"Completed"}),
    "writing-b": ("writing", "b", {"Completed"}),
    "relaying": ("relaying", None, {"Completed"}),
}
"""Orchestrations that count and keep order. Instance id -> orchestrator, input, how it may end."""

SECTIONS: dict[str, tuple[str, Any, set[str]]] = {
    **{f"teller-{n}": ("teller", n, {"Failed"} if n % 3 == 2 else {"Completed"}) for n in range(TELLERS)},
    "giving-1": ("giving", None, {"Completed"}),
    "giving-2": ("giving", None, {"Completed"}),
    "auditor": ("auditor", [], {"Completed"}),
    **{f"hog-{number}": ("hog", None, {"Completed", "Terminated"}) for number in range(3)},
    **{f"hasty-{number}": ("hasty", None, {"Completed", "Failed"}) for number in range(2)},
    "returning": ("returning", None, {"Completed", "Failed"}),
}
"""Orchestrations that lock accounts, in the same form."""

TOTALS = {
    str(COUNTERS[0]): 12 * ADDERS,
    str(COUNTERS[1]): 12 * ADDERS,
    str(LATE): 3 * 4 + 3 * 4,
    str(BEGUN): 3 * 2,
}


def entity_registry_of(simulation: Simulation, ledger: Ledger, *, newer: bool = True) -> Registry:
    """Return the functions of a worker; those that run older code know some entities only."""
    registry = Registry()
    for orchestrator in ORCHESTRATORS:
        registry.orchestrators.add(orchestrator.__name__, orchestrator)
    for name, function in entities_of(simulation).items():
        if name in NEWER and not newer:
            continue
        registry.entities.add(name, EntityDefinition(function))

    async def nothing(_: None) -> None:
        ledger.write()
        await asyncio.sleep(simulation.random.uniform(0, 2))

    async def fragile(_: None) -> None:
        ledger.write()
        await asyncio.sleep(simulation.random.uniform(0, 2))
        if simulation.random.random() < 0.4 and simulation.loop.time() < 3_000:
            raise ValueError("not yet")

    for activity in (nothing, fragile):
        registry.activities.add(activity.__name__, activity)
    return registry
