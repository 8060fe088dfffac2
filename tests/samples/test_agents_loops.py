import asyncio

import pytest

from tests.functions.driving import content

QUESTION = "What is it like in Tokyo and London?"
ANSWER = "Tokyo: 21. London: 9. The mean is 15."
SLOWLY = ("await asyncio.sleep(float(", "await asyncio.sleep(0.3 + float(")


@pytest.fixture
async def sample(deploy):
    return await deploy("agents/loops", STEP_SECONDS="0")


async def test_the_orchestration_answers(sample):
    url = await sample.start_with("POST", "durabletask/orchestrators/answer", QUESTION)
    assert await sample.completed(url) == ANSWER
    history = (await sample.status(url + "?showHistory=true"))["historyEvents"]
    steps = [event["FunctionName"] for event in history if event["EventType"] == "TaskCompleted"]
    assert steps == ["ask_model", "use_tool", "use_tool", "ask_model", "use_tool", "ask_model"]


async def test_the_model_is_told_what_went_wrong(sample):
    url = await sample.start_with("POST", "durabletask/orchestrators/answer", "What is it like in Atlantis?")
    assert await sample.completed(url) == "Atlantis: Error: nobody measures in Atlantis."


async def say(sample, text):
    assert (await sample.request("POST", "assistants/mine", raw=text.encode())).status_code == 202


async def until(sample, condition):
    """Wait until the conversation meets a condition; return its texts."""
    async with asyncio.timeout(30):
        while True:
            response = await sample.request("GET", "assistants/mine")
            if response.status_code == 200 and condition(found := content(response)):
                return [part["text"] for each in found["messages"] for part in each["contents"] if "text" in part]
            await asyncio.sleep(0.01)


async def test_the_entity_answers_and_goes_on(sample):
    await say(sample, QUESTION)
    assert (await until(sample, lambda found: found["messages"] and found["working"] is None))[-1] == ANSWER
    await say(sample, "And in Seattle?")
    texts = await until(sample, lambda found: found["working"] is None and len(found["messages"]) > 8)
    assert texts[-1] == "Tokyo: 21. London: 9. Seattle: 12. The mean is 14."
    assert (await sample.request("POST", "assistants/mine", raw=b" ")).status_code == 400
    assert (await sample.request("GET", "assistants/nobody")).status_code == 404


async def test_what_is_said_while_it_works_is_in_its_next_call(deploy):
    sample = await deploy("agents/loops", STEP_SECONDS="0.3")
    await say(sample, QUESTION)
    await until(sample, lambda found: found["working"] is not None)
    await say(sample, "And in Seattle?")
    await until(sample, lambda found: len(found["inbox"]) == 1)
    texts = await until(sample, lambda found: found["messages"] and found["working"] is None)
    assert texts == [QUESTION, "And in Seattle?", "Tokyo: 21. London: 9. Seattle: 12. The mean is 14."]
