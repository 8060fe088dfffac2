"""The client in functions: every call, with the arguments in the places where apps put them."""

from __future__ import annotations

import asyncio

import azure.functions as func
import pytest

from tests.functions.driving import ORIGIN, content


@pytest.fixture
async def app(deploy):
    return await deploy("management")


async def told(app, target):
    response = await app.request("GET", target)
    assert response.status_code == 200, response.get_body()
    return content(response)


async def started(app, name, instance_id):
    return await app.start_with("GET", f"start/{name}/{instance_id}")


async def waiting(app, instance_id):
    url = await started(app, "wait", instance_id)
    await app.until(url, lambda status: status["customStatus"] == "waiting")
    return url


async def becomes(app, url, runtime_status):
    async with asyncio.timeout(30):
        while (await app.status(url))["runtimeStatus"] != runtime_status:
            await asyncio.sleep(0.01)


async def test_status_objects(app):
    url = await waiting(app, "one")
    running = await told(app, "status/one")
    assert (running["running"], running["runtime_status"], running["output"]) == (True, ["Running", "Running"], None)
    assert (await app.request("GET", "event/one")).status_code == 200
    await app.completed(url)
    status = await told(app, "status/one")
    shown = {"name": "wait", "instance_id": "one", "running": False, "runtime_status": ["Completed", "Completed"]}
    assert shown.items() <= status.items()
    assert (status["input"], status["output"], status["custom_status"]) == ("you", {"ready": True}, "waiting")
    assert status["created"] is True
    assert {"ExecutionStarted", "EventRaised", "ExecutionCompleted"} <= set(status["events"])
    written = status["json"]
    assert written["createdTime"].endswith("Z")
    assert written["history"]
    expected = {
        "name": "wait",
        "instanceId": "one",
        "runtimeStatus": "Completed",
        "input": "you",
        "output": {"ready": True},
        "customStatus": "waiting",
    }
    assert expected.items() <= written.items()


async def test_there_is_no_such_instance(app):
    assert (await app.request("GET", "status/none")).status_code == 404
    for target in ("event/none", "do/terminate/none", "do/suspend/none", "do/resume/none"):
        response = await app.request("GET", target)
        assert (response.status_code, b"none" in response.get_body()) == (400, True), target
    assert await told(app, "do/purge/none") == 0


async def test_waiting_for_the_output(app):
    response = await app.request("GET", "wait/greet/one")
    assert (response.status_code, response.get_body()) == (200, b"Hello you!")
    response = await app.request("GET", "wait/broken/two")
    assert (response.status_code, content(response)["runtimeStatus"]) == (500, "Failed")
    response = await app.request("GET", "wait/wait/three?timeout=200")
    assert response.status_code == 202
    assert response.headers["Location"] == content(response)["statusQueryGetUri"]


async def test_suspending_and_terminating(app):
    url = await waiting(app, "one")
    assert await told(app, "do/suspend/one") is None
    await becomes(app, url, "Suspended")
    assert await told(app, "do/resume/one") is None
    await becomes(app, url, "Running")
    assert await told(app, "do/terminate/one") is None
    assert (await app.ended(url))["runtimeStatus"] == "Terminated"


async def test_commands_to_what_has_ended_are_no_errors(app):
    """Events are: nobody would receive them."""
    await app.completed(await started(app, "greet", "one"))
    for action in ("terminate", "suspend", "resume"):
        assert await told(app, f"do/{action}/one") is None
    response = await app.request("GET", "event/one")
    assert (response.status_code, b"one" in response.get_body()) == (400, True)


async def test_restarting(app):
    url = await started(app, "greet", "one")
    await app.completed(url)
    assert await told(app, "do/restart/one") == "one"
    assert await app.completed(url) == "Hello you!"
    elsewhere = await told(app, "do/restart_elsewhere/one")
    assert elsewhere != "one"
    assert await app.completed(f"{ORIGIN}/api/durabletask/instances/{elsewhere}") == "Hello you!"


async def test_queries_and_purges(app):
    for instance_id in ("g1", "g2", "h1"):
        await app.completed(await started(app, "greet", instance_id))
    url = await waiting(app, "w1")
    assert await told(app, "all") == ["g1", "g2", "h1", "w1"]
    assert await told(app, "by") == [["g1", "g2", "h1"], ["g1", "g2"], ["g1", "g2", "h1", "w1"]]
    assert await told(app, "do/purge/g1") == 1
    assert await told(app, "purge") == 2
    assert await told(app, "all") == ["w1"]
    assert (await app.status(url))["runtimeStatus"] == "Running"


async def test_links(app):
    payload, linked = await told(app, "links/one")
    names = {
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "rewindPostUri",
        "suspendPostUri",
        "resumePostUri",
    }
    assert names <= set(payload)
    assert payload["id"] == linked["id"] == "one"
    assert linked["statusQueryGetUri"] == f"{ORIGIN}/api/durabletask/instances/one"


async def test_other_triggers_with_a_client(app):
    await app.call("Nightly", Timer())
    url = f"{ORIGIN}/api/durabletask/instances/nightly"
    assert await app.completed(url) == "Hello night!"
    await app.call("on_message", func.QueueMessage(id="1", body=b"Ann"))
    assert await app.completed(f"{ORIGIN}/api/durabletask/instances/queued-Ann") == "Hello Ann!"


class Timer(func.TimerRequest):
    past_due = False


async def test_rewinding(app):
    await app.ended(await started(app, "broken", "one"))
    await app.completed(await started(app, "greet", "two"))
    assert await told(app, "do/rewind/one") is None
    assert (await app.request("GET", "do/rewind/two")).status_code == 400
