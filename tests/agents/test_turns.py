"""Turns of agents, as a whole and in steps, over every provider."""

import asyncio
from collections import Counter

import pytest
from agent_framework import tool

from perdure.agents.sessions import UnknownSession, UnknownTurn
from tests.agents.models import calls, says


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def adding(messages, options):
    """Adds 1 and 2, and 3 and 4, at once; then says what came out."""
    if messages[-1].role != "tool":
        return [calls("add", "c1", a=1, b=2), calls("add", "c2", a=3, b=4)]
    return "sums: " + " ".join(part.result for part in messages[-1].contents)


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_conversation_is_kept(agents, mode):
    model = agents.scripted(says("Hello.", "Again?"), mode=mode)
    first = await agents.ask("Hi")
    second = await agents.ask("Hi again")
    assert (first["status"], first["response"], first["message_count"]) == ("success", "Hello.", 2)
    assert (second["response"], second["message_count"]) == ("Again?", 4)
    assert second["usage"] == {"input_token_count": 3, "output_token_count": 1}
    assert model.asked[1] == [("user", "Hi"), ("assistant", "Hello."), ("user", "Hi again")]
    expected = [("user", "Hi"), ("assistant", "Hello."), ("user", "Hi again"), ("assistant", "Again?")]
    assert await agents.texts() == expected
    await agents.hub.quiet()


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_tools_are_called(agents, mode):
    model = agents.scripted(adding, mode=mode, tools=[add])
    result = await agents.ask("Add.")
    assert result["response"] == "sums: 3 7"
    expected = [
        {"name": "add", "arguments": {"a": 1, "b": 2}, "result": "3"},
        {"name": "add", "arguments": {"a": 3, "b": 4}, "result": "7"},
    ]
    assert result["tool_calls"] == expected
    assert [role for role, _ in await agents.texts()] == ["user", "assistant", "tool", "assistant"]
    assert len(model.asked) == 2
    again = await agents.ask("Add again.")
    assert again["response"] == "sums: 3 7"
    assert again["message_count"] == 8


async def test_in_steps_every_call_is_an_activity_and_tools_run_side_by_side(agents):
    started, together = Counter(), asyncio.Event()

    @tool
    async def meet(who: str) -> str:
        """Wait until both are there."""
        started[who] += 1
        if len(started) == 2:
            together.set()
        await asyncio.wait_for(together.wait(), 20)
        return f"{who} met"

    def script(messages, options):
        if messages[-1].role != "tool":
            return [calls("meet", "c1", who="a"), calls("meet", "c2", who="b")]
        return "done"

    agents.scripted(script, mode="steps", tools=[meet])
    result = await agents.ask("Meet.")
    assert result["response"] == "done"
    assert started == {"a": 1, "b": 1}
    status = await agents.client().get_status(agents.turn("c1"), show_history=True)
    scheduled = [event["FunctionName"] for event in status.history if event["EventType"] == "TaskCompleted"]
    assert scheduled == ["dafx-w-model", "dafx-w-tool", "dafx-w-tool", "dafx-w-model"]


async def test_a_request_that_comes_twice_is_answered_once(agents):
    model = agents.scripted(says("Once."))
    await agents.hub.add_worker()
    for _ in range(3):
        await agents.start("Hi", correlationId="same")
    first = await agents.result("same")
    await agents.client().purge_instance_history(agents.turn("same"))
    await agents.start("Hi", correlationId="same")
    assert (await agents.result("same"))["response"] == first["response"] == "Once."
    await agents.hub.quiet()
    assert len(model.asked) == 1
    assert await agents.texts() == [("user", "Hi"), ("assistant", "Once.")]


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_turns_of_a_session_run_one_at_a_time(agents, mode):
    inside = 0

    async def script(messages, options):
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0.01)
        inside -= 1
        return f"to {messages[-1].text}"

    agents.scripted(script, mode=mode)
    await agents.hub.add_worker()
    await agents.hub.add_worker()
    correlations = await asyncio.gather(*(agents.start(f"m{number}") for number in range(6)))
    results = [await agents.result(each) for each in correlations]
    assert [result["response"] for result in results] == [f"to m{number}" for number in range(6)]
    texts = await agents.texts()
    assert sorted(texts[::2]) == [("user", f"m{number}") for number in range(6)]
    assert [answer for _, answer in texts[1::2]] == [f"to {said}" for _, said in texts[::2]]


