import asyncio

import pytest

from tests.functions.driving import content

LONG = "Tell me everything that you know about durable execution, entities, streams, locks and all the rest!"


@pytest.fixture
async def sample(deploy):
    return await deploy("chat_session")


async def ask(sample, text, session="mine"):
    assert (await sample.request("POST", f"sessions/{session}", {"text": text})).status_code == 202


async def until(sample, condition, session="mine"):
    """Wait until a session meets a condition; return what has been said in it. None: there is no such session."""
    async with asyncio.timeout(30):
        while True:
            response = await sample.request("GET", f"sessions/{session}")
            conversation = content(response) if response.status_code == 200 else None
            if condition(conversation):
                return [(each["by"], each["text"]) for each in conversation["messages"]] if conversation else None
            await asyncio.sleep(0.01)


def settled(messages):
    return lambda found: found and found["answering"] is None and len(found["messages"]) == messages


async def test_questions_are_answered(sample):
    await ask(sample, "Why?")
    said = await until(sample, settled(2))
    assert said == [("user", "Why?"), ("assistant", "You have asked 1 questions; the last one was: Why?")]
    await ask(sample, "How?")
    assert (await until(sample, settled(4)))[-1][1] == "You have asked 2 questions; the last one was: How?"
    await ask(sample, "Who?", "another")
    await until(sample, settled(2), "another")
    assert content(await sample.request("GET", "sessions")).keys() == {"mine", "another"}


async def test_what_is_asked_meanwhile_is_answered_together(sample):
    await ask(sample, LONG)
    await until(sample, lambda found: found and found["answering"] is not None)
    await ask(sample, "Why?")
    await ask(sample, "How?")
    said = await until(sample, settled(5))
    assert [by for by, _ in said] == ["user", "user", "user", "assistant", "assistant"]
    assert said[-1][1] == "You have asked 3 questions; the last one was: How?"


async def test_a_model_that_does_not_answer(sample):
    await ask(sample, "break")
    assert (await until(sample, settled(2)))[-1] == ("assistant", "I can't answer at present. Ask me again later.")


async def test_a_forgotten_session_does_not_begin_with_an_answer(sample):
    await ask(sample, LONG)
    await until(sample, lambda found: found and found["answering"] is not None)
    await sample.request("DELETE", "sessions/mine")
    await until(sample, lambda found: found is None)
    orchestrations = await sample.request("GET", "durabletask/instances?runtimeStatus=Running,Pending")
    for status in content(orchestrations):
        await sample.completed(f"https://app.example/api/durabletask/instances/{status['instanceId']}")
    await ask(sample, "Why?")
    assert (await until(sample, settled(2)))[0] == ("user", "Why?")


async def test_silence_ends_a_session(deploy):
    sample = await deploy("chat_session", ("timedelta(minutes=30)", "timedelta(seconds=2)"))
    await ask(sample, "Why?")
    await until(sample, settled(2))
    await until(sample, lambda found: found is None)


@pytest.mark.parametrize("question", [{}, {"text": ""}, "Why?"])
async def test_what_is_no_question(sample, question):
    assert (await sample.request("POST", "sessions/mine", question)).status_code == 400
