import json
import re

import pytest

from tests.functions.driving import content


@pytest.fixture
async def sample(deploy):
    return await deploy("agents/adapters", STEP_SECONDS="0")


async def ask(sample, agent, text, **more):
    body = {"message": text, "session_id": "s", **more}
    response = await sample.request("POST", f"agents/{agent}/run", body, Content_Type="application/json")
    assert response.status_code in {200, 202}, response.get_body()
    return content(response)


async def test_a_function_and_a_runnable_answer(sample):
    assert (await ask(sample, "parrot", "Hello!"))["response"] == "Hello! (You have said 1 things.)"
    assert (await ask(sample, "parrot", "Again!"))["response"] == "Again! (You have said 2 things.)"
    assert (await ask(sample, "concierge", "tea"))["response"] == "The user wishes: tea"


async def test_a_story_is_streamed(sample):
    accepted = await ask(sample, "storyteller", "The fox", wait_for_response=False)
    target, told, cursor = accepted["stream_path"].removeprefix("/api/"), [], {}
    while (response := await sample.request("GET", target, **cursor)).status_code == 200:
        events = re.findall(r"id: (\S+)\nevent: (\w+)\ndata: (.*)", response.get_body().decode())
        told += [json.loads(data)["text"] for _, event, data in events if event == "update"]
        cursor = {"Last-Event-ID": events[-1][0]} if events else cursor
    assert response.status_code == 204
    assert "".join(told).startswith("The fox went 1 mile. The fox went 2 miles. ")
    assert "".join(told).count("went") == 20
    page = (await sample.request("GET", "page")).get_body().decode()
    assert 'fetch("agents/storyteller/run"' in page