async def test_a_turn_that_fails_leaves_the_session_as_it_was(agents):
    agents.scripted(lambda messages, _: RuntimeError("no model") if "bad" in messages[-1].text else "Fine.")
    assert (await agents.ask("Hi"))["status"] == "success"
    failed = await agents.ask("bad")
    assert failed["status"] == "failed"
    assert "agent 'w' failed in session 's'" in failed["error"]["message"]
    assert "no model" in failed["error"]["message"]
    assert await agents.texts() == [("user", "Hi"), ("assistant", "Fine.")]
    assert (await agents.ask("Better?"))["response"] == "Fine."
    await agents.client().purge_instance_history(agents.turn("c2"))
    remembered = await agents.result("c2")
    assert remembered["status"] == "failed"
    assert remembered["message"] == "bad"


async def test_a_turn_that_is_terminated_frees_its_session(agents):
    never = asyncio.Event()

    async def script(messages, options):
        if "stay" in messages[-1].text:
            await never.wait()
        return "Fine."

    agents.scripted(script)
    await agents.hub.add_worker()
    stuck = await agents.start("stay")
    await agents.hub.turns(agents.turn(stuck), 2)
    following = await agents.start("go on")
    await agents.client().terminate(agents.turn(stuck), "enough")
    assert (await agents.result(stuck))["status"] == "canceled"
    assert (await agents.result(following))["response"] == "Fine."
    assert await agents.texts() == [("user", "go on"), ("assistant", "Fine.")]
    never.set()


async def test_a_session_is_forgotten_with_all_its_turns(agents):
    agents.scripted(says("Yes."))
    await agents.ask("Hi", "a")
    await agents.ask("Hi", "a:b")
    while not await agents.sessions().forget("a"):
        await asyncio.sleep(0.05)
    with pytest.raises(UnknownSession, match="agent 'w' has no session 'a'"):
        await agents.sessions().transcript("a")
    with pytest.raises(UnknownTurn):
        await agents.sessions().result("a", "c1")
    assert await agents.texts("a:b") == [("user", "Hi"), ("assistant", "Yes.")]
    assert (await agents.result("c2", "a:b"))["status"] == "success"
    assert await agents.hub.storage.list_payloads(agents.turn("c1", "a")) == []
    assert (await agents.ask("Hi", "a"))["message_count"] == 2


async def test_a_turn_is_told_as_it_comes(agents):
    model = agents.scripted(adding, mode="steps", tools=[add])
    model.piece = 3
    await agents.ask("Add.")
    told = [item async for item in agents.client().stream(agents.turn("c1"), "answer")]
    assert [item.event for item in told[:2]] == ["update", "update"]
    called = [item.data["contents"][0]["name"] for item in told[:2]]
    assert called == ["add", "add"]
    results = {item.data["call_id"]: (item.data["name"], item.data["result"]) for item in told[2:4]}
    assert results == {"c1": ("add", "3"), "c2": ("add", "7")}
    assert "".join(item.data["text"] for item in told[4:-1]) == "sums: 3 7"
    end = told[-1]
    answer = {"correlation_id": "c1", "response": "sums: 3 7"}
    assert (end.event, end.data) == ("end", {"status": "completed", "result": answer})


async def test_the_stream_of_a_turn_that_fails_ends(agents):
    agents.scripted(lambda *_: RuntimeError("no model"))
    await agents.ask("Hi")
    told = [item async for item in agents.client().stream(agents.turn("c1"), "answer")]
    assert [(item.event, item.data["status"]) for item in told] == [("end", "failed")]
