"""What is kept of a session, and how long."""

import asyncio
import json
from datetime import timedelta

import pytest
from agent_framework import ContextProvider, HistoryProvider, Message

from perdure.agents import AgentError
from perdure.agents.session_state import RESULTS_KEPT, SessionState
from perdure.core.entity_id import EntityId
from perdure.storage.rows import InstanceQuery
from tests.agents.models import says

LONG_ENOUGH = timedelta(seconds=3)
"""To take a few turns, one after the other."""

FOREIGN = {
    "schemaVersion": "1.1.0",
    "data": {
        "conversationHistory": [
            {
                "$type": "request",
                "correlationId": "a",
                "createdAt": "2026-01-01T00:00:00+00:00",
                "messages": [{"role": "user", "contents": [{"$type": "text", "text": "Hi"}]}],
            },
            {
                "$type": "response",
                "correlationId": "a",
                "createdAt": "2026-01-01T00:00:01+00:00",
                "messages": [
                    {
                        "role": "assistant",
                        "authorName": "w",
                        "contents": [
                            {"$type": "reasoning", "text": "hm"},
                            {"$type": "functionCall", "callId": "c", "name": "f", "arguments": {"x": 1}},
                        ],
                    },
                    {"role": "tool", "contents": [{"$type": "functionResult", "callId": "c", "result": "2"}]},
                    {"role": "assistant", "contents": [{"$type": "text", "text": "It is 2."}]},
                ],
                "usage": {"inputTokenCount": 3},
            },
            {
                "$type": "request",
                "correlationId": "b",
                "createdAt": "2026-01-01T00:00:02+00:00",
                "messages": [{"role": "user", "contents": [{"$type": "text", "text": "And?"}]}],
            },
            {
                "$type": "response",
                "correlationId": "b",
                "createdAt": "2026-01-01T00:00:03+00:00",
                "messages": [{"role": "assistant", "contents": [{"$type": "error", "message": "boom"}]}],
            },
        ]
    },
}


async def gone(agents):
    """Wait until the session is gone."""
    async with asyncio.timeout(30):
        while await agents.client().read_entity_state("@dafx-w@s"):
            await asyncio.sleep(0.01)


def test_the_frameworks_own_sessions_are_read():
    state = SessionState.read(FOREIGN)
    assert state.turns == 1
    assert [(each["role"], each["contents"]) for each in state.messages] == [
        ("user", [{"type": "text", "text": "Hi"}]),
        ("assistant", [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {"x": 1}}]),
        ("tool", [{"type": "function_result", "call_id": "c", "result": "2"}]),
        ("assistant", [{"type": "text", "text": "It is 2."}]),
        ("user", [{"type": "text", "text": "And?"}]),
    ]
    assert SessionState.read(json.loads(json.dumps(state.to_json()))) == state


@pytest.mark.parametrize("stored", [{}, [], "x", {"schema": "other"}, {"schemaVersion": "2.0.0", "data": {}}])
def test_what_is_no_session_is_not_read(stored):
    with pytest.raises(AgentError, match="reset the session"):
        SessionState.read(stored)


def test_a_newer_version_is_not_read():
    with pytest.raises(AgentError, match="has version 2, but this app reads 1 at most"):
        SessionState.read(SessionState().to_json() | {"version": 2})


def test_results_are_forgotten():
    state = SessionState()
    for number in range(RESULTS_KEPT + 5):
        state.remember(f"c{number}", {"status": "success"}, 10_000)
    assert list(state.results) == [f"c{number}" for number in range(5, RESULTS_KEPT + 5)]
    state.remember("large", {"response": "x" * 9_900}, 10_000)
    assert list(state.results) == [*(f"c{number}" for number in range(RESULTS_KEPT + 1, RESULTS_KEPT + 5)), "large"]
    state.remember("larger", {"response": "x" * 20_000}, 10_000)
    assert list(state.results) == ["larger"]


async def test_a_transcript_stays_below_its_limit(quick):
    model = quick.scripted(lambda messages, _: "y" * 200, max_transcript_bytes=1500)
    for number in range(12):
        await quick.ask(f"{number}")
    state = await quick.sessions().transcript("s")
    assert len(json.dumps(state.messages)) <= 1500
    assert state.messages[0]["role"] == "user"
    assert state.turns == 12
    assert state.dropped + len(state.messages) == 24
    assert len(model.asked[-1]) < 10


