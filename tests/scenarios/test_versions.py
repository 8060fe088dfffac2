"""Deployments: workers of several versions on one hub, functions that come later, patches in mid-run."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core.versions import VersionFailure, VersionMatch
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings


def app(**functions):
    """An app whose one orchestrator tells the worker that runs it, and the version that the instance has."""
    registry = Registry()
    for name, function in functions.items():
        kind = registry.activities if name.startswith("do_") else registry.orchestrators
        kind.add(name.removeprefix("do_"), function)
    return registry


def telling(worker):
    def flow(context):
        yield context.wait_for_external_event("go")
        return [worker, context.version]

    return flow


async def start(hub, version, instance_id):
    engine = hub.engine
    row = engine.starting.row(instance_id, "flow", execution_id=engine.new_id(), input_=None, version=version)
    await engine.starting.insert(row)
    await engine.start(row)
    return instance_id


async def test_each_version_is_run_by_the_workers_that_may(hub):
    settings = {"version_match": VersionMatch.STRICT, "blocked_delay": 0.1}
    await hub.add_worker(app(flow=telling("first")), default_version="1.0", **settings)
    await hub.add_worker(app(flow=telling("second")), default_version="2.0", **settings)
    ids = [await start(hub, version, f"{version}-{n}") for version in ("1.0", "2.0") for n in range(3)]
    for instance_id in ids:
        await hub.raise_event(instance_id, "go")
    for instance_id in ids:
        version = instance_id[:3]
        assert await hub.output(instance_id) == ["first" if version == "1.0" else "second", version]
    await hub.quiet()


async def test_a_version_that_no_worker_runs_waits_and_says_so(hub):
    worker = await hub.add_worker(app(flow=telling("first")), default_version="1.0", blocked_delay=0.1)
    older = await start(hub, None, "older")
    newer = await start(hub, "2.0", "newer")
    await hub.raise_event(older, "go")
    assert await hub.output(older) == ["first", None]
    waiting = await hub.reaches(newer, lambda instance: instance.reason is not None)
    assert waiting.status == "Pending"
    assert waiting.reason == (
        "blocked: orchestration 'flow' of instance 'newer' has version '2.0', but this worker has '1.0' and runs that "
        "version and older ones only. Deploy a worker that runs it."
    )
    await worker.stop()
    hub.workers.clear()
    await hub.add_worker(app(flow=telling("second")), default_version="2.0")
    await hub.raise_event(newer, "go")
    assert await hub.output(newer) == ["second", "2.0"]
    assert (await hub.storage.read_instance(newer)).reason is None


async def test_a_version_that_no_worker_runs_can_be_terminated(hub):
    await hub.add_worker(app(flow=telling("first")), default_version="1.0", blocked_delay=0.1)
    newer = await start(hub, "2.0", "newer")
    await hub.reaches(newer, lambda instance: instance.reason is not None)
    await hub.terminate(newer, "never mind")
    assert (await hub.ended(newer)).status == "Terminated"
    await hub.quiet()


async def test_other_versions_may_be_set_to_fail(hub):
    settings = {"version_match": VersionMatch.STRICT, "version_failure": VersionFailure.FAIL}
    await hub.add_worker(app(flow=telling("first")), default_version="2.0", **settings)
    failed = await hub.ended(await start(hub, "1.0", "one"))
    assert failed.status == "Failed"
    assert "has version '1.0', but this worker has '2.0' and runs that version only" in failed.output


async def test_a_worker_without_a_version_runs_all(hub):
    await hub.add_worker(app(flow=telling("first")), version_match=VersionMatch.STRICT)
    instance_id = await start(hub, "7", "one")
    await hub.raise_event(instance_id, "go")
    assert await hub.output(instance_id) == ["first", "7"]


async def test_children_have_the_version_given_or_the_workers(hub):
    def parent(context):
        given = yield context.call_sub_orchestrator("child", version="1.5")
        own = yield context.call_sub_orchestrator("child")
        return [context.version, given, own]

    def child(context):
        return context.version

    await hub.add_worker(app(flow=parent, child=child), default_version="2.0")
    assert await hub.output(await start(hub, "1.0", "one")) == ["1.0", "1.5", "2.0"]


async def test_a_generation_of_a_newer_version_is_run_by_a_worker_that_may(hub):
    def looping(worker):
        def flow(context):
            if context.version == "1.0":
                context.continue_as_new("on", new_version="2.0")
                return None
            return [worker, context.version, context.get_input()]

        return flow

    await hub.add_worker(app(flow=looping("first")), default_version="1.0", blocked_delay=0.1)
    instance_id = await start(hub, "1.0", "one")
    blocked = await hub.reaches(instance_id, lambda instance: instance.reason is not None)
    assert blocked.version == "2.0"
    await hub.add_worker(app(flow=looping("second")), default_version="2.0")
    assert await hub.output(instance_id) == ["second", "2.0", "on"]
    await hub.quiet()


@pytest.mark.parametrize("count", [1, 3])
async def test_an_activity_that_a_deployment_brings_later_is_waited_for(hub, count):
    def flow(context):
        return (yield context.task_all([context.call_activity("late", n) for n in range(count)]))

    hub.settings = EngineSettings(blocked_delay=0.2)
    await hub.add_worker(app(flow=flow))
    instance_id = await start(hub, None, "one")
    await hub.turns(instance_id, 1)
    await hub.add_worker(app(flow=flow, do_late=lambda n: n))
    assert await hub.output(instance_id) == list(range(count))
    await hub.quiet()


async def test_an_activity_in_place_goes_to_a_worker_that_has_it_when_one_takes_over_that_has_not(hub):
    begun = asyncio.Event()

    def flow(context):
        return (yield context.call_activity("late"))

    async def stuck(_):
        begun.set()
        await asyncio.Event().wait()

    hub.settings = EngineSettings(blocked_delay=0.2)
    newer = await hub.add_worker(app(flow=flow, do_late=stuck))
    instance_id = await start(hub, None, "one")
    await begun.wait()
    await newer.stop()
    hub.workers.clear()
    await hub.add_worker(app(flow=flow))
    await hub.turns(instance_id, 2)
    await hub.add_worker(app(flow=flow, do_late=lambda _: "late"))
    assert await hub.output(instance_id) == "late"
    await hub.quiet()


async def test_a_patch_in_mid_run(hub):
    def old(context):
        first = yield context.call_activity("a")
        yield context.wait_for_external_event("go")
        return [first]

    def new(context):
        checked = (yield context.call_activity("check")) if context.patched("check") else None
        first = yield context.call_activity("a")
        yield context.wait_for_external_event("go")
        return [checked, first]

    worker = await hub.add_worker(app(flow=old, do_a=lambda _: "a"))
    await start(hub, None, "before")
    await hub.turns("before", 2)
    await worker.stop()
    hub.workers.clear()
    await hub.add_worker(app(flow=new, do_a=lambda _: "a", do_check=lambda _: "checked"))
    await start(hub, None, "after")
    for instance_id in ("before", "after"):
        await hub.raise_event(instance_id, "go")
    assert await hub.output("before") == [None, "a"]
    assert await hub.output("after") == ["checked", "a"]
