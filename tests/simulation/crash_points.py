"""Crash points: one orchestration, one worker, and one thing that goes wrong at the n-th storage call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from perdure.core.codec import decode_record
from perdure.core.context import OrchestrationContext
from perdure.core.data import payload_of
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId, is_entity_id
from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.storage.rows import Row
from perdure.testing import Simulation
from perdure.testing.faults import NO_FAULTS, Fate
from tests.simulation import corpus
from tests.simulation.corpus import Ledger, Orchestrator, registry_of
from tests.simulation.observer import Observer
from tests.simulation.playing import SETTINGS
from tests.simulation.starting import start

TILL, SAFE = EntityId("till", "a"), EntityId("till", "b")


def till(context: Any) -> None:
    context.set_state(context.get_state(lambda: 10) + (context.get_input() or 0))
    context.set_result(context.get_state())


def calling(context: OrchestrationContext) -> Orchestrator:
    """Calls and signals an entity in one stream, before and after continue-as-new."""
    count = context.get_input()
    context.signal_entity(TILL, "add", 1)
    seen = yield context.call_entity(TILL, "add", 10)
    if count < 1:
        context.continue_as_new(count + 1)
        return None
    return seen


def moving(context: OrchestrationContext) -> Orchestrator:
    """Moves money inside a critical section."""
    with (yield context.lock_entities([SAFE, TILL])):
        yield context.call_entity(TILL, "add", -3)
        yield context.call_activity("add", [1, 1])
        yield context.call_entity(SAFE, "add", 3)
    return (yield context.call_entity(SAFE, "get"))


def leaving(context: OrchestrationContext) -> Orchestrator:
    """Fails inside a critical section; its parent goes on with the same entity."""
    with (yield context.lock_entities([TILL])):
        yield context.call_activity("fail")


def staying(context: OrchestrationContext) -> Orchestrator:
    try:
        yield context.call_sub_orchestrator("leaving")
    except Exception:  # noqa: BLE001 - whatever it is: it is expected to fail
        return (yield context.call_entity(TILL, "add", 1))


def family(context: OrchestrationContext) -> Orchestrator:
    """Has children of which one fails and is tried again."""
    values = yield context.task_all([context.call_sub_orchestrator("echo", number) for number in range(2)])
    return sum(values)


def waiter(context: OrchestrationContext) -> Orchestrator:
    """Waits for an event that a child sends."""
    context.call_sub_orchestrator("teller", context.instance_id)
    return (yield context.wait_for_external_event("told"))


def teller(context: OrchestrationContext) -> Orchestrator:
    yield context.create_timer(timedelta(seconds=1))
    context.send_event(context.get_input(), "told", "news")


CASES: dict[str, tuple[Any, Any, Any]] = {
    "chain": (corpus.chain, None, 15),
    "fan": (corpus.fan, None, 66),
    "timers": (corpus.timers, None, "slept"),
    "retried": (corpus.retried, None, "ValueError"),
    "large": (corpus.large, "ab", 2 * corpus.LARGE),
    "spinning": (corpus.spinning, 0, 5),
    "waiting": (corpus.waiting, None, "timed out"),
    "family": (family, None, 1),
    "waiter": (waiter, None, "news"),
    "calling": (calling, 0, 32),
    "wide": (corpus.wide, None, 190 + 2 * 28),
    "moving": (moving, None, 13),
    "staying": (staying, None, 11),
}
"""Name -> orchestrator, input, output."""
CHILDREN = (corpus.echo, leaving, teller)
STATES = {"calling": {TILL: 32}, "moving": {TILL: 7, SAFE: 13}, "staying": {TILL: 11}}


class Point:
    """One run.

    Args:
        case: the orchestration.
        script: what goes wrong.
    """

    def __init__(self, case: str, script: Mapping[int, Fate]) -> None:
        self._case = case
        self._orchestrator, self._input, self._expected = CASES[case]
        self.ledger = Ledger()
        self.simulation = Simulation(1, self._registry, workers=1, faults=NO_FAULTS, script=script, settings=SETTINGS)
        self.ledger.sent_twice = self.simulation.sent_twice
        self.observer = Observer(self.simulation.store, self.ledger)
        self.simulation.after_call.append(self.observer)
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Return what went wrong."""
        self.simulation.run(self._clients())
        return [*self.wrong, *self.observer.wrong, *self.ledger.unexplained]

    @property
    def _rows(self) -> dict[str, Row]:
        return self.simulation.store.hubs["simulated"].rows

    def _registry(self, simulation: Simulation) -> Registry:
        registry = registry_of(simulation, self.ledger)
        for function in (self._orchestrator, *CHILDREN):
            if function.__name__ not in registry.orchestrators:
                registry.orchestrators.add(function.__name__, function)
        registry.entities.add("till", EntityDefinition(till))
        return registry

    async def _clients(self) -> None:
        async def serve(worker: Worker) -> None:
            row = worker.starting.row(
                "one", self._orchestrator.__name__, execution_id="e", input_=json.dumps(self._input)
            )
            await start(worker, row)

        await self.simulation.request(serve)
        while self.simulation.loop.time() < 1_000 and not await self._quiet():
            await asyncio.sleep(1)
        await self._check()

    async def _quiet(self) -> bool:
        running = [row for row in self._rows.values() if row.instance.kind == "orchestration"]
        ended = all(row.instance.status in ENDED for row in running)
        messages = [message for queue in self.simulation.store.queues.values() for message in queue.values()]
        return ended and not [message for message in messages if '"wake"' not in message.body]

    async def _check(self) -> None:
        storage = self.simulation.storage
        for row in self._rows.values():
            if is_entity_id(row.instance.instance_id):
                record = decode_record(row.head)
                if record.lock or record.queue or record.early:
                    self.wrong.append(f"{row.instance.instance_id}: {record}")
            elif row.instance.status not in ENDED:
                self.wrong.append(f"{row.instance.instance_id} is {row.instance.status}")
        output = self._rows["one"].instance.output
        if (payload := payload_of(output)) is not None:
            output = (await storage.get_payload("one", payload)).decode()
        if json.loads(output or "null") != self._expected:
            self.wrong.append(f"came to {output}, not {self._expected}")
        for entity, expected in STATES.get(self._case, {}).items():
            state = self._rows[str(entity)].instance.output
            if json.loads(state or "null") != expected:
                self.wrong.append(f"{entity} has {state}, not {expected}")
