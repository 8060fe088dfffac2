"""Models, tools and functions that answer what nobody expects."""

import json

import pytest
from agent_framework import Content, tool

from perdure.agents import as_agent
from tests.agents.models import ScriptedModel, calls

MEBIBYTE = 1024 * 1024


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def results_in(messages):
    return [part.result for message in messages for part in message.contents if part.type == "function_result"]


@pytest.mark.parametrize("call_id", [None, "", "same"])
async def test_calls_without_ids_of_their_own_all_get_their_results(quick, call_id):
    def script(messages, options):
        if results_in(messages):
            return "got " + " ".join(results_in(messages))
        return [
            Content.from_function_call(call_id=call_id, id=f"id-{each}", name="add", arguments={"a": 1, "b": each})
            for each in (1, 2)
        ]

    quick.scripted(script, mode="steps", tools=[add])
    result = await quick.ask("Add.")
    assert result["response"] == "got 2 3"
    assert [each["result"] for each in result["tool_calls"]] == ["2", "3"]


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_whole_calls_of_one_id_are_told_apart(quick, mode):
    def script(messages, options):
        if results_in(messages):
            return "got " + " ".join(results_in(messages))
        return [calls("add", "same", a=1, b=1), calls("add", "same", a=1, b=2)]

    quick.scripted(script, mode=mode, tools=[add])
    result = await quick.ask("Add.")
    assert result["response"] == "got 2 3"
    assert [each["result"] for each in result["tool_calls"]] == ["2", "3"]
    state = await quick.sessions().transcript("s")
    assert "perdure" not in json.dumps(state.messages)


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_model_that_says_nothing_has_failed(quick, mode):
    quick.scripted(lambda *_: [], mode=mode, model={"piece": 1})
    silent = ScriptedModel._pieces

    async def nothing(self, messages, options):
        return
        yield

    ScriptedModel._pieces = nothing
    try:
        result = await quick.ask("Hi")
    finally:
        ScriptedModel._pieces = silent
    assert result["status"] == "failed"
    assert "agent 'w' answered nothing at all" in result["error"]["message"]


@pytest.mark.parametrize("answer", [None, b"bytes", 5])
async def test_what_a_function_may_not_answer_is_told(quick, answer):
    async def odd(messages):
        return answer

    quick.add(as_agent(odd, name="odd"))
    result = await quick.ask("Hi", agent="odd")
    kind = type(answer).__name__
    expected = f"agent 'odd' answered {kind}: what it returns is a text, a Message or an AgentResponse"
    assert (result["status"], expected in result["error"]["message"]) == ("failed", True)


@pytest.mark.parametrize("mode", ["turn", "steps"])
@pytest.mark.parametrize("character", ["x", "\u00e9", "\U0001f600"])
async def test_a_piece_may_be_larger_than_an_item_of_a_stream(quick, mode, character):
    """What was paid for is not thrown away because it came in one piece."""
    text = character * (2 * MEBIBYTE // len(json.dumps(character)))
    quick.scripted(lambda *_: text, mode=mode, model={"piece": MEBIBYTE})
    result = await quick.ask("Hi")
    assert (result["status"], result["response"]) == ("success", text)
    told = [item async for item in quick.client().stream(quick.turn("c1"), "answer")]
    assert "".join(item.data["text"] for item in told[:-1]) == text


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_tool_may_return_more_than_an_item_of_a_stream(quick, mode):
    @tool
    def much() -> str:
        """Return much."""
        return "m" * (2 * MEBIBYTE)

    def script(messages, options):
        return f"{len(results_in(messages)[0])} bytes" if results_in(messages) else calls("much", "c1")

    quick.scripted(script, mode=mode, tools=[much])
    result = await quick.ask("Hi")
    assert (result["status"], result["response"]) == ("success", f"{2 * MEBIBYTE} bytes")
    told = [item async for item in quick.client().stream(quick.turn("c1"), "answer")]
    shown = [item.data if item.event == "tool_result" else item.data["contents"][0] for item in told[1:2]]
    assert (shown[0]["type"], shown[0]["call_id"], "result" in shown[0]) == ("function_result", "c1", False)
    assert shown[0]["omitted_bytes"] > 2 * MEBIBYTE


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_half_a_character_does_not_cost_a_turn(quick, mode):
    quick.scripted(lambda *_: "so \ud800", mode=mode)
    result = await quick.ask("Hi \ud800")
    assert (result["status"], result["response"]) == ("success", "so \ud800")
    assert await quick.texts() == [("user", "Hi \ud800"), ("assistant", "so \ud800")]
