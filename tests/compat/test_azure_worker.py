"""Azure's own Python worker runs the moved apps: from the start to the completion its invocations carry everything."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

from tests.compat.moving import app_names, moved_apps
from tests.functions.azure_worker import AzureWorker

API = "https://app.example/api"
LARGE = "x" * 100_000


@pytest.fixture
async def run(store, tmp_path, monkeypatch):
    """Starts the worker on an app; called with its name."""
    started = []

    async def start(name):
        folder = moved_apps(tmp_path) / name
        monkeypatch.chdir(folder)
        worker = AzureWorker(folder)
        await worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        await worker.stop()


async def completed(worker, orchestrator, value=None, instance_id=""):
    """Start an orchestration through the app's own function; return its output."""
    params = {"functionName": orchestrator, "instanceId": instance_id}
    body = json.dumps(value).encode()
    response = await worker.http("http_start", "POST", f"{API}/orchestrators/{orchestrator}", params, body)
    assert response.status_code == "202", response.body.bytes
    status = await worker.ended(json.loads(response.body.bytes)["id"])
    assert status["runtimeStatus"] == "Completed", status
    return status["output"]


@pytest.mark.parametrize("name", app_names())
async def test_the_app_keeps_the_hosts_rules(run, name):
    worker = await run(name)
    assert {"perdure-control", "perdure-workitems", "perdure-http-start"} <= set(worker.functions)
    assert worker.broken_rules() == []


async def test_orders(run):
    worker = await run("orders")
    order = {"id": 7, "item": "samovar", "parts": ["lid", "body"]}
    output = await completed(worker, "ProcessOrder", order)
    assert (output["reserved"], output["price"], output["report"]) == ("reserved samovar", 7, ["- LID", "- BODY"])
    response = await worker.http("put_order", "PUT", f"{API}/orders/7", {"orderId": "7"}, json.dumps(order).encode())
    assert response.status_code == "202"
    assert (await worker.ended("order-7"))["runtimeStatus"] == "Completed"
    assert worker.broken_rules() == []


async def test_values(run):
    worker = await run("values")
    assert await completed(worker, "again", {"first": 0}) == 0
    assert await completed(worker, "pay") == "Money 42 EUR"
    assert await completed(worker, "input_is_optional", LARGE) == [LARGE, None]
    assert worker.broken_rules() == []


async def test_events(run):
    worker = await run("events")
    params = {"functionName": "of_several_names", "instanceId": "one"}
    await worker.http("http_start", "POST", f"{API}/orchestrators/of_several_names/one", params)
    for name, data in (("CityPlanningApproval", LARGE), ("FireDeptApproval", 0), ("BuildingDeptApproval", None)):
        sent = {"instanceId": "one", "name": name}
        response = await worker.http("send", "POST", f"{API}/send/one/{name}", sent, json.dumps([data]).encode())
        assert response.status_code == "204"
    assert (await worker.ended("one"))["output"] == [LARGE, 0, None]
    assert worker.broken_rules() == []


async def test_failures(run):
    worker = await run("failures")
    output = await completed(worker, "retried")
    assert (output["activity"], output["child"]) == (3, [2, True])
    assert len(await completed(worker, "caught")) == 3
    assert worker.broken_rules() == []


async def test_entities(run):
    worker = await run("entities")
    assert await completed(worker, "counting", [1, 2, 3], "c1") == [6, 0, None]
    for amount in (5, 6):
        params = {"key": "a/b", "operation": "add"}
        signalled = await worker.http("signal", "POST", f"{API}/counters/a%2Fb/add?amount={amount}", params)
        assert (signalled.status_code, signalled.body.bytes) == ("202", b"signalled @counter@a/b")
    async with asyncio.timeout(30):
        while await state(worker, "counter", "a/b") != ("200", "11"):
            await asyncio.sleep(0.01)
    assert await completed(worker, "Deposit", {"to": "Ann", "amount": 100}) == 100
    assert await completed(worker, "Transfer", {"from": "Ann", "to": "Bob", "amount": 30}) == [70, 30]
    assert "only 70 EUR left" in await completed(worker, "Transfer", {"from": "Ann", "to": "Bob", "amount": 71})
    assert worker.broken_rules() == []


async def state(worker, name, key):
    """Ask the management API as a caller of the real host would: that leaves encoded slashes encoded."""
    path = f"{API}/durabletask/entities/{name}/{quote(key, safe='')}"
    params = {"entityName": name, "entityKey": key.replace("/", "%2F")}
    response = await worker.http("perdure-http-entity", "GET", path, params)
    return response.status_code, response.body.bytes.decode()


async def test_queue_functions_of_the_apps_own(run):
    worker = await run("management")
    await worker.queues.send("names", "Ann")
    await worker.invoked("on_message")
    assert (await worker.ended("queued-Ann"))["output"] == "Hello Ann!"
    response = await worker.http("start_and_wait", "GET", f"{API}/wait/greet/g", {"name": "greet", "id": "g"})
    assert (response.status_code, response.body.bytes) == ("200", b"Hello you!")
    assert worker.broken_rules() == []
