"""People in an agent's loop: approvals and questions, time-outs and escalation."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from agent_framework import tool

from perdure.agents import AgentError, HumanPolicy, ask_human_tool, orchestration_tool
from perdure.agents.sessions import AlreadyAnswered, UnknownTurn
from tests.agents.models import calls

SOON = timedelta(seconds=0.2)
LATE = timedelta(minutes=5)


@pytest.fixture
def wiped():
    return []


@pytest.fixture
def wipe(wiped):
    @tool(approval_mode="always_require")
    def wipe(what: str) -> str:
        """Wipe something."""
        wiped.append(what)
        return f"{what} wiped"

    return wipe


def wiping(messages, options):
    if messages[-1].role != "tool":
        return [calls("wipe", "c1", what="disk")]
    return " ".join(part.result for part in messages[-1].contents)


def asking(messages, options):
    if messages[-1].role != "tool":
        return [calls("ask_human", "c1", question="Red or blue?")]
    return f"it is {messages[-1].contents[0].result}"


async def pending(agents, number=1):
    """Wait until so many requests wait for somebody."""
    async with asyncio.timeout(30):
        while len(found := [each async for each in agents.sessions().pending()]) < number:
            await asyncio.sleep(0.01)
    return found


async def test_a_call_waits_for_approval(agents, wipe, wiped):
    agents.scripted(wiping, mode="steps", tools=[wipe])
    await agents.hub.add_worker()
    correlation = await agents.start("Wipe it.")
    result = await agents.result(correlation)
    [request] = await pending(agents)
    assert result["status"] == "waiting"
    assert result["pending"][0]["requestId"] == request["requestId"]
    asked = {key: request[key] for key in ("agent", "session_id", "correlation_id", "kind", "tool", "arguments")}
    assert asked == {
        "agent": "w",
        "session_id": "s",
        "correlation_id": correlation,
        "kind": "approval",
        "tool": "wipe",
        "arguments": {"what": "disk"},
    }
    assert wiped == []
    await agents.sessions().answer("s", correlation, request["requestId"], {"approved": True, "by": "Ann"})
    assert (await agents.hub.ended(agents.turn(correlation))).status == "Completed"
    assert (await agents.result(correlation))["response"] == "disk wiped"
    assert wiped == ["disk"]


async def test_a_wait_outlives_its_worker(agents, wipe, wiped):
    agents.scripted(wiping, mode="steps", tools=[wipe])
    first = await agents.hub.add_worker()
    correlation = await agents.start("Wipe it.")
    [request] = await pending(agents)
    await first.stop()
    agents.hub.workers.clear()
    await agents.hub.add_worker()
    await agents.sessions().answer("s", correlation, request["requestId"], {"approved": True})
    await agents.hub.ended(agents.turn(correlation))
    assert wiped == ["disk"]


async def test_a_refusal_is_told_to_the_model(quick, wipe, wiped):
    quick.scripted(wiping, mode="steps", tools=[wipe])
    await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    [request] = await pending(quick)
    await quick.sessions().answer("s", correlation, request["requestId"], {"approved": False, "reason": "Not today."})
    await quick.hub.ended(quick.turn(correlation))
    assert (await quick.result(correlation))["response"] == "The call was refused by a person. Reason: Not today."
    assert wiped == []


async def test_a_question_is_answered(quick):
    quick.scripted(asking, mode="steps", tools=[ask_human_tool()])
    await quick.hub.add_worker()
    correlation = await quick.start("Paint.")
    [request] = await pending(quick)
    assert (request["kind"], request["arguments"]) == ("question", {"question": "Red or blue?"})
    await quick.sessions().answer("s", correlation, request["requestId"], {"answer": "red"})
    await quick.hub.ended(quick.turn(correlation))
    assert (await quick.result(correlation))["response"] == "it is red"
    await quick.hub.quiet()


async def test_calls_that_need_nobody_do_not_wait_for_those_that_do(quick, wipe):
    ran = asyncio.Event()

    @tool
    def quickly() -> str:
        """Needs nobody."""
        ran.set()
        return "quick"

    def script(messages, options):
        if messages[-1].role != "tool":
            return [calls("wipe", "c1", what="disk"), calls("quickly", "c2"), calls("wipe", "c3", what="tape")]
        return " ".join(part.result for part in messages[-1].contents)

    quick.scripted(script, mode="steps", tools=[wipe, quickly])
    await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    await asyncio.wait_for(ran.wait(), 20)
    requests = await pending(quick, 2)
    for request in reversed(requests):
        await quick.sessions().answer("s", correlation, request["requestId"], {"approved": True})
    await quick.hub.ended(quick.turn(correlation))
    assert (await quick.result(correlation))["response"] == "disk wiped quick tape wiped"


async def test_who_does_not_answer_in_time_refuses(quick, wipe, wiped):
    quick.scripted(wiping, mode="steps", tools=[wipe], human=HumanPolicy(timeout=SOON))
    await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    await quick.hub.ended(quick.turn(correlation))
    answer = (await quick.result(correlation))["response"]
    assert answer == "Nobody answered the call of tool 'wipe' in time: consider it refused."
    assert wiped == []


async def test_a_turn_may_fail_when_nobody_answers(quick):
    quick.scripted(asking, mode="steps", tools=[ask_human_tool()], human=HumanPolicy(timeout=SOON, on_timeout="fail"))
    result = await quick.ask("Paint.")
    await quick.hub.ended(quick.turn("c1"))
    result = await quick.result("c1")
    assert result["status"] == "failed"
    assert "nobody answered the question in time" in result["error"]["message"]
    assert (await quick.sessions().transcript("s")).messages == []


async def test_a_request_is_escalated(quick, wipe, wiped):
    policy = HumanPolicy(timeout=timedelta(seconds=0.5), ask=["clerk", "boss"])
    quick.scripted(wiping, mode="steps", tools=[wipe], human=policy)
    await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    [request] = await pending(quick)
    assert (request["asks"], request["escalated"]) == ("clerk", 0)
    async with asyncio.timeout(20):
        while request["asks"] != "boss":
            [request] = await pending(quick)
    assert request["escalated"] == 1
    await quick.sessions().answer("s", correlation, request["requestId"], {"approved": True})
    await quick.hub.ended(quick.turn(correlation))
    assert wiped == ["disk"]


@pytest.mark.parametrize(
    "changed", [HumanPolicy(), HumanPolicy(timeout=LATE), HumanPolicy(timeout=LATE, ask=["deputy", "boss", "owner"])]
)
async def test_what_is_asked_keeps_its_policy_when_another_is_deployed(quick, wipe, wiped, changed):
    policy = HumanPolicy(timeout=timedelta(seconds=1), ask=["clerk", "boss"])
    quick.scripted(wiping, mode="steps", tools=[wipe], human=policy)
    first = await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    async with asyncio.timeout(20):
        while (request := (await pending(quick))[0])["asks"] != "boss":
            await asyncio.sleep(0.01)
    await first.stop()
    quick.hub.workers.clear()
    quick.definitions["w"].human = changed
    await quick.hub.add_worker()
    answer = {"approved": True}
    with contextlib.suppress(AlreadyAnswered):
        await quick.sessions().answer("s", correlation, request["requestId"], answer)
    async with asyncio.timeout(20):
        await quick.hub.ended(quick.turn(correlation))
    assert (await quick.result(correlation))["status"] == "success"


async def test_answers_that_are_none(quick, wipe):
    quick.scripted(wiping, mode="steps", tools=[wipe], human=HumanPolicy(timeout=LATE))
    await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    [request] = await pending(quick)
    sessions, asked = quick.sessions(), request["requestId"]
    for body in ({}, {"approved": "yes"}, {"answer": "yes"}, [], None, {"approved": True, "reason": 7}):
        with pytest.raises(AgentError):
            await sessions.answer("s", correlation, asked, body)
    with pytest.raises(UnknownTurn, match="no turn 'nobody' in session 's'"):
        await sessions.answer("s", "nobody", asked, {"approved": True})
    with pytest.raises(AlreadyAnswered, match="does not wait for '9-9'"):
        await sessions.answer("s", correlation, "9-9", {"approved": True})
    await sessions.answer("s", correlation, asked, {"approved": True})
    await quick.hub.ended(quick.turn(correlation))
    with pytest.raises(AlreadyAnswered):
        await sessions.answer("s", correlation, asked, {"approved": True})


@pytest.mark.parametrize("special", [ask_human_tool(), orchestration_tool("order", description="", parameters={})])
def test_what_only_steps_can_do_is_refused_elsewhere(quick, special):
    with pytest.raises(AgentError, match=f"tool '{special.name}' works in mode 'steps' only"):
        quick.scripted(asking, mode="turn", tools=[special])


@pytest.mark.parametrize(
    "options",
    [{"timeout": timedelta(0)}, {"ask": "boss"}, {"ask": ["a", "b"]}, {"on_timeout": "approve"}],
)
def test_policies_that_make_no_sense(options):
    with pytest.raises(AgentError):
        HumanPolicy(**options)


@pytest.mark.parametrize("event", [None, "yes", {}, {"approved": "yes"}, [1]])
async def test_an_event_that_is_no_answer_approves_nothing(quick, wipe, wiped, event):
    quick.scripted(wiping, mode="steps", tools=[wipe])
    await quick.hub.add_worker()
    correlation = await quick.start("Wipe it.")
    [request] = await pending(quick)
    await quick.hub.raise_event(quick.turn(correlation), f"answer-{request['requestId']}", event)
    await quick.hub.ended(quick.turn(correlation))
    assert (await quick.result(correlation))["response"] == "The call was refused by a person."
    assert wiped == []


async def test_a_whole_turn_ends_with_what_it_asks_for_and_the_next_one_answers(quick, wipe, wiped):
    quick.scripted(wiping, tools=[wipe])
    result = await quick.ask("Wipe it.")
    [request] = result["user_input_requests"]
    assert request["function_call"]["arguments"] == {"what": "disk"}
    assert wiped == []
    approval = {"type": "function_approval_response", "approved": True}
    approval |= {"id": request["id"], "function_call": request["function_call"]}
    following = await quick.ask("", messages=[{"role": "user", "contents": [approval]}])
    assert following["response"] == "disk wiped"
    assert "user_input_requests" not in following
    assert wiped == ["disk"]
