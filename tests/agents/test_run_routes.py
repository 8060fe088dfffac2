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


@pytest.mark.parametrize("session", [".", ".."])
async def test_sessions_that_no_path_can_name(driver, session):
    answered = await ask(driver, {"message": "hi", "session_id": session})
    assert (answered.status_code, json.loads(answered.get_body())["error"]) == (
        400,
        f"a session id is a text of 1 to 120 characters, and neither '.' nor '..', not {session!r}",
    )