@pytest.mark.parametrize("is_async", [True, False])
async def test_compaction(quick, is_async):
    def shorter(messages):
        return [Message(role="system", contents=[f"{len(messages)} messages"]), *messages[-2:]]

    async def shorter_later(messages):
        return shorter(messages)

    quick.scripted(says("a", "b"), compaction=shorter_later if is_async else shorter)
    for number in range(3):
        await quick.ask(f"m{number}")
    texts = await quick.texts()
    assert texts == [("system", "5 messages"), ("user", "m2"), ("assistant", "b")]
    state = await quick.sessions().transcript("s")
    assert state.messages[1]["correlationId"] == "c3"


async def test_a_compaction_that_fails_loses_no_turn(quick, caplog):
    quick.scripted(says("a"), compaction=lambda messages: messages[99])
    assert (await quick.ask("Hi"))["message_count"] == 2
    assert "its compaction failed" in caplog.text


async def test_what_context_providers_remember_is_kept(quick):
    class Counting(ContextProvider):
        async def before_run(self, *, agent, session, context, state):
            state["runs"] = state.get("runs", 0) + 1
            context.extend_instructions("counting", f"Run {state['runs']}.")

    model = quick.scripted(says("a"), context_providers=[Counting("counting")])
    for _ in range(3):
        await quick.ask("Hi")
    assert "Run 3." in model.options[2]["instructions"]
    state = await quick.sessions().transcript("s")
    assert state.session["state"]["counting"] == {"runs": 3}


async def test_a_history_provider_of_the_agents_own_is_left_in_charge(quick):
    kept = []

    class Own(HistoryProvider):
        async def get_messages(self, session_id, *, state=None, **_):
            return list(kept)

        async def save_messages(self, session_id, messages, *, state=None, **_):
            kept.extend(messages)

    model = quick.scripted(says("a", "b"), context_providers=[Own("own")])
    await quick.ask("Hi")
    await quick.ask("Ho")
    assert model.asked[1] == [("user", "Hi"), ("assistant", "a"), ("user", "Ho")]
    with pytest.raises(AgentError, match="remove the agent's history provider"):
        quick.scripted(says("a"), "other", mode="steps", context_providers=[Own("own")])


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_session_is_reset(quick, mode):
    model = quick.scripted(says("a", "b"), mode=mode)
    await quick.ask("Hi")
    await quick.client().signal_entity("@dafx-w@s", "reset")
    await gone(quick)
    await quick.ask("Ho")
    assert model.asked[1] == [("user", "Ho")]


async def test_a_session_expires(quick):
    quick.scripted(says("a"), expires_after=timedelta(seconds=1))
    await quick.ask("Hi")
    assert (await quick.sessions().transcript("s")).turns == 1
    await gone(quick)


async def turns(agents, agent="w"):
    """Instance ids of the agent's turns that there are."""
    page = await agents.client().query(InstanceQuery(id_prefix=f"dafx-{agent}:"))
    return {each.instance_id for each in page.instances}


async def test_what_was_said_goes_with_a_session_that_expires(agents, monkeypatch):
    monkeypatch.setattr("perdure.agents.sessions.PURGED_AT_ONCE", 2)
    agents.scripted(lambda messages, _: RuntimeError("no") if len(messages) > 3 else "a", expires_after=LONG_ENOUGH)
    agents.scripted(says("a"), "other")
    await agents.ask("Hi", agent="other")
    assert [(await agents.ask("Hi"))["status"] for _ in range(4)] == ["success", "success", "failed", "failed"]
    assert len(await turns(agents)) == 4
    await gone(agents)
    assert await turns(agents) == set()
    assert await turns(agents, "other") == {"dafx-other:s:c1"}
    assert (await agents.ask("Hi"))["message_count"] == 2


async def test_turns_that_run_and_those_of_other_sessions_stay(agents):
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def script(messages, _):
        if messages[-1].text == "wait":
            waiting.set()
            await go_on.wait()
        return "a"

    agents.scripted(script)
    await agents.ask("Hi")
    await agents.ask("Hi", "s:t")
    await agents.start("wait")
    await waiting.wait()
    assert await agents.definitions["w"].before_expiry(EntityId("dafx-w", "s"))
    assert await turns(agents) == {"dafx-w:s:t:c2", "dafx-w:s:c3"}
    go_on.set()
    assert (await agents.result("c3"))["message_count"] == 4


async def test_large_sessions_are_stored(agents):
    agents.scripted(lambda messages, _: "z" * 100_000).piece = 20_000
    for _ in range(3):
        await agents.ask("x" * 50_000)
    state = await agents.sessions().transcript("s")
    assert len(json.dumps(state.messages)) > 450_000
