"""Starting an id that is in use."""

from __future__ import annotations

import pytest

from perdure.client import Client, ReuseId
from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.errors import DataError, InstanceExistsError
from tests.client.test_starting import echo, wait


@pytest.fixture
async def two(hub, client):
    """A client whose hub has an ended instance and a running one."""
    hub.orchestrator(echo)
    hub.orchestrator(wait)
    await client.start_new("echo", "ended", 1)
    await client.wait_for_completion("ended", 10)
    await client.start_new("wait", "running")
    await client.wait_for_start("running", 10)
    return client


async def test_ended_ones_give_way_by_default(two):
    await two.start_new("echo", "ended", 2)
    assert (await two.wait_for_completion("ended", 10)).output == 2
    with pytest.raises(InstanceExistsError, match="'running' is in use"):
        await two.start_new("echo", "running", 2)


async def test_none_gives_way(two):
    for instance_id in ("ended", "running"):
        with pytest.raises(InstanceExistsError, match="is in use"):
            await two.start_new("echo", instance_id, 2, reuse=ReuseId.NEVER)
    assert (await two.get_status("ended")).output == 1
    assert await two.start_new("echo", "new", 3, reuse="Never") == "new"


async def test_whichever_is_there_will_do(two):
    for instance_id in ("ended", "running"):
        assert await two.start_new("echo", instance_id, 2, reuse=ReuseId.EXISTING) == instance_id
    assert (await two.get_status("ended")).output == 1
    assert (await two.get_status("running")).runtime_status is Status.Running


async def test_a_running_one_is_terminated_and_replaced(hub, two):
    @hub.orchestrator
    def parent(context):
        return (yield context.call_sub_orchestrator("wait", None, "child"))

    await two.start_new("parent", "family")
    await hub.turns("child", 1)
    assert await two.start_new("echo", "family", 2, reuse=ReuseId.ANY) == "family"
    assert (await two.wait_for_completion("family", 10)).output == 2
    assert (await two.wait_for_completion("child", 10)).runtime_status is Status.Terminated
    assert await two.start_new("echo", "ended", 5, reuse=ReuseId.ANY) == "ended"
    assert (await two.wait_for_completion("ended", 10)).output == 5


async def test_one_that_does_not_end_is_told(hub, two, monkeypatch):
    monkeypatch.setattr("perdure.client.starting._ENDS_WITHIN", two._clock.now() - two._clock.now())
    with pytest.raises(TimeoutError, match="was terminated to make way for another, but has not ended"):
        await two.start_new("echo", "running", 2, reuse=ReuseId.ANY)


async def test_the_clients_default(hub, two):
    strict = Client(hub.storage, reuse=ReuseId.NEVER)
    with pytest.raises(InstanceExistsError):
        await strict.start_new("echo", "ended", 2)
    assert await strict.start_new("echo", "ended", 2, reuse=ReuseId.ENDED) == "ended"


async def test_policies_that_do_not_exist(two):
    with pytest.raises(ValueError, match="no reuse of ids called 'Sometimes'"):
        await two.start_new("echo", "one", reuse="Sometimes")


async def test_an_input_that_does_not_fit_is_refused_at_the_start(hub, client):
    @hub.orchestrator
    def counting(context, count: set[int]):
        return len(count)

    with pytest.raises(DataError, match="the input of orchestration 'counting' is no set"):
        await client.start_new("counting", "one", "many")
    assert not await client.get_status("one")
    await client.start_new("counting", "one", {1, 2})
    assert (await client.wait_for_completion("one", 10)).output == 2
