"""Starting later, tags, queries with conditions, pauses, restarts, and purging by condition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perdure.core.status import OrchestrationRuntimeStatus as Status
from perdure.errors import InstanceEndedError, InstanceExistsError, InstanceNotFoundError
from tests.client.test_starting import MEBIBYTE, control_messages, echo, wait

SOON = timedelta(milliseconds=300)


async def test_an_instance_begins_no_earlier_than_asked_for(hub, client):
    began = []

    @hub.orchestrator
    def late(context):
        began.append(context.current_utc_datetime)

    start_at = datetime.now(UTC) + SOON
    await client.start_new("late", "one", start_at=start_at)
    assert (await client.get_status("one")).runtime_status is Status.Pending
    await client.raise_event("one", "go")
    await client.wait_for_completion("one", 10)
    assert began[0] >= start_at


async def test_an_instance_that_has_not_begun_can_be_terminated(hub, client):
    hub.orchestrator(wait)
    await client.start_new("wait", "one", start_at=datetime.now(UTC) + timedelta(days=30))
    await client.terminate("one", "never mind")
    assert (await client.wait_for_completion("one", 10)).runtime_status is Status.Terminated


async def test_a_naive_time_means_utc(hub, lonely):
    await lonely.start_new("echo", "one", start_at=datetime(2030, 1, 1))  # noqa: DTZ001 - the case
    assert (await hub.storage.read_instance("one")).start_at == datetime(2030, 1, 1, tzinfo=UTC)


async def test_tags_are_kept(hub, lonely):
    await lonely.start_new("echo", "one", tags={"customer": "ü"})
    assert (await hub.storage.read_instance("one")).tags == {"customer": "ü"}


@pytest.mark.parametrize(
    ("tags", "error"),
    [({"a": 1}, TypeError), ({1: "a"}, TypeError), ({str(n): "x" * 990 for n in range(9)}, ValueError)],
)
async def test_tags_that_cannot_be_kept(hub, lonely, tags, error):
    with pytest.raises(error, match="tag"):
        await lonely.start_new("echo", "one", tags=tags)
    assert await hub.storage.read_instance("one") is None


async def test_queries_by_status_prefix_and_time(hub, client):
    hub.orchestrator(echo)
    hub.orchestrator(wait)
    before = datetime.now(UTC)
    for name, instance_id in (("echo", "a-1"), ("wait", "a-2"), ("echo", "b-1")):
        await client.start_new(name, instance_id)
    for instance_id in ("a-1", "b-1"):
        await client.wait_for_completion(instance_id, 10)

    async def ids(*conditions, **more):
        return [status.instance_id for status in await client.get_status_by(*conditions, **more)]

    assert await ids() == ["a-1", "a-2", "b-1"]
    assert await ids(instance_id_prefix="a-") == ["a-1", "a-2"]
    assert await ids(runtime_status=[Status.Completed]) == ["a-1", "b-1"]
    assert await ids(before, datetime.now(UTC), [Status.Completed], "a") == ["a-1"]
    assert await ids(datetime.now(UTC)) == []


async def test_a_pause(hub, client):
    hub.orchestrator(wait)
    await client.start_new("wait", "one")
    await client.suspend("one", "tea")
    await client.raise_event("one", "go", 1)
    await client.resume("one", "enough")
    assert (await client.wait_for_completion("one", 10)).output == 1
    for command in (client.suspend, client.resume):
        with pytest.raises(InstanceEndedError):
            await command("one", "late")
        with pytest.raises(InstanceNotFoundError):
            await command("two", "nobody")


async def test_a_restart_has_the_same_input(hub, client):
    hub.orchestrator(echo)
    await client.start_new("echo", "one", MEBIBYTE, tags={"a": "b"})
    await client.wait_for_completion("one", 10)
    new_id = await client.restart("one")
    assert (await client.wait_for_completion(new_id, 10)).output == MEBIBYTE
    assert (await hub.storage.read_instance(new_id)).tags == {"a": "b"}
    assert await client.restart("one", restart_with_new_instance_id=False) == "one"
    assert (await client.wait_for_completion("one", 10)).output == MEBIBYTE


async def test_a_restart_replaces_nothing_that_runs(hub, client):
    hub.orchestrator(wait)
    await client.start_new("wait", "one")
    await client.suspend("one", "so that it has begun")
    while (await client.get_status("one")).runtime_status is not Status.Suspended:
        await client._clock.sleep(0.01)
    with pytest.raises(InstanceExistsError):
        await client.restart("one", restart_with_new_instance_id=False)
    with pytest.raises(InstanceNotFoundError):
        await client.restart("nobody")


async def test_purging_by_status_spares_what_runs_and_what_only_looks_alike(hub, client):
    hub.orchestrator(echo)
    hub.orchestrator(wait)
    for name, instance_id in (("echo", "abc"), ("wait", "abcd"), ("echo", "abcde")):
        await client.start_new(name, instance_id, MEBIBYTE)
    for instance_id in ("abc", "abcde"):
        await client.wait_for_completion(instance_id, 10)
    assert (await client.purge_instance_history_by(runtime_status=[Status.Failed])).instances_deleted == 0
    assert (await client.purge_instance_history_by(datetime.now(UTC))).instances_deleted == 0
    assert (await client.purge_instance_history_by()).instances_deleted == 2
    assert [status.instance_id for status in await client.get_status_all()] == ["abcd"]
    assert await hub.storage.list_payloads("abcd") != []
    with pytest.raises(ValueError, match="Running ones have not ended"):
        await client.purge_instance_history_by(runtime_status=[Status.Running])


async def test_a_start_in_the_future_is_one_delayed_message(hub, lonely):
    await lonely.start_new("echo", "one", start_at=datetime.now(UTC) + timedelta(hours=1))
    assert await control_messages(hub) == []
