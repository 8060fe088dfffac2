"""Workflows that nobody thought of: drawn by hypothesis, run under faults, and compared with what they must come to."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.failure import TaskFailedError
from perdure.core.retry import RetryPolicy
from perdure.core.status import ENDED
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.testing import Faults, Simulation
from tests.simulation.corpus import Ledger, registry_of
from tests.simulation.observer import Observer
from tests.simulation.playing import SETTINGS

USUAL = 30
EXAMPLES = int(os.environ.get("PERDURE_WORKFLOWS", USUAL))
FAULTS = Faults(crash=0.008, lost_answer=0.03, unrenewed=0.3, refused=0.003, clocks_differ=2.0, quiet_after=400.0)

numbers = st.integers(0, 9)
leaves = st.one_of(
    st.tuples(st.just("add"), numbers, numbers),
    st.tuples(st.just("fail")),
    st.tuples(st.just("retry")),
    st.tuples(st.just("signal"), st.sampled_from("ab"), numbers),
    st.tuples(st.just("call"), st.sampled_from("ab"), numbers),
    st.tuples(st.just("sleep"), st.integers(0, 20)),
)
parallel = st.one_of(st.tuples(st.just("add"), numbers, numbers), st.tuples(st.just("call"), st.just("c"), numbers))
workflows = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("seq"), st.lists(inner, max_size=3)),
        st.tuples(st.just("all"), st.lists(parallel, max_size=4)),
        st.tuples(st.just("any"), parallel),
        st.tuples(st.just("child"), inner),
        st.tuples(st.just("lock"), inner.filter(lambda spec: only(spec, {"add", "sleep", "seq", "fail"}))),
        st.tuples(st.just("again"), st.integers(1, 3), inner),
    ),
    max_leaves=8,
)


def only(spec: Any, kinds: set[str]) -> bool:
    """Whether a workflow is made of these kinds alone."""
    return spec[0] in kinds and (spec[0] != "seq" or all(only(each, kinds) for each in spec[1]))


def interpret(context: Any) -> Generator[Any, Any, Any]:
    spec, *before = context.get_input()
    if spec[0] == "again" and before and before[0] > 1:
        yield from run(context, spec[2])
        context.continue_as_new([spec, before[0] - 1])
        return None
    return (yield from run(context, spec[2] if spec[0] == "again" else spec))


def task_of(context: Any, spec: Any) -> Any:
    match spec:
        case ["add", one, other]:
            return context.call_activity("add", [one, other])
        case ["call", key, number]:
            return context.call_entity(EntityId("counter", key), "add", number)
    raise AssertionError(spec)


def run(context: Any, spec: Any) -> Generator[Any, Any, Any]:  # noqa: PLR0912 - a case for each kind
    match spec:
        case ["add", *_] | ["call", *_]:
            result = yield task_of(context, spec)
            return result if spec[0] == "add" else "called"
        case ["fail"]:
            try:
                yield context.call_activity("fail")
            except TaskFailedError as error:
                return error.error_type
        case ["retry"]:
            try:
                yield context.call_activity("fail", retry_policy=RetryPolicy(timedelta(seconds=1), 2))
            except TaskFailedError as error:
                return error.error_type
        case ["signal", key, number]:
            context.signal_entity(EntityId("counter", key), "add", number)
            return "signaled"
        case ["sleep", seconds]:
            yield context.create_timer(timedelta(seconds=seconds))
            return "slept"
        case ["seq", parts]:
            results = []
            for part in parts:
                results.append((yield from run(context, part)))  # noqa: PERF401 - a comprehension can't yield
            return results
        case ["all", parts]:
            results = yield context.task_all([task_of(context, part) for part in parts])
            return [r if part[0] == "add" else "called" for part, r in zip(parts, results, strict=True)]
        case ["any", part]:
            timer = context.create_timer(timedelta(days=1))
            winner = yield context.task_any([task_of(context, part), timer])
            timer.cancel()
            return "won" if winner is not timer else "lost"
        case ["child", part]:
            return (yield context.call_sub_orchestrator("interpret", [part, part[1] if part[0] == "again" else 1]))
        case ["lock", part]:
            with (yield context.lock_entities([EntityId("counter", "a"), EntityId("counter", "c")])):
                return (yield from run(context, part))
        case ["again", _, part]:  # not at the top: it is run once
            return (yield from run(context, part))


def expected(spec: Any, totals: Counter[str], *, top: bool = False) -> Any:
    """Return what a workflow comes to, and count what its entities are told."""
    match spec:
        case ["add", one, other]:
            return one + other
        case ["call", key, number]:
            totals[key] += number
            return "called"
        case ["fail"] | ["retry"]:
            return "ValueError"
        case ["signal", key, number]:
            totals[key] += number
            return "signaled"
        case ["sleep", _]:
            return "slept"
        case ["seq" | "all", parts]:
            return [expected(part, totals) for part in parts]
        case ["any", part]:
            expected(part, totals)
            return "won"
        case ["child", part]:
            return expected(part, totals, top=True)
        case ["lock", part]:
            return expected(part, totals)
        case ["again", times, part]:
            results = [expected(part, totals) for _ in range(times if top else 1)]
            return results[-1]
    raise AssertionError(spec)


def counter(context: Any) -> None:
    context.set_state(context.get_state(lambda: 0) + context.get_input())


async def scenario(simulation: Simulation, specs: list[Any]) -> None:
    async def serve(worker: Worker, number: int) -> None:
        spec = specs[number]
        text = json.dumps([spec, spec[1] if spec[0] == "again" else 1])
        row = worker.starting.row(f"w{number}", "interpret", execution_id=f"e{number}", input_=text)
        await worker.starting.insert(row)
        await worker.dispatch.start(row)

    for number in range(len(specs)):
        await simulation.request(lambda worker, number=number: serve(worker, number))
    rows = simulation.store.hubs["simulated"].rows
    while simulation.loop.time() < 4_000:
        await asyncio.sleep(10)
        ended = all(row.instance.status in ENDED for row in rows.values() if row.instance.kind == "orchestration")
        messages = [message for queue in simulation.store.queues.values() for message in queue.values()]
        if ended and not [message for message in messages if '"wake"' not in message.body]:
            return


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == USUAL, suppress_health_check=list(HealthCheck))
@given(st.lists(workflows, min_size=1, max_size=3), st.integers(0, 2**32))
def test_whatever_is_asked_for_comes_to_its_end(specs: list[Any], seed: int) -> None:
    ledger = Ledger()

    def registry(simulation: Simulation) -> Registry:
        made = registry_of(simulation, ledger)
        made.orchestrators.add("interpret", interpret)
        made.entities.add("counter", EntityDefinition(counter))
        return made

    simulation = Simulation(seed, registry, faults=FAULTS, settings=SETTINGS)
    ledger.sent_twice = simulation.sent_twice
    observer = Observer(simulation.store, ledger)
    simulation.after_call.append(observer)
    simulation.run(scenario(simulation, specs))
    rows = simulation.store.hubs["simulated"].rows
    totals: Counter[str] = Counter()
    for number, spec in enumerate(specs):
        outcome = expected(json.loads(json.dumps(spec)), totals, top=True)
        instance = rows[f"w{number}"].instance
        assert (instance.status, json.loads(instance.output or "null")) == ("Completed", outcome)
    for key, total in totals.items():
        assert json.loads(rows[f"@counter@{key}"].instance.output or "null") == total
    assert [*observer.wrong, *ledger.unexplained] == []
    assert {row.instance.custom_status for row in rows.values() if row.instance.kind == "entity"} <= {None}
