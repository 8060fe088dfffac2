"""The management API: every route, parameter and status code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import azure.functions as func
import pytest

import perdure_functions as df
from tests.functions.driving import ORIGIN, content

BASE = f"{ORIGIN}/api/durabletask/instances"
MEBIBYTE = "x" * (1024 * 1024)
AWKWARD = ["a/b", "a b?c#d", "%2F", "50%", "ünï/çödé", "🚀", "a'\"b\\c", "a:b@c&d=e+f", "x" * 256]


@pytest.fixture
async def driver(app_folder, drive):
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def echo(context):
        return context.get_input()

    @app.orchestration_trigger("context")
    def wait(context):
        context.set_custom_status({"waits": True})
        return (yield context.wait_for_external_event("go"))

    @app.orchestration_trigger("context")
    def fail(context):
        raise ValueError("no tea left")

    @app.orchestration_trigger("context")
    def parent(context):
        return (yield context.call_sub_orchestrator("wait", instance_id="child"))

    return await drive(app)


async def started(driver, name, instance_id="one", value=None):
    response = await driver.request("POST", f"durabletask/orchestrators/{name}/{quote(instance_id, safe='')}", value)
    assert response.status_code == 202
    return content(response)["statusQueryGetUri"]


async def complaint(driver, *request, code, **more):
    response = await driver.request(*request, **more)
    assert response.status_code == code
    return content(response)["message"]


# ---- starting ----------------------------------------------------------------------------------------------------


async def test_start(driver):
    response = await driver.request("POST", "durabletask/orchestrators/echo/one", {"a": 1})
    assert (response.status_code, response.headers["Retry-After"]) == (202, "10")
    assert response.headers["Location"] == f"{BASE}/one"
    assert content(response) == {
        "id": "one",
        "statusQueryGetUri": f"{BASE}/one",
        "sendEventPostUri": f"{BASE}/one/raiseEvent/{{eventName}}",
        "terminatePostUri": f"{BASE}/one/terminate?reason={{text}}",
        "suspendPostUri": f"{BASE}/one/suspend?reason={{text}}",
        "resumePostUri": f"{BASE}/one/resume?reason={{text}}",
        "restartPostUri": f"{BASE}/one/restart",
        "rewindPostUri": f"{BASE}/one/rewind?reason={{text}}",
        "purgeHistoryDeleteUri": f"{BASE}/one",
    }
    assert (await driver.ended(f"{BASE}/one"))["output"] == {"a": 1}


async def test_start_without_an_id(driver):
    response = await driver.request("POST", "durabletask/orchestrators/echo")
    assert len(content(response)["id"]) == 32


async def test_start_with_a_version(driver):
    await driver.request("POST", "durabletask/orchestrators/echo/one?VERSION=1.2&showHistory=true")
    history = (await driver.ended(f"{BASE}/one?showHistory=true"))["historyEvents"]
    assert history[0]["Version"] == "1.2"


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, "text", MEBIBYTE])
async def test_bodies_are_inputs(driver, value):
    url = await started(driver, "echo", value=value)
    status = await driver.ended(url)
    assert (status["input"], status["output"]) == (value, value)


async def test_an_empty_body_is_no_input(driver):
    await driver.request("POST", "durabletask/orchestrators/echo/one", raw=b" \n")
    status = await driver.ended(f"{BASE}/one")
    assert (status["input"], status["output"]) == (None, None)


@pytest.mark.parametrize("body", [b"{", b"NaN", b"[Infinity]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json(driver, body):
    for target in ("durabletask/orchestrators/echo/one", "durabletask/instances/one/raiseEvent/go"):
        assert "the body is no JSON" in await complaint(driver, "POST", target, raw=body, code=400)


async def test_an_unknown_orchestrator(driver):
    message = await complaint(driver, "POST", "durabletask/orchestrators/ecco", code=400)
    assert message == "no orchestrator function is named 'ecco'; this app has: 'echo', 'fail', 'parent', 'wait'"


async def test_an_id_in_use(driver):
    await started(driver, "wait")
    assert "'one' is in use" in await complaint(driver, "POST", "durabletask/orchestrators/echo/one", code=409)


async def test_an_id_that_is_too_long(driver):
    target = f"durabletask/orchestrators/echo/{'x' * 257}"
    assert "an instance id has 1 to 256 characters" in await complaint(driver, "POST", target, code=400)


@pytest.mark.parametrize("value", [0, "text", [1], None])
async def test_waiting_for_the_output(driver, value):
    response = await driver.request("POST", "durabletask/orchestrators/echo?timeout=20&pollingInterval=0.1", value)
    assert (response.status_code, content(response)) == (200, value)


async def test_waiting_for_a_failure(driver):
    response = await driver.request("POST", "durabletask/orchestrators/fail?timeout=20")
    assert (response.status_code, content(response)["output"]) == (500, "ValueError: no tea left")


async def test_waiting_in_vain(driver):
    response = await driver.request("POST", "durabletask/orchestrators/wait/one?timeout=0")
    assert (response.status_code, response.headers["Location"]) == (202, f"{BASE}/one")


@pytest.mark.parametrize("query", ["timeout=soon", "timeout=-1", "timeout=4000", "pollingInterval=0"])
async def test_waiting_for_nonsense(driver, query):
    message = await complaint(driver, "POST", f"durabletask/orchestrators/echo/one?{query}", code=400)
    assert message.startswith(f"query parameter {query.partition('=')[0]}: '{query.partition('=')[2]}' can't be used")
    assert (await driver.request("GET", f"{BASE}/one")).status_code == 404


# ---- one instance ------------------------------------------------------------------------------------------------


async def test_status_while_active_and_after(driver):
    before = datetime.now(UTC)
    url = await started(driver, "wait", value="tea")
    response = await driver.request("GET", url)
    assert (response.status_code, response.headers["Location"], response.headers["Retry-After"]) == (202, url, "5")
    await driver.request("POST", f"{url}/raiseEvent/go", 0)
    status = await driver.ended(url)
    assert list(status) == [
        "name",
        "instanceId",
        "runtimeStatus",
        "input",
        "customStatus",
        "output",
        "createdTime",
        "lastUpdatedTime",
    ]
    assert (status["name"], status["instanceId"], status["runtimeStatus"]) == ("wait", "one", "Completed")
    assert (status["input"], status["customStatus"], status["output"]) == ("tea", {"waits": True}, 0)
    created, updated = (datetime.fromisoformat(status[key]) for key in ("createdTime", "lastUpdatedTime"))
    assert before <= created <= updated <= datetime.now(UTC)


async def test_status_of_nobody(driver):
    assert await complaint(driver, "GET", "durabletask/instances/one", code=404) == "there is no instance 'one'"


async def test_a_failed_instance_is_answered_with_200_unless_asked_otherwise(driver):
    url = await started(driver, "fail")
    assert (await driver.ended(url))["runtimeStatus"] == "Failed"
    assert (await driver.request("GET", url)).status_code == 200
    assert (await driver.request("GET", f"{url}?returnInternalServerErrorOnFailure=true")).status_code == 500


async def test_history_and_inputs_are_left_out_or_shown(driver):
    url = await started(driver, "echo", value=[1])
    await driver.ended(url)
    shown = content(await driver.request("GET", f"{url}?showHistory=true&showHistoryOutput=True&showInput=1"))
    assert [event["EventType"] for event in shown["historyEvents"]] == ["ExecutionStarted", "ExecutionCompleted"]
    assert (shown["historyEvents"][0]["Input"], shown["historyEvents"][1]["Result"]) == ([1], [1])
    hidden = content(await driver.request("GET", f"{url}?showhistory=true&showInput=false"))
    assert "Result" not in hidden["historyEvents"][1]
    assert hidden["input"] is None


async def test_a_flag_that_is_none(driver):
    message = await complaint(driver, "GET", "durabletask/instances/one?showInput=perhaps", code=400)
    assert message.startswith("query parameter showInput: 'perhaps' can't be used")


@pytest.mark.parametrize("instance_id", AWKWARD)
async def test_awkward_ids(driver, instance_id):
    url = await started(driver, "wait", instance_id)
    assert (await driver.request("POST", f"{url}/raiseEvent/go", 1)).status_code == 202
    assert (await driver.ended(url))["instanceId"] == instance_id
    assert (await driver.request("DELETE", url)).status_code == 200


async def test_a_slash_that_the_functions_host_leaves_encoded(driver):
    """It decodes route parameters, but for `%2F`."""
    await started(driver, "echo", "a/b")
    function = driver.functions["perdure-http-instances"]
    request = func.HttpRequest("GET", f"{BASE}/a%2Fb", route_params={"instanceId": "a%2fb"}, body=b"")
    assert content(await function.call(req=request))["instanceId"] == "a/b"


# ---- many instances ----------------------------------------------------------------------------------------------


async def test_listing(driver):
    for number in range(5):
        await driver.ended(await started(driver, "echo", f"echo-{number}", number))
    await started(driver, "wait", "wait-0")
    listed = content(await driver.request("GET", "durabletask/instances"))
    assert {each["instanceId"]: each["input"] for each in listed} == {
        **{f"echo-{number}": number for number in range(5)},
        "wait-0": None,
    }
    assert content(await driver.request("GET", "durabletask/instances?showInput=false"))[0]["input"] is None


async def test_filters(driver):
    await driver.ended(await started(driver, "echo", "a-echo"))
    await driver.ended(await started(driver, "fail", "a-fail"))
    between = datetime.now(UTC)
    await driver.ended(await started(driver, "fail", "b-fail"))

    async def ids(query):
        return [each["instanceId"] for each in content(await driver.request("GET", f"durabletask/instances?{query}"))]

    assert await ids("instanceIdPrefix=a-") == ["a-echo", "a-fail"]
    assert await ids("runtimeStatus=failed,Pending") == ["a-fail", "b-fail"]
    assert await ids("runtimeStatus=") == ["a-echo", "a-fail", "b-fail"]
    assert await ids(f"createdTimeFrom={between:%Y-%m-%dT%H:%M:%S.%fZ}") == ["b-fail"]
    assert await ids(f"createdTimeTo={between:%Y-%m-%dT%H:%M:%S.%f}&instanceIdPrefix=a-f") == ["a-fail"]
    elsewhere = between + timedelta(hours=2)
    assert await ids(f"createdTimeFrom={elsewhere:%Y-%m-%dT%H:%M:%S.%f}+02:00") == ["b-fail"]


async def test_pages(driver):
    for number in range(5):
        await driver.ended(await started(driver, "echo", str(number)))
    found, headers = [], {}
    while True:
        response = await driver.request("GET", "durabletask/instances?top=2", **headers)
        found.append([each["instanceId"] for each in content(response)])
        token = response.headers.get("x-ms-continuation-token")
        if token is None:
            break
        headers = {"x_ms_continuation_token": token}
    assert [len(page) for page in found] == [2, 2, 1]
    assert sorted(each for page in found for each in page) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "query", ["top=0", "top=1001", "top=ten", "runtimeStatus=Done", "createdTimeFrom=noon", "createdTimeTo=2026-13-01"]
)
async def test_filters_that_make_no_sense(driver, query):
    message = await complaint(driver, "GET", f"durabletask/instances?{query}", code=400)
    assert message.startswith(f"query parameter {query.partition('=')[0]}: ")


async def test_a_continuation_token_that_is_none(driver):
    headers = {"x_ms_continuation_token": "nonsense"}
    message = await complaint(driver, "GET", "durabletask/instances", code=400, **headers)
    assert "continuation" in message


# ---- commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["go", "GO"])
async def test_raising_an_event(driver, event):
    url = await started(driver, "wait")
    response = await driver.request("POST", f"durabletask/instances/one/raiseEvent/{event}", {"b": None})
    assert (response.status_code, response.get_body()) == (202, b"")
    assert (await driver.ended(url))["output"] == {"b": None}


async def test_an_event_without_data(driver):
    url = await started(driver, "wait")
    assert (await driver.request("POST", "durabletask/instances/one/raiseEvent/go")).status_code == 202
    assert (await driver.ended(url))["output"] is None


async def test_terminating(driver):
    url = await started(driver, "parent")
    response = await driver.request("POST", "durabletask/instances/one/terminate?reason=no%20more%20tea")
    assert (response.status_code, response.get_body()) == (202, b"")
    status = await driver.ended(url)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "no more tea")


async def test_terminating_the_parent_alone(driver):
    url = await started(driver, "parent")
    child = await driver.app.runtime.client()
    while not await child.get_status("child"):
        await driver.queues.wait_for_message("testhub-control", 0.02)
    await driver.request("POST", "durabletask/instances/one/terminate?recursive=false")
    assert (await driver.ended(url))["output"] == ""
    assert (await driver.request("GET", f"{BASE}/child")).status_code == 202


async def test_suspending_and_resuming(driver):
    url = await started(driver, "parent")
    assert (await driver.request("POST", "durabletask/instances/one/suspend?reason=tea")).status_code == 202
    while content(await driver.request("GET", url))["runtimeStatus"] != "Suspended":
        await driver.queues.wait_for_message("testhub-control", 0.02)
    assert (await driver.request("POST", "durabletask/instances/one/resume?reason=enough")).status_code == 202
    while content(await driver.request("GET", url))["runtimeStatus"] != "Running":
        await driver.queues.wait_for_message("testhub-control", 0.02)
    history = content(await driver.request("GET", f"{url}?showHistory=true"))["historyEvents"]
    pauses = [(event["EventType"], event["Reason"]) for event in history if "Reason" in event]
    assert pauses == [("ExecutionSuspended", "tea"), ("ExecutionResumed", "enough")]


@pytest.mark.parametrize("command", ["raiseEvent/go", "terminate", "suspend", "resume"])
async def test_commands_to_nobody_and_to_what_has_ended(driver, command):
    target = f"durabletask/instances/one/{command}"
    assert "there is no instance 'one'" in await complaint(driver, "POST", target, code=404)
    await driver.ended(await started(driver, "echo"))
    assert "has ended (Completed)" in await complaint(driver, "POST", target, code=410)


@pytest.mark.parametrize("operation", ["raiseEvent", "terminate/now", "suspend/now", "nonsense/a"])
async def test_operations_that_do_not_exist(driver, operation):
    assert "no such operation" in await complaint(driver, "POST", f"durabletask/instances/one/{operation}", code=404)


async def test_purging(driver):
    url = await started(driver, "echo", value=MEBIBYTE)
    await driver.ended(url)
    response = await driver.request("DELETE", url)
    assert (response.status_code, content(response)) == (200, {"instancesDeleted": 1})
    assert (await driver.request("GET", url)).status_code == 404
    assert await complaint(driver, "DELETE", url, code=404) == "there is no instance 'one'"


async def test_purging_what_runs(driver):
    url = await started(driver, "wait")
    assert "Terminate it first" in await complaint(driver, "DELETE", url, code=409)


async def test_purging_everything_at_once_is_refused(driver):
    told = await complaint(driver, "DELETE", "durabletask/instances", code=400)
    assert told == "query parameter createdTimeFrom is required"


async def test_purging_by_time_and_status(driver):
    await driver.ended(await started(driver, "echo"))
    target = "durabletask/instances?createdTimeFrom=2020-01-01"
    assert "no such instances" in await complaint(driver, "DELETE", f"{target}&runtimeStatus=Failed", code=404)
    assert "Input should be 'Completed', 'Failed', 'Canceled' or 'Terminated'" in await complaint(
        driver, "DELETE", f"{target}&runtimeStatus=Running", code=400
    )
    response = await driver.request("DELETE", f"{target}&runtimeStatus=Failed,Completed")
    assert (response.status_code, content(response)) == (200, {"instancesDeleted": 1})
    assert (await driver.request("GET", f"{BASE}/one")).status_code == 404


async def test_restarting(driver):
    await driver.ended(await started(driver, "echo", value=[1]))
    again = content(await driver.request("POST", "durabletask/instances/one/restart"))
    assert again["id"] != "one"
    assert (await driver.ended(again["statusQueryGetUri"]))["output"] == [1]
    same = await driver.request("POST", "durabletask/instances/one/restart?restartWithNewInstanceId=false")
    assert (same.status_code, content(same)["id"]) == (202, "one")
    assert (await driver.ended(f"{BASE}/one"))["output"] == [1]
    assert "no instance 'two'" in await complaint(driver, "POST", "durabletask/instances/two/restart", code=404)


async def test_a_store_that_is_gone(driver, monkeypatch, app_folder):
    await driver.app.runtime.stop()
    (app_folder / "a file").write_text("")
    monkeypatch.setenv("AzureWebJobsStorage", f"sqlite:///{app_folder.as_posix().lstrip('/')}/a file/store.db")
    message = await complaint(driver, "GET", "durabletask/instances/one", code=503)
    assert message.startswith("task hub 'TestHub' can't be opened through the connection 'AzureWebJobsStorage': ")


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:01", "9999-12-31T23:59:59-01:00"])
async def test_times_that_no_calendar_has(driver, time):
    told = await complaint(driver, "GET", f"durabletask/instances?createdTimeFrom={quote(time)}", code=400)
    assert "query parameter createdTimeFrom" in told
    assert "is out of range" in told


async def test_tags_and_tokens(driver):
    for number in range(3):
        client = await driver.app.runtime.client()
        await client.start_new("echo", f"t{number}", number, tags={"kind": "a,b"[number % 2 * 2]})
        await driver.ended(f"{ORIGIN}/api/durabletask/instances/t{number}")
    listed = await driver.request("GET", "durabletask/instances?tags=kind=a")
    assert [(each["instanceId"], each["tags"]) for each in content(listed)] == [
        ("t0", {"kind": "a"}),
        ("t2", {"kind": "a"}),
    ]
    page = await driver.request("GET", "durabletask/instances?tags=kind=a&top=1")
    token = page.headers["x-ms-continuation-token"]
    following = await driver.request(
        "GET", "durabletask/instances?tags=kind=a&top=5&showInput=false", x_ms_continuation_token=token
    )
    assert [each["instanceId"] for each in content(following)] == ["t2"]
    for wrong in (token[:-3], "x", f"{token.partition('.')[0]}.", token.replace(".", "!")):
        refused = await driver.request("GET", "durabletask/instances?tags=kind=a", x_ms_continuation_token=wrong)
        assert refused.status_code == 400
    other = await driver.request("GET", "durabletask/instances?tags=kind=b", x_ms_continuation_token=token)
    assert "no token of a page before with the same conditions" in content(other)["message"]
    assert "should read name=value" in await complaint(driver, "GET", "durabletask/instances?tags=kind", code=400)


async def test_rewinding(driver):
    assert "there is no instance 'none'" in await complaint(
        driver, "POST", "durabletask/instances/none/rewind", code=404
    )
    await driver.ended(await started(driver, "echo"))
    told = await complaint(driver, "POST", "durabletask/instances/one/rewind", code=410)
    assert "only failed ones can be rewound" in told
