"""An answer that can't be kept is not asked for again: it is paid for, and the next one would be no better."""

from datetime import timedelta

import pytest
from agent_framework import AgentResponse, Content, Message, tool

from perdure.agents import as_agent
from perdure.core.retry import RetryPolicy
from tests.agents.models import calls

THRICE = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)
MEBIBYTE = 1024 * 1024
TOO_MUCH = 17 * MEBIBYTE
TOO_LARGE = "bytes of JSON, but 16777216 are allowed"


async def why_it_failed(agents, agent="w"):
    """Run a turn that fails."""
    result = await agents.ask("Hi", agent=agent)
    assert result["status"] == "failed"
    return result["error"]["message"]


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_an_answer_that_is_too_large(agents, mode):
    model = agents.scripted(lambda *_: "x" * TOO_MUCH, mode=mode, model={"piece": MEBIBYTE}, model_retry=THRICE)
    why = await why_it_failed(agents)
    assert "agent 'w' answered what can't be kept" in why
    assert TOO_LARGE in why
    assert len(model.asked) == 1


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_an_answer_without_a_json_form(quick, mode):
    def script(messages, options):
        return Content.from_function_call(call_id="c", name="nothing", arguments={"when": object()})

    model = quick.scripted(script, mode=mode, model_retry=THRICE)
    assert "agent 'w' answered what can't be kept: " in await why_it_failed(quick)
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "answer", [None, b"bytes", 5, AgentResponse(messages=[Message(role="assistant", contents=["x" * TOO_MUCH])])]
)
async def test_a_function_that_answers_what_it_may_not(quick, answer):
    asked = []

    async def odd(messages):
        asked.append(messages)
        return answer

    quick.add(as_agent(odd, name="odd"), model_retry=THRICE)
    assert "agent 'odd' answered" in await why_it_failed(quick, "odd")
    assert len(asked) == 1


async def test_a_function_whose_pieces_are_no_texts(quick):
    asked = []

    async def odd(messages):
        asked.append(messages)
        yield "one "
        yield 2

    quick.add(as_agent(odd, name="odd"), model_retry=THRICE)
    why = await why_it_failed(quick, "odd")
    assert "agent 'odd' answered int: its pieces are texts" in why
    assert len(asked) == 1


async def test_an_agent_whose_answer_is_none(quick):
    class Odd:
        name, id, description = "odd", "odd", None
        asked = 0

        async def run(self, messages, **_):
            self.asked += 1
            return "just a text"

        def create_session(self, **_): ...

        def get_session(self, *_, **__): ...

    agent = Odd()
    quick.add(agent, model_retry=THRICE)
    assert "agent 'odd' answered str, and no AgentResponse" in await why_it_failed(quick, "odd")
    assert agent.asked == 1


async def test_a_tool_that_returns_too_much_is_not_run_again(agents):
    ran = []

    @tool
    def much() -> str:
        """Return much."""
        ran.append("much")
        return "m" * TOO_MUCH

    def script(messages, options):
        return calls("much", "c") if messages[-1].role != "tool" else str(messages[-1].contents[0].result)

    details = {"function_invocation_configuration": {"include_detailed_errors": True}}
    agents.scripted(script, mode="steps", tools=[much], tool_retry=THRICE, model=details)
    result = await agents.ask("Hi")
    assert result["status"] == "success"
    assert "tool 'much' returned what can't be kept" in result["response"]
    assert TOO_LARGE in result["response"]
    assert ran == ["much"]


async def test_what_a_model_raises_is_tried_again(quick):
    def script(messages, options):
        return ValueError("overloaded") if len(model.asked) < 3 else "done"

    model = quick.scripted(script, model_retry=THRICE)
    assert (await quick.ask("Hi"))["response"] == "done"
