"""Rewinding failed orchestrations: only what failed is done again, in children, too, whatever dies meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.failure import TaskFailedError
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import activity_context


class Steps:
    """Activities that fail while they are told to, and count their runs."""

    def __init__(self, hub, *names):
        self.broken = set()
        self.ran = {}
        for name in names:
            hub.registry.activities.add(name, self._activity(name))

    def _activity(self, name):
        def run(value):
            key = f"{name}:{value}" if value is not None else name
            self.ran[key] = self.ran.get(key, 0) + 1
            if name in self.broken or key in self.broken:
                raise ValueError(f"{key} is broken")
            return key

        return run


async def failed(hub, instance_id):
    instance = await hub.ended(instance_id)
    assert instance.status == "Failed"
    return instance


async def test_a_chain_goes_on_from_its_failed_step(hub):
    steps = Steps(hub, "a", "b", "c")

    @hub.orchestrator
    def chain(context):
        first = yield context.call_activity("a")
        second = yield context.call_activity("b")
        third = yield context.call_activity("c")
        return [first, second, third]

    await hub.add_worker()
    steps.broken = {"b"}
    await failed(hub, await hub.start("chain", None, "one"))
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == ["a", "b", "c"]
    assert steps.ran == {"a": 1, "b": 2, "c": 1}
    instance = await hub.storage.read_instance("one")
    assert instance.failure is None
    await hub.quiet()


async def test_a_fan_out_repeats_its_failed_siblings_only(hub):
    steps = Steps(hub, "step")

    @hub.orchestrator
    def fan(context):
        return (yield context.task_all([context.call_activity("step", n) for n in range(6)]))

    await hub.add_worker()
    steps.broken = {"step:1", "step:4"}
    await failed(hub, await hub.start("fan", None, "one"))
    await hub.quiet()
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == [f"step:{n}" for n in range(6)]
    assert steps.ran["step:1"] >= 2
    await hub.quiet()


async def test_failed_children_go_back_too_however_deep(hub):
    steps = Steps(hub, "top", "middle", "bottom")

    @hub.orchestrator
    def parent(context):
        yield context.call_activity("top")
        return (yield context.call_sub_orchestrator("child", None, "child"))

    @hub.orchestrator
    def child(context):
        yield context.call_activity("middle")
        results = yield context.task_all([context.call_sub_orchestrator("grandchild", n, f"g{n}") for n in range(3)])
        return results

    @hub.orchestrator
    def grandchild(context):
        return (yield context.call_activity("bottom", context.get_input()))

    await hub.add_worker()
    steps.broken = {"bottom:0", "bottom:2"}
    await failed(hub, await hub.start("parent", None, "one"))
    await hub.ended("g0")
    await hub.ended("g1")
    await hub.ended("g2")
    await hub.quiet()
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == ["bottom:0", "bottom:1", "bottom:2"]
    assert steps.ran == {"top": 1, "middle": 1, "bottom:0": 2, "bottom:1": 1, "bottom:2": 2}
    await hub.quiet()
    for instance_id in ("child", "g0", "g1", "g2"):
        assert (await hub.storage.read_instance(instance_id)).status == "Completed"


async def test_a_child_that_had_gone_on_reports_to_its_rewound_parent(hub):
    """One sibling fails while the other still waits: it answers later, to a parent that has been rewound meanwhile."""
    steps = Steps(hub, "quick")

    @hub.orchestrator
    def parent(context):
        slow = context.call_sub_orchestrator("waiter", None, "slow")
        quick = context.call_activity("quick")
        return (yield context.task_all([slow, quick]))

    @hub.orchestrator
    def waiter(context):
        return (yield context.wait_for_external_event("go"))

    await hub.add_worker()
    steps.broken = {"quick"}
    await failed(hub, await hub.start("parent", None, "one"))
    await hub.turns("slow", 1)
    steps.broken = set()
    await hub.rewind("one")
    await hub.reaches("one", lambda instance: instance.status == "Running")
    await hub.quiet()
    await hub.raise_event("slow", "go", "went")
    assert await hub.output("one") == ["went", "quick"]


async def test_a_child_that_had_ended_meanwhile_reports_again(hub):
    steps = Steps(hub, "quick")

    @hub.orchestrator
    def parent(context):
        slow = context.call_sub_orchestrator("waiter", None, "slow")
        quick = context.call_activity("quick")
        return (yield context.task_all([slow, quick]))

    @hub.orchestrator
    def waiter(context):
        return (yield context.wait_for_external_event("go"))

    await hub.add_worker()
    steps.broken = {"quick"}
    await failed(hub, await hub.start("parent", None, "one"))
    await hub.raise_event("slow", "go", "went")
    assert await hub.output("slow") == "went"
    await hub.quiet()
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == ["went", "quick"]
    await hub.quiet()


async def test_a_child_that_was_purged_begins_anew(hub):
    steps = Steps(hub, "step")

    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("child", None, "child"))

    @hub.orchestrator
    def child(context):
        return (yield context.call_activity("step"))

    await hub.add_worker()
    steps.broken = {"step"}
    await failed(hub, await hub.start("parent", None, "one"))
    await hub.quiet()
    from perdure.engine.succession import purge

    assert await purge(hub.storage, hub.engine.dispatch, await hub.storage.read("child"))
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == "step"


async def test_retries_begin_a_new_round(hub):
    steps = Steps(hub, "pay")

    @hub.orchestrator
    def flow(context):
        policy = RetryPolicy(timedelta(milliseconds=10), 3)
        return (yield context.call_activity("pay", retry_policy=policy))

    await hub.add_worker()
    steps.broken = {"pay"}
    await failed(hub, await hub.start("flow", None, "one"))
    assert steps.ran == {"pay": 3}
    await hub.rewind("one")
    await hub.reaches("one", lambda _: steps.ran["pay"] == 6)
    await failed(hub, "one")
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == "pay"
    assert steps.ran == {"pay": 7}


async def test_the_idempotency_key_is_that_of_the_step(hub):
    """A charge that went through although its answer was lost must not be made again under another key."""
    keys = []

    @hub.orchestrator
    def flow(context):
        yield context.call_activity("other")
        return (yield context.call_activity("pay", retry_policy=RetryPolicy(timedelta(milliseconds=10), 2)))

    def pay(_):
        keys.append(activity_context().idempotency_key)
        if len(keys) < 5:
            raise ValueError("no answer")
        return "paid"

    hub.registry.activities.add("pay", pay)
    hub.registry.activities.add("other", lambda _: None)
    await hub.add_worker()
    await failed(hub, await hub.start("flow", None, "one"))
    await hub.rewind("one")
    await failed(hub, "one")
    await hub.rewind("one")
    assert await hub.output("one") == "paid"
    assert len(keys) == 5
    assert len(set(keys)) == 1
    assert keys[0].endswith("/1")


async def test_a_rewind_that_comes_twice_or_too_late_does_nothing(hub):
    steps = Steps(hub, "pay")

    @hub.orchestrator
    def flow(context):
        return (yield context.call_activity("pay"))

    await hub.add_worker()
    steps.broken = {"pay"}
    await failed(hub, await hub.start("flow", None, "one"))
    steps.broken = set()
    await hub.send_rewind("one", "m")
    await hub.send_rewind("one", "m")
    await hub.reaches("one", lambda instance: instance.status == "Completed")
    await hub.send_rewind("one", "n")
    await hub.quiet()
    assert (await hub.storage.read_instance("one")).status == "Completed"
    assert steps.ran == {"pay": 2}


async def test_a_history_in_segments_is_cut_where_it_must_be(hub):
    hub.settings = type(hub.settings)(tail_turns=3)
    steps = Steps(hub, *(f"s{n}" for n in range(12)))

    @hub.orchestrator
    def chain(context):
        for n in range(12):
            yield context.call_activity(f"s{n}")
        return "done"

    await hub.add_worker()
    for n in (10, 4, 7):
        steps.broken |= {f"s{n}"}
    await failed(hub, await hub.start("chain", None, "one"))
    for n in (4, 7, 10):
        steps.broken -= {f"s{n}"}
        await hub.rewind("one")
        if n != 10:
            await failed(hub, "one")
    assert await hub.output("one") == "done"
    assert {count for name, count in steps.ran.items() if name not in ("s4", "s7", "s10")} == {1}
    await hub.quiet()
    row = await hub.storage.read("one")
    assert sorted(await hub.storage.list_segments("one")) == sorted(row.segments)


@pytest.mark.parametrize("left", [{}, {"a": 1}])
async def test_code_that_was_mended_goes_on(hub, left):
    steps = Steps(hub, "a")
    broken = {"flow": True}

    @hub.orchestrator
    def flow(context):
        result = yield context.call_activity("a")
        if broken["flow"]:
            raise KeyError(result)
        return result

    await hub.add_worker()
    await failed(hub, await hub.start("flow", left, "one"))
    broken["flow"] = False
    await hub.rewind("one")
    assert await hub.output("one") == "a"
    assert steps.ran == {"a": 1}


async def test_two_workers_share_the_work_of_a_rewind(hub):
    steps = Steps(hub, "step")

    @hub.orchestrator
    def parent(context):
        children = [context.call_sub_orchestrator("child", n) for n in range(8)]
        errors = 0
        for each in children:
            try:
                yield each
            except TaskFailedError:
                errors += 1
        if errors:
            raise RuntimeError(f"{errors} children failed")
        return "all"

    @hub.orchestrator
    def child(context):
        return (yield context.task_all([context.call_activity("step", context.get_input() * 10 + n) for n in range(3)]))

    await hub.add_worker()
    await hub.add_worker()
    steps.broken = {"step:1", "step:32", "step:70"}
    await failed(hub, await hub.start("parent", None, "one"))
    await hub.quiet()
    steps.broken = set()
    await hub.rewind("one")
    assert await hub.output("one") == "all"
    assert max(steps.ran.values()) == 2
    await hub.quiet()
