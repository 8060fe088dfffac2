"""What agents' routes make of requests that nobody expects."""

import json

import azure.functions as func
import pytest

import perdure_functions as df
from tests.functions.conftest import app_folder, drive
from tests.functions.driving import content

__all__ = ["app_folder", "drive"]


@pytest.fixture
async def driver(drive):
    async def parrot(messages):
        return messages[-1].text

    app = df.agents.AgentFunctionApp(
        [df.agents.as_agent(parrot, name="parrot")], http_auth_level=func.AuthLevel.ANONYMOUS
    )
    return await drive(app)


async def ask(driver, body):
    return await driver.request("POST", "agents/parrot/run", body, content_type="application/json")


async def test_messages_are_in_the_frameworks_form(driver):
    body = {"messages": [{"role": "user", "contents": ["one"]}, {"role": "user", "contents": [{"text": "two"}]}]}
    bodies = [
        {"messages": [{"role": "user", "contents": 5}]},
        {"messages": [{"contents": ["no role"]}]},
        body,
    ]
    for each in bodies:
        answered = await ask(driver, each)
        assert answered.status_code == 400, each
        assert "messages are to be in the framework's JSON form" in content(answered)["error"]
    body["messages"].pop()
    answered = await ask(driver, {**body, "session_id": "s"})
    assert (answered.status_code, content(answered)["response"], content(answered)["message"]) == (200, "one", "one")
    transcript = content(await driver.request("GET", "agents/parrot/sessions/s"))
    assert transcript["messages"][0]["contents"] == [{"type": "text", "text": "one"}]


@pytest.mark.parametrize(("session", "header"), [(" pad ", "%20pad%20"), ("a b", "a b"), ("a\nb", "a%0Ab")])
async def test_a_header_holds_any_session(driver, session, header):
    answered = await ask(driver, {"message": "hi", "session_id": session})
    assert (answered.status_code, answered.headers["x-ms-session-id"]) == (200, header)


@pytest.mark.parametrize("session", [".", "..", "a%2Fb", "%2f", "half \ud800", " ", "x" * 121])
async def test_sessions_that_no_path_can_name(driver, session):
    for body in ({"message": "hi", "session_id": session}, {"message": "hi", "thread_id": session}):
        answered = await ask(driver, body)
        if session == " ":  # says nothing: a new session
            assert answered.status_code == 200
            continue
        told = "a session id is a text of 1 to 120 characters without lone surrogates and '%2F', and neither '.' nor "
        told += f"'..', not {session!r}"
        assert (answered.status_code, json.loads(answered.get_body())["error"]) == (400, told)


@pytest.mark.parametrize("session", [{"a": 1}, ["s"], True, 1.5])
async def test_what_is_no_session(driver, session):
    answered = await ask(driver, {"message": "hi", "session_id": session})
    assert (answered.status_code, content(answered)["error"]) == (400, f"session_id is a text, not {session!r}")
    assert content(await ask(driver, {"message": "hi", "session_id": 5}))["session_id"] == "5"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_path_reaches_the_session_that_it_names(driver, method):
    """The Functions host decodes everything but slashes: `%2F` and `%252F` look alike to it."""
    assert (await ask(driver, {"message": "hi", "session_id": "a/b"})).status_code == 200
    name = {"GET": "transcript-parrot", "DELETE": "forget-parrot"}[method]
    for written, given in (("a%252Fb", "a%2Fb"), ("a%252Fb", "a%2fb"), ("a%252fb", "a%2fb")):
        url = f"https://app.example/api/agents/parrot/sessions/{written}"
        request = func.HttpRequest(method, url, route_params={"sessionId": given}, body=b"")
        answered = await driver.functions[name].call(req=request)
        assert (answered.status_code, "'%2F'" in content(answered)["error"]) == (400, True)
        answered = await driver.request(method, f"agents/parrot/sessions/{written}")
        assert (answered.status_code, "'%2F'" in content(answered)["error"]) == (400, True)
    assert content(await driver.request("GET", "agents/parrot/sessions/a%2Fb"))["turns"] == 1
    url = "https://app.example/api/agents/parrot/sessions/a%2Fb"
    request = func.HttpRequest("GET", url, route_params={"sessionId": "a%2Fb"}, body=b"")
    assert content(await driver.functions["transcript-parrot"].call(req=request))["session_id"] == "a/b"


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([{"role": "user"}], "message 1 of `messages` has no contents"),
        ([{"role": "user", "contents": []}], "message 1 of `messages` has no contents"),
        ([{"role": "user", "contents": ["hi"]}, {"role": "user"}], "message 2 of `messages` has no contents"),
        ([{"role": "user", "contents": [" "]}], "a message is required"),
        ([], "a message is required"),
    ],
)
async def test_messages_that_say_nothing(driver, messages, told):
    answered = await ask(driver, {"messages": messages})
    assert (answered.status_code, told in content(answered)["error"]) == (400, True), content(answered)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("rest", ["", "/run", "/sessions/s", "/sessions/s/runs/c", "/stream/s", "/what/is/this"])
async def test_an_agent_that_there_is_not(driver, method, rest):
    answered = await driver.request(method, f"agents/nobody{rest}", {"message": "hi"})
    told = "there is no agent 'nobody' in this app; it has: parrot"
    assert (answered.status_code, content(answered)) == (404, {"error": told})


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "run"), ("POST", "sessions/s"), ("GET", "sessions"), ("PUT", "x/y")]
)
async def test_what_an_agent_has_not(driver, method, path):
    answered = await driver.request(method, f"agents/Parrot/{path}", {"message": "hi"})
    told = f"agent 'parrot' has nothing at {method} '{path}'"
    assert answered.status_code == 404
    assert content(answered)["error"].startswith(told)


async def test_yes_and_no_are_understood_or_refused(driver):
    async def status(body=None, query="", **headers):
        asked = {"message": "hi", **(body or {})}
        answered = await driver.request(
            "POST", f"agents/parrot/run{query}", asked, content_type="application/json", **headers
        )
        return answered.status_code, content(answered).get("error")

    assert await status(x_ms_wait_for_response="No") == (202, None)
    assert await status({"wait_for_response": 0}) == (202, None)
    assert await status({"wait_for_response": None}, "?wait_for_response=", x_ms_wait_for_response=" ") == (200, None)
    for body, query, headers, told in (
        ({}, "", {"x_ms_wait_for_response": "maybe"}, "x-ms-wait-for-response is true or false, not 'maybe'"),
        ({}, "?wait_for_response=soon", {}, "wait_for_response is true or false, not 'soon'"),
        ({"wait_for_response": [1]}, "", {}, "wait_for_response is true or false, not [1]"),
        ({"enable_tool_calls": "some"}, "", {}, "enable_tool_calls is true or false, not 'some'"),
    ):
        assert await status(body, query, **headers) == (400, told)
