"""What a client tells of instances."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from perdure.client import Client, DurableOrchestrationStatus, PurgeHistoryResult
from perdure.core.failure import TaskFailedError
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.storage.protocol import PayloadMissing
from perdure.storage.rows import InstanceQuery, RowUpdate
from tests.storage.providers import NOON, new_row

LARGE = "x" * 40_000


async def marked_as_going(hub, instance_id):
    row = await hub.storage.read(instance_id)
    update = RowUpdate(updated_at=NOON, commit="c9", tail_index=len(row.tail), deleting=True)
    await hub.storage.merge(instance_id, row.etag, update)


async def test_a_missing_instance_is_falsy(lonely):
    status = await lonely.get_status("nobody", show_history=True)
    assert not status
    assert not await lonely.get_status("nobody")
    assert (status.name, status.runtime_status, status.history) == (None, None, None)
    assert status.to_json()["instanceId"] is None


async def test_an_instance_that_is_being_deleted_does_not_exist(hub, lonely):
    await lonely.start_new("order", "one")
    await marked_as_going(hub, "one")
    assert not await lonely.get_status("one")
    assert not await lonely.get_status("one", show_history=True)
    assert await lonely.get_status_all() == []


async def test_a_pending_instance(lonely):
    before = datetime.now(UTC)
    await lonely.start_new("order", "one", {"item": "tea"})
    status = await lonely.get_status("one", show_input=True)
    assert status
    assert before <= status.created_time == status.last_updated_time <= datetime.now(UTC)
    assert status.runtime_status is OrchestrationRuntimeStatus.Pending
    assert (status.input_, status.output, status.custom_status, status.history) == ({"item": "tea"}, None, None, None)
    assert "reason" not in status.to_json()


async def test_a_failure_is_told_as_the_output(hub, client):
    @hub.orchestrator
    def fail(context):
        raise ValueError("no tea left")

    status = await client.wait_for_completion(await client.start_new("fail"), 10)
    assert status.runtime_status is OrchestrationRuntimeStatus.Failed
    assert status.output == "ValueError: no tea left"


async def test_large_custom_status_and_output(hub, client):
    @hub.orchestrator
    def shout(context):
        context.set_custom_status({"so far": "x" * 10_000})
        return LARGE

    status = await client.wait_for_completion(await client.start_new("shout"), 10)
    assert (status.custom_status, status.output) == ({"so far": "x" * 10_000}, LARGE)


async def test_why_an_instance_is_blocked_is_shown(hub, lonely):
    await lonely.start_new("order", "one")
    await hub.add_worker()
    await hub.reaches("one", lambda instance: instance.reason is not None)
    status = await lonely.get_status("one")
    assert status.reason == "blocked: no orchestrator function is named 'order'; this app has: none"
    assert status.to_json()["reason"] == status.reason


async def test_json_and_back():
    status = DurableOrchestrationStatus(
        "order",
        "one",
        "2026-01-02T03:04:05.000006Z",
        datetime(2026, 1, 2, tzinfo=UTC),
        0,
        "",
        "Running",
        [],
        [{}],
        "blocked",
    )
    content = status.to_json()
    assert content == {
        "name": "order",
        "instanceId": "one",
        "createdTime": "2026-01-02T03:04:05.000006Z",
        "lastUpdatedTime": "2026-01-02T00:00:00.000000Z",
        "input": 0,
        "output": "",
        "runtimeStatus": "Running",
        "customStatus": [],
        "history": [{}],
        "reason": "blocked",
    }
    assert DurableOrchestrationStatus.from_json(content).to_json() == content
    assert repr(status) == "<DurableOrchestrationStatus of 'one' ('order'): Running>"
    assert "no such" in repr(DurableOrchestrationStatus())
    assert DurableOrchestrationStatus(createdTime="2026-01-02T03:04:05").created_time.tzinfo is UTC
    purged = PurgeHistoryResult.from_json({"instancesDeleted": 3})
    assert (purged.instances_deleted, repr(purged)) == (3, "PurgeHistoryResult(instancesDeleted=3)")


# ---- history -----------------------------------------------------------------------------------------------------


async def told(hub, client):
    """Run an orchestration in which everything happens once; return its id."""

    @hub.activity
    def work(value):
        if value == "bad":
            raise ValueError("bad work")
        return value

    @hub.orchestrator
    def child(context):
        return LARGE

    @hub.orchestrator
    def parent(context):
        yield context.call_activity("work", LARGE)
        try:
            yield context.call_activity("work", "bad")
        except TaskFailedError:
            yield context.create_timer(timedelta(seconds=0.01))
        timer = context.create_timer(timedelta(days=1))
        event = context.wait_for_external_event("go")
        yield context.task_any([timer, event])
        timer.cancel()
        yield context.call_sub_orchestrator("child", 7, instance_id="the child")
        context.send_event("somebody", "hello", [1])
        return False

    await client.start_new("parent", "one", {"a": 1})
    await client.raise_event("one", "go", 0)
    await client.wait_for_completion("one", 20)


async def test_history(hub, client):
    await told(hub, client)
    status = await client.get_status("one", show_history=True, show_history_output=True, show_input=True)
    history = [{key: value for key, value in event.items() if key != "Timestamp"} for event in status.history]
    times = [event["Timestamp"] for event in status.history]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(time).tzinfo is not None for time in times)
    by_type = {event["EventType"]: event for event in reversed(history)}
    assert history[0] == {
        "EventType": "ExecutionStarted",
        "EventId": -1,
        "Name": "parent",
        "FunctionName": "parent",
        "Version": None,
        "Generation": 0,
        "Input": {"a": 1},
    }
    assert by_type["TaskScheduled"] == {
        "EventType": "TaskScheduled",
        "EventId": 0,
        "Name": "work",
        "FunctionName": "work",
        "Input": LARGE,
    }
    completed = by_type["TaskCompleted"]
    assert (completed["TaskScheduledId"], completed["FunctionName"], completed["Result"]) == (0, "work", LARGE)
    assert completed["ScheduledTime"] == status.history[history.index(by_type["TaskScheduled"])]["Timestamp"]
    failed = by_type["TaskFailed"]
    assert (failed["TaskScheduledId"], failed["Reason"]) == (1, "ValueError: bad work")
    assert "raise ValueError" in failed["Details"]
    assert by_type["TimerFired"]["FireAt"] == by_type["TimerCreated"]["FireAt"] is not None
    assert by_type["TimerFired"]["TimerId"] == by_type["TimerCreated"]["EventId"] == 2
    assert by_type["TimerCanceled"]["TimerId"] == 3
    raised = by_type["EventRaised"]
    assert (raised["Name"], raised["Input"]) == ("go", 0)
    created = by_type["SubOrchestrationInstanceCreated"]
    assert (created["InstanceId"], created["FunctionName"], created["Input"]) == ("the child", "child", 7)
    assert by_type["SubOrchestrationInstanceCompleted"]["Result"] == LARGE
    sent = by_type["EventSent"]
    assert (sent["InstanceId"], sent["Name"], sent["Input"]) == ("somebody", "hello", [1])
    assert history[-1] == {
        "EventType": "ExecutionCompleted",
        "EventId": -1,
        "OrchestrationStatus": "Completed",
        "Result": False,
    }


@pytest.mark.parametrize(("inputs", "results"), [(False, False), (True, False), (False, True)])
async def test_inputs_and_results_only_when_asked_for(hub, client, inputs, results):
    await told(hub, client)
    status = await client.get_status("one", show_history=True, show_history_output=results, show_input=inputs)
    keys = {key for event in status.history for key in event}
    assert ("Input" in keys, "Result" in keys) == (inputs, results)
    assert status.input_ == ({"a": 1} if inputs else None)


async def test_history_of_what_fails_continues_and_is_terminated(hub, client):
    @hub.orchestrator
    def bad_child(context):
        raise ValueError("bad child")

    @hub.orchestrator
    def again(context):
        if context.get_input():
            context.continue_as_new(0)
            return None
        try:
            yield context.call_sub_orchestrator("bad_child")
        except TaskFailedError:
            yield context.wait_for_external_event("never")

    await client.start_new("again", "one", 1)
    await hub.reaches("one", lambda instance: instance.generation == 1)
    await hub.turns("one", 2)
    await client.terminate("one", "enough")
    status = await client.wait_for_completion("one", 10)
    assert (status.runtime_status, status.output) == (OrchestrationRuntimeStatus.Terminated, "enough")
    history = (await client.get_status("one", show_history=True)).history
    assert [event["EventType"] for event in history] == [
        "ExecutionStarted",
        "SubOrchestrationInstanceCreated",
        "SubOrchestrationInstanceFailed",
        "ExecutionTerminated",
        "ExecutionCompleted",
    ]
    assert history[0]["Generation"] == 1
    assert history[2]["Reason"] == "ValueError: bad child"
    assert history[3]["Reason"] == "enough"


# ---- an instance that moves on while it is read ------------------------------------------------------------------


class Overtaken:
    """A storage in which something happens just before a payload is read."""

    def __init__(self, inner, happening):
        self._inner = inner
        self._happening = happening

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def get_payload(self, instance_id, payload_id):
        happening, self._happening = self._happening, None
        if happening is not None:
            await happening()
        return await self._inner.get_payload(instance_id, payload_id)


@pytest.fixture
async def ended(hub, client):
    """An instance that has ended with a large output."""

    @hub.orchestrator
    def shout(context):
        return [context.get_input(), LARGE]

    await client.start_new("shout", "one", 1)
    await client.wait_for_completion("one", 10)


@pytest.mark.parametrize("show_history", [False, True])
async def test_purged_while_it_is_read(hub, client, ended, show_history):
    async def purge():
        await client.purge_instance_history("one")

    overtaken = Client(Overtaken(hub.storage, purge))
    assert not await overtaken.get_status("one", show_history, show_history)


@pytest.mark.parametrize("show_history", [False, True])
async def test_replaced_while_it_is_read(hub, client, ended, show_history):
    async def replace():
        await client.start_new("shout", "one", 2)
        await client.wait_for_completion("one", 10)

    overtaken = Client(Overtaken(hub.storage, replace))
    status = await overtaken.get_status("one", show_history, show_history)
    assert status.output == [2, LARGE]


@pytest.mark.parametrize("show_history", [False, True])
async def test_a_payload_deleted_by_hand(hub, client, ended, show_history):
    (payload,) = await hub.storage.list_payloads("one")
    await hub.storage.delete_payloads("one", [payload])
    status = await client.get_status("one", show_history, show_history)
    assert (status.runtime_status, status.output) == ("Completed", None)
    assert status.reason == f"its output is gone: payload '{payload}' does not exist"
    (listed,) = await client.get_status_all()
    assert listed.reason == status.reason
    with pytest.raises(PayloadMissing, match=f"its output is gone: payload '{payload}'"):
        await client.wait_for_completion("one")


# ---- many --------------------------------------------------------------------------------------------------------


async def stored(hub, count):
    await hub.storage.create()
    await asyncio.gather(
        *(
            hub.storage.insert(
                new_row(
                    f"{'odd' if index % 2 else 'even'}-{index:04}",
                    status="Failed" if index % 3 == 0 else "Running",
                    created_at=NOON + timedelta(minutes=index),
                    input=str(index),
                )
            )
            for index in range(count)
        )
    )


async def test_all_of_more_than_a_page(hub):
    await stored(hub, 1_100)
    statuses = await Client(hub.storage).get_status_all()
    assert len({status.instance_id for status in statuses}) == 1_100
    assert all(status.input_ is None for status in statuses)


async def test_a_query_pages(hub):
    await stored(hub, 30)
    client = Client(hub.storage)
    wanted = InstanceQuery(id_prefix="even-", statuses=("Running",), created_from=NOON + timedelta(minutes=10))
    found, continuation = [], None
    while True:
        page = await client.query(wanted, top=3, continuation=continuation, show_input=True)
        assert len(page.instances) <= 3
        found += page.instances
        continuation = page.continuation
        if continuation is None:
            break
    expected = [index for index in range(10, 30) if index % 2 == 0 and index % 3]
    assert sorted(status.input_ for status in found) == expected
    assert {status.instance_id for status in found} == {f"even-{index:04}" for index in expected}


async def test_a_foreign_continuation_is_refused(hub):
    await stored(hub, 1)
    with pytest.raises(ValueError, match="continuation"):
        await Client(hub.storage).query(continuation="nonsense")
