"""Workflows over HTTP."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import azure.functions as func
import pytest
from agent_framework import Content

import perdure_functions as df
from tests.agents.workflows import corpus
from tests.agents.workflows.functions import EXPERIMENTAL, pipeline
from tests.functions.driving import ORIGIN, content

ANONYMOUS = func.AuthLevel.ANONYMOUS


@pytest.fixture
async def driver(drive):
    workflows = [corpus.chain(), corpus.questions(), corpus.failing(), corpus.wrapped_asking(), corpus.functions()]
    app = df.agents.AgentFunctionApp(http_auth_level=ANONYMOUS, workflows=workflows)
    return await drive(app)


async def waiting(driver, instance_id="q", workflow="questions", count=3):
    """Start a run that asks; return its status once everything is asked."""
    started = await driver.request("POST", f"workflow/{workflow}/run?runId={instance_id}", "start")
    assert started.status_code == 202
    return await until(driver, content(started)["statusQueryGetUri"], count)


async def until(driver, url, count):
    async with asyncio.timeout(30):
        while True:
            status = content(await driver.request("GET", url))
            if len(status.get("pendingHumanInputRequests", ())) == count:
                return status
            await asyncio.sleep(0.01)


async def ended(driver, workflow, instance_id):
    async with asyncio.timeout(30):
        while True:
            status = content(await driver.request("GET", f"workflow/{workflow}/status/{instance_id}"))
            if status["runtimeStatus"] not in ("Pending", "Running"):
                return status
            await asyncio.sleep(0.01)


async def test_a_run_is_started_and_looked_at(driver):
    started = await driver.request("POST", "workflow/chain/run", "hello")
    shown = content(started)
    assert started.status_code == 202
    instance_id = shown["instanceId"]
    assert shown == {
        "instanceId": instance_id,
        "statusQueryGetUri": f"{ORIGIN}/api/workflow/chain/status/{instance_id}",
        "respondUri": f"{ORIGIN}/api/workflow/chain/respond/{instance_id}/{{requestId}}",
        "message": "Workflow started",
    }
    status = await ended(driver, "chain", instance_id)
    assert status["runtimeStatus"] == "Completed"
    assert status["output"][0] == "p1 took 0 of splits as no 1"
    assert status["error"] is None
    assert status["createdTime"]
    assert status["lastUpdatedTime"] >= status["createdTime"]
    assert "pendingHumanInputRequests" not in status


@pytest.mark.parametrize(
    ("body", "headers"), [(b'"hello"', {}), (b"hello", {}), (b"hello", {"Content_Type": "text/plain; charset=utf-8"})]
)
async def test_a_run_is_waited_for(driver, body, headers):
    answer = await driver.request("POST", "workflow/functions/run?waitForResponse=true", raw=body, **headers)
    assert answer.status_code == 200
    shown = content(answer)
    assert shown["instanceId"]
    assert shown | {"instanceId": ""} == {
        "instanceId": "",
        "runtimeStatus": "Completed",
        "output": ["HELLO"],
        "error": None,
    }


async def test_a_failure_says_where_it_happened(driver):
    answer = await driver.request("POST", "workflow/failing/run", "x", x_ms_wait_for_response="true")
    shown = content(answer)
    assert (answer.status_code, shown["runtimeStatus"], shown["output"]) == (500, "Failed", None)
    assert "workflow 'failing' failed in executor 'fails': ValueError: fails does not like 1" in shown["error"]


async def test_a_run_that_is_cancelled_while_somebody_waits_for_it_is_no_success(driver):
    waits = asyncio.ensure_future(driver.request("POST", "workflow/questions/run?runId=q&waitForResponse=true", "x"))
    async with asyncio.timeout(30):
        while (await driver.request("POST", "workflow/questions/cancel/q?reason=enough")).status_code != 202:
            await asyncio.sleep(0.01)
    answer = await waits
    assert (answer.status_code, content(answer)["runtimeStatus"]) == (409, "Terminated")
    assert (content(answer)["output"], content(answer)["error"]) == (None, "enough")


@pytest.mark.parametrize("waits", ["true", "false"])
async def test_an_input_that_nothing_takes_starts_no_run(driver, waits):
    target = f"workflow/chain/run?runId=r&waitForResponse={waits}"
    code, error = await refused(driver, "POST", target, {"no": "text"})
    assert code == 400
    assert "workflow 'chain' can't start with dict {'no': 'text'}" in error
    assert "its start executor 'splits' takes str" in error
    assert (await driver.request("GET", "workflow/chain/status/r")).status_code == 404
    code, error = await refused(driver, "POST", "workflow/wrapped-asking/run", raw=b"null")
    assert (code, "can't start with NoneType None" in error) == (400, True)


@pytest.mark.filterwarnings(EXPERIMENTAL)
async def test_what_inputs_are_taken_is_told_for_every_kind_of_workflow(drive):
    built_each_time = corpus.wrapped
    workflows = [built_each_time, pipeline]
    driver = await drive(df.agents.AgentFunctionApp(http_auth_level=ANONYMOUS, workflows=workflows))
    code, error = await refused(driver, "POST", "workflow/wrapped/run", [1])
    assert (code, "workflow 'wrapped' can't start with list [1]" in error) == (400, True)
    code, error = await refused(driver, "POST", "workflow/pipeline/run", raw=b"null")
    assert (code, error) == (400, "workflow 'pipeline' can't start without an input")


async def test_requests_are_shown_and_answered_in_any_order(driver):
    status = await waiting(driver)
    asked = status["pendingHumanInputRequests"]
    assert asked[0] == {
        "requestId": "asks-0",
        "sourceExecutor": "asks",
        "requestData": {
            "text": "may 0?",
            "about": {"number": 0, "trail": ["start/splits"], "mood": "good"},
        },
        "requestType": "Question",
        "responseType": "Verdict",
        "respondUrl": f"{ORIGIN}/api/workflow/questions/respond/q/asks-0",
    }
    answer = await driver.request("POST", asked[2]["respondUrl"], {"approved": True, "remark": "yes"})
    told = {"message": "Response delivered successfully", "instanceId": "q", "requestId": "asks-2"}
    assert (answer.status_code, content(answer)) == (200, told)
    await until(driver, "workflow/questions/status/q", 2)
    for number in (0, 1):
        await driver.request("POST", asked[number]["respondUrl"], {"approved": False})
    status = await ended(driver, "questions", "q")
    assert status["output"][0] == "may 2? True yes, 2 left"
    assert len(status["output"]) == 5


async def test_answers_reach_workflows_in_workflows(driver):
    status = await waiting(driver, "w", "wrapped-asking")
    for each in status["pendingHumanInputRequests"]:
        assert each["sourceExecutor"] == "wraps"
        await driver.request("POST", each["respondUrl"], {"approved": False})
    status = await ended(driver, "wrapped-asking", "w")
    assert status["runtimeStatus"] == "Completed", status
    assert len(status["output"]) == 3


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_call_of_an_agent_is_approved_in_plain_words(drive, mode):
    workflows = [corpus.approving_agent()]
    app = df.agents.AgentFunctionApp(
        http_auth_level=ANONYMOUS, workflows=workflows, workflow_options={"agent_mode": mode}
    )
    driver = await drive(app)
    status = await waiting(driver, "p", "approving-agent", 1)
    [asked] = status["pendingHumanInputRequests"]
    assert asked["requestData"]["function_call"]["arguments"] == {"amount": 7}
    code, error = await refused(driver, "POST", asked["respondUrl"], {"answer": "yes"})
    assert code == 400
    assert 'answered with {"approved": true or false}' in error
    await driver.request("POST", asked["respondUrl"], {"approved": True})
    [output] = (await ended(driver, "approving-agent", "p"))["output"]
    assert "paid 7" in output["messages"][-1]["contents"][0]["text"]


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_what_runs_and_turns_ask_stands_in_one_list_and_is_answered_at_one_place(drive, mode):
    asks = corpus.agent("asker", ask_about_paint, tools=[df.agents.ask_human_tool()])
    app = df.agents.AgentFunctionApp(
        [asks],
        workflows=[corpus.approving_agent(), corpus.wrapped_asking()],
        http_auth_level=ANONYMOUS,
        workflow_options={"agent_mode": mode, "human": df.agents.HumanPolicy(ask=["Ann"])},
        mode="steps",
    )
    driver = await drive(app)
    await waiting(driver, "p:1", "approving-agent", 1)
    await waiting(driver, "w", "wrapped-asking")
    turn = {"message": "Paint.", "session_id": "s:1", "correlation_id": "c", "wait_for_response": False}
    await driver.request("POST", "agents/asker/run", turn, Content_Type="application/json")
    listed = await all_requests(driver, 5)
    [question] = [each for each in listed if "agent" in each]
    assert (question["instanceId"], question["kind"]) == ("dafx-asker:s:1:c", "question")
    [approval] = [each for each in listed if each.get("workflow") == "approving-agent"]
    assert (approval["instanceId"], approval["kind"], approval["asks"]) == ("p:1", "approval", "Ann")
    asked = [each for each in listed if each.get("workflow") == "wrapped-asking"]
    assert [(each["kind"], each["requestType"], each["instanceId"]) for each in asked] == [
        ("information", "Question", "w")
    ] * 3
    assert await all_requests(driver, 3, "?workflow=wrapped-asking") == asked
    assert await all_requests(driver, 1, "?agent=asker") == [question]
    assert await all_requests(driver, 0, "?workflow=nobody") == []

    for each in listed:
        path = f"agents/requests/{quote(each['instanceId'], safe='')}/{each['requestId']}"
        assert each["answerPath"] == f"/api/{path}" or "agent" in each
        says = {"answer": "red"} if each["kind"] == "question" else {"approved": True}
        answer = await driver.request("POST", path, says)
        told = {"status": "accepted", "instanceId": each["instanceId"], "requestId": each["requestId"]}
        assert (answer.status_code, content(answer)) == (202, told)
        code, _ = await refused(driver, "POST", path, says)
        assert code == 409
    assert await all_requests(driver, 0) == []
    assert (await ended(driver, "approving-agent", "p:1"))["runtimeStatus"] == "Completed"
    assert (await ended(driver, "wrapped-asking", "w"))["runtimeStatus"] == "Completed"
    code, error = await refused(driver, "POST", "agents/requests/nobody/1", {})
    assert (code, error) == (404, "no agent and no workflow of this app asks anything in an instance 'nobody'")
    assert (await refused(driver, "POST", "agents/requests/w/deep-9", {}))[0] == 409


def ask_about_paint(messages, _):
    results = [part.result for message in messages for part in message.contents if part.type == "function_result"]
    return results[0] if results else Content.from_function_call("c1", "ask_human", arguments={"question": "Which?"})


async def all_requests(driver, count, query=""):
    """Return the list once it has so many entries."""
    async with asyncio.timeout(30):
        while len(found := content(await driver.request("GET", f"agents/requests{query}"))["requests"]) != count:
            await asyncio.sleep(0.01)
    return found


async def test_only_what_has_routes_is_listed_and_answered(drive):
    hidden = df.agents.AgentFunctionApp(http_auth_level=ANONYMOUS, enable_http_endpoints=False)
    hidden.add_workflow(corpus.questions())
    hidden.add_workflow(corpus.chain(), enable_http_endpoint=True)
    driver = await drive(hidden)
    client = await hidden.runtime.client()
    await client.start_new("dafx-questions", "q", "x")
    async with asyncio.timeout(30):
        while "pendingHumanInputRequests" not in ((await client.get_status("q")).custom_status or {}):
            await asyncio.sleep(0.01)
    assert await all_requests(driver, 0) == []
    assert (await refused(driver, "POST", "agents/requests/q/asks-0", {"approved": True}))[0] == 404


async def refused(driver, method, target, body=None, **options):
    answer = await driver.request(method, target, body, **options)
    return answer.status_code, content(answer)["error"]


async def test_answers_that_make_no_sense_are_refused(driver):
    await waiting(driver)
    at = "workflow/questions/respond/q"
    code, error = await refused(driver, "POST", f"{at}/asks-0", {"remark": "and?"})
    assert (code, error) == (400, "the answer to request 'asks-0' is no Verdict: {'remark': 'and?'}")
    assert (await refused(driver, "POST", f"{at}/asks-0", "yes"))[0] == 400
    assert (await refused(driver, "POST", f"{at}/asks-0", raw=b"{"))[0] == 400
    code, error = await refused(driver, "POST", f"{at}/nobody", {"approved": True})
    assert (code, error) == (404, "run 'q' has no open request 'nobody'; it has asks-0, asks-1, asks-2")
    assert (await refused(driver, "POST", "workflow/questions/respond/none/asks-0", {"approved": True}))[0] == 404
    code, error = await refused(driver, "POST", "workflow/chain/respond/q/asks-0", {"approved": True})
    assert (code, error) == (404, "workflow 'chain' has no run 'q'")
    await driver.request("POST", f"{at}/asks-0", {"approved": False})
    await until(driver, "workflow/questions/status/q", 2)
    code, error = await refused(driver, "POST", f"{at}/asks-0", {"approved": True})
    assert (code, error) == (409, "request 'asks-0' of run 'q' has been answered already")


async def test_runs_are_cancelled_with_the_runs_inside_them(driver):
    await waiting(driver, "w", "wrapped-asking")
    answer = await driver.request("POST", "workflow/wrapped-asking/cancel/w?reason=enough")
    assert (answer.status_code, content(answer)["instanceId"]) == (202, "w")
    status = await ended(driver, "wrapped-asking", "w")
    assert (status["runtimeStatus"], status["error"]) == ("Terminated", "enough")
    assert "pendingHumanInputRequests" not in status
    code, error = await refused(driver, "POST", "workflow/wrapped-asking/cancel/w")
    assert (code, error) == (409, "run 'w' has ended already: there is nothing to cancel")
    answer = {"approved": True}
    code, error = await refused(driver, "POST", "workflow/wrapped-asking/respond/w/deep-0", answer)
    assert (code, error) == (409, "run 'w' has ended: it takes no answer to request 'deep-0'")
    assert (await refused(driver, "POST", "workflow/chain/cancel/w"))[0] == 404


async def test_a_run_id_is_used_once_at_a_time(driver):
    await waiting(driver)
    code, error = await refused(driver, "POST", "workflow/questions/run?runId=q", "again")
    assert code == 409
    assert "'q'" in error


@pytest.mark.parametrize(
    ("target", "body", "said"),
    [
        ("run", b"", "the body is empty"),
        ("run", b"\xff", "the body is no UTF-8 text"),
        ("run?waitForResponse=perhaps", b"1", "waitForResponse is true or false, not 'perhaps'"),
        ("run?timeoutSeconds=0", b"1", "timeoutSeconds is a whole number from 1 to 200, not '0'"),
        ("run?timeoutSeconds=2000", b"1", "timeoutSeconds is a whole number"),
        ("run?runId=@me", b"1", "runId has 1 to 100"),
        ("run", b'{"$continued": {}}', "the input of a workflow can't have a key '$continued'"),
    ],
)
async def test_requests_that_make_no_sense_are_refused(driver, target, body, said):
    code, error = await refused(driver, "POST", f"workflow/chain/{target}", raw=body)
    assert code == 400
    assert said in error


async def test_events_are_followed_from_where_the_reader_was(driver):
    await driver.request("POST", "workflow/failing/run?runId=f&waitForResponse=true", "x")
    first = await driver.request("GET", "workflow/failing/events/f")
    assert (first.status_code, first.mimetype) == (200, "text/event-stream")
    told = read(first)
    told += read(await driver.request("GET", f"workflow/failing/events/f?cursor={told[-1][0]}"))
    names = [event for _, event, _ in told]
    start = ["superstep_started", "executor_invoked", "executor_completed", "superstep_completed"]
    assert names[:5] == [*start, "superstep_started"]
    assert [told[place][2] for place in (0, 3, 4)] == [{"iteration": 1}, {"iteration": 1}, {"iteration": 2}]
    assert "output" in names
    assert names[-2:] == ["executor_failed", "end"]
    assert (told[names.index("output")][2]) == {"executorId": "fails", "data": "fails got 0"}
    assert told[-2][2]["errorType"] == "ValueError"
    assert told[-1][2]["status"] == "failed"
    rest = await driver.request("GET", "workflow/failing/events/f", Last_Event_ID=told[2][0])
    assert read(rest) == told[3:-1]
    done = await driver.request("GET", "workflow/failing/events/f", Last_Event_ID=told[-1][0])
    assert done.status_code == 204
    assert (await refused(driver, "GET", "workflow/chain/events/f"))[0] == 404
    assert (await refused(driver, "GET", "workflow/failing/events/f?wait=never"))[0] == 400
    assert (await refused(driver, "GET", "workflow/failing/events/f?cursor=what"))[0] == 400


def read(response):
    """Return (id, event, data) of each event."""
    found = []
    for block in response.get_body().decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append((fields["id"], fields.get("event"), json.loads(fields["data"])))
    return found
