"""An answer that is accepted is the one that counts; all others are told so."""

import asyncio
from datetime import timedelta

import pytest
from agent_framework import tool

from perdure.agents import HumanPolicy, ask_human_tool
from perdure.agents.sessions import AgentSessions, AlreadyAnswered
from perdure.client import Client
from perdure.storage.protocol import StorageUnavailable
from tests.agents.models import calls
from tests.agents.test_people import asking, pending, wipe, wiped, wiping

__all__ = ["wipe", "wiped"]


async def asked(agents, script, **options):
    """Have an agent ask something; return the turn's correlation id and the request."""
    agents.scripted(script, mode="steps", **options)
    worker = await agents.hub.add_worker()
    correlation = await agents.start("Go on.")
    [request] = await pending(agents)
    return worker, correlation, request["requestId"]


async def answered(agents, correlation, request, body):
    """Answer as a process of its own; return whether that was accepted."""
    try:
        await AgentSessions("w", Client(agents.hub.storage)).answer("s", correlation, request, body)
    except AlreadyAnswered:
        return False
    return True


async def test_of_answers_sent_at_once_the_one_accepted_counts(agents):
    _, correlation, request = await asked(agents, asking, tools=[ask_human_tool()])
    bodies = [{"answer": colour} for colour in ("red", "blue", "green", "black")]
    accepted = await asyncio.gather(*(answered(agents, correlation, request, body) for body in bodies))
    assert sum(accepted) == 1
    said = bodies[accepted.index(True)]["answer"]
    assert (await agents.result(correlation))["response"] in (None, f"it is {said}")
    await agents.hub.ended(agents.turn(correlation))
    assert (await agents.result(correlation))["response"] == f"it is {said}"


async def test_a_second_answer_is_refused_before_the_first_is_taken_in(agents, wipe, wiped):
    worker, correlation, request = await asked(agents, wiping, tools=[wipe])
    await worker.stop()
    agents.hub.workers.clear()
    sessions = agents.sessions()
    await sessions.answer("s", correlation, request, {"approved": False, "by": "Ann"})
    for _ in range(2):
        with pytest.raises(AlreadyAnswered, match="request '0-0' of turn 'c1' in session 's' was answered by 'Ann'"):
            await sessions.answer("s", correlation, request, {"approved": True})
    await agents.hub.add_worker()
    await agents.hub.ended(agents.turn(correlation))
    assert wiped == []


async def test_who_answers_after_the_turn_has_gone_on_is_told_who_was_first(agents, wipe, wiped):
    _, correlation, request = await asked(agents, wiping, tools=[wipe])
    sessions = agents.sessions()
    await sessions.answer("s", correlation, request, {"approved": True, "by": "Ann"})
    await agents.hub.ended(agents.turn(correlation))
    with pytest.raises(AlreadyAnswered, match="request '0-0' of turn 'c1' in session 's' was answered by 'Ann'"):
        await sessions.answer("s", correlation, request, {"approved": False})
    assert wiped == ["disk"]


async def test_who_answers_after_the_turn_has_gone_on_without_an_answer_is_told_so(quick):
    policy = HumanPolicy(timeout=timedelta(seconds=0.3))
    _, correlation, request = await asked(quick, asking, tools=[ask_human_tool()], human=policy)
    await quick.hub.ended(quick.turn(correlation))
    with pytest.raises(AlreadyAnswered, match="'0-0' of turn 'c1' in session 's' has run out of time"):
        await quick.sessions().answer("s", correlation, request, {"answer": "red"})


@pytest.mark.parametrize("never", ["9-9", "9", "-", "é", "a/b", "x" * 300])
async def test_what_was_never_asked_has_no_answer(agents, never, wipe, wiped):
    _, correlation, request = await asked(agents, wiping, tools=[wipe])
    sessions = agents.sessions()
    with pytest.raises(AlreadyAnswered, match="does not wait for"):
        await sessions.answer("s", correlation, never, {"approved": True})
    await sessions.answer("s", correlation, request, {"approved": False})
    await agents.hub.ended(agents.turn(correlation))
    with pytest.raises(AlreadyAnswered, match="does not wait for"):
        await sessions.answer("s", correlation, never, {"approved": True})
    assert wiped == []


async def test_an_answer_whose_sender_died_counts_once_somebody_answers_again(agents, wipe, wiped, monkeypatch):
    _, correlation, request = await asked(agents, wiping, tools=[wipe])
    sessions = agents.sessions()

    async def dies(*_):
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Client, "raise_event", dies)
        with pytest.raises(StorageUnavailable):
            await sessions.answer("s", correlation, request, {"approved": True})
    with pytest.raises(AlreadyAnswered, match="was answered before"):
        await sessions.answer("s", correlation, request, {"approved": False})
    await agents.hub.ended(agents.turn(correlation))
    assert wiped == ["disk"]


@pytest.mark.parametrize("on_timeout", ["reject", "fail"])
async def test_an_answer_that_was_accepted_counts_when_time_runs_out(agents, on_timeout, monkeypatch):
    policy = HumanPolicy(timeout=timedelta(seconds=1.5), on_timeout=on_timeout)
    _, correlation, request = await asked(agents, asking, tools=[ask_human_tool()], human=policy)

    async def is_late(*_):
        return None

    monkeypatch.setattr(Client, "raise_event", is_late)
    await agents.sessions().answer("s", correlation, request, {"answer": "red"})
    await agents.hub.ended(agents.turn(correlation))
    assert (await agents.result(correlation))["response"] == "it is red"


async def test_an_answer_after_the_time_is_refused(quick, wipe):
    """The request still shows, since another call of the same reply runs on."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    @tool
    async def slow() -> str:
        """Take long."""
        begun.set()
        await go_on.wait()
        return "slow"

    def script(messages, options):
        if messages[-1].role != "tool":
            return [calls("wipe", "c1", what="disk"), calls("slow", "c2")]
        return " ".join(part.result for part in messages[-1].contents)

    policy = HumanPolicy(timeout=timedelta(seconds=0.3))
    _, correlation, request = await asked(quick, script, tools=[wipe, slow], human=policy)
    async with asyncio.timeout(20):
        while [each async for each in quick.sessions().pending()]:
            await asyncio.sleep(0.01)
    with pytest.raises(AlreadyAnswered):
        await quick.sessions().answer("s", correlation, request, {"approved": True})
    go_on.set()
    await quick.hub.ended(quick.turn(correlation))
    assert "consider it refused" in (await quick.result(correlation))["response"]
