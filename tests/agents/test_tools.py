"""Tools in steps: failures, retries, middleware, orchestrations, tools of the caller's."""

import contextlib
from collections import Counter
from datetime import timedelta

import pytest
from agent_framework import FunctionInvocationContext, FunctionMiddleware, FunctionTool, MiddlewareTermination, tool

from perdure.agents import AgentError, orchestration_tool
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import activity_context
from tests.agents.models import calls

QUICK = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)


def once(*contents):
    """A model that makes tool calls once, then says what came out."""

    def script(messages, options):
        if messages[-1].role != "tool":
            return list(contents)
        return "got: " + "; ".join(str(part.result) for part in messages[-1].contents)

    return script


async def test_a_failing_tool_is_tried_again_with_one_idempotency_key(quick):
    keys = []

    @tool
    def shaky() -> str:
        """Fails twice."""
        keys.append(activity_context().idempotency_key)
        if len(keys) < 3:
            raise ConnectionError("not yet")
        return "there"

    quick.scripted(once(calls("shaky")), mode="steps", tools=[shaky], tool_retry={"shaky": QUICK})
    assert (await quick.ask("Go."))["response"] == "got: there"
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_the_model_is_told_of_a_tool_that_fails(quick):
    @tool
    def bad() -> str:
        """Fail."""
        raise ValueError("secret detail")

    quick.scripted(once(calls("bad")), mode="steps", tools=[bad], tool_retry=None)
    assert (await quick.ask("Go."))["response"] == "got: Error: the tool failed."


async def test_details_of_a_failure_are_told_if_the_agent_says_so(quick):
    @tool
    def bad() -> str:
        """Fail."""
        raise ValueError("a detail")

    settings = {"function_invocation_configuration": {"include_detailed_errors": True}}
    quick.scripted(once(calls("bad")), mode="steps", tools=[bad], model=settings)
    assert "ValueError: a detail" in (await quick.ask("Go."))["response"]


async def test_types_that_are_not_to_be_retried(quick):
    runs = Counter()

    @tool
    def bad() -> str:
        """Fail."""
        runs["bad"] += 1
        raise PermissionError("never")

    policy = RetryPolicy(
        first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=5, non_retryable=[PermissionError]
    )
    quick.scripted(once(calls("bad")), mode="steps", tools=[bad], tool_retry=policy)
    assert "the tool failed" in (await quick.ask("Go."))["response"]
    assert runs["bad"] == 1


async def test_wrong_arguments_and_unknown_tools_go_back_to_the_model_at_once(quick):
    runs = Counter()

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        runs["add"] += 1
        return a + b

    script = once(calls("add", "c1", a="one", b=2), calls("sub", "c2", a=1))
    quick.scripted(script, mode="steps", tools=[add], tool_retry=QUICK)
    answer = (await quick.ask("Go."))["response"]
    assert answer.count("Error") == 2
    assert "sub" in answer
    assert runs == {}


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_loop_of_failing_tools_ends(quick, mode):
    @tool
    def bad() -> str:
        """Fail."""
        raise ValueError("no")

    def script(messages, options):
        return "I give up." if options.get("tool_choice") == "none" else [calls("bad", f"c{len(messages)}")]

    model = quick.scripted(script, mode=mode, tools=[bad])
    assert (await quick.ask("Go."))["response"] == "I give up."
    assert len(model.asked) == 4


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_a_loop_that_never_ends_is_ended(quick, mode):
    @tool
    def more() -> str:
        """Ask for more."""
        return "more"

    def script(messages, options):
        return "Enough." if options.get("tool_choice") == "none" else [calls("more", f"c{len(messages)}")]

    settings = {"function_invocation_configuration": {"max_iterations": 5}}
    model = quick.scripted(script, mode=mode, tools=[more], model=settings)
    assert (await quick.ask("Go."))["response"] == "Enough."
    assert len(model.asked) == 6


async def test_tools_can_be_switched_off(quick):
    @tool
    def bad() -> str:
        """Never called."""
        raise AssertionError

    model = quick.scripted(
        lambda _, options: "No tools." if options.get("tool_choice") == "none" else [calls("bad")],
        mode="steps",
        tools=[bad],
    )
    assert (await quick.ask("Go.", enable_tool_calls=False))["response"] == "No tools."
    assert len(model.asked) == 1


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_function_middleware_sees_each_call_once(quick, mode):
    seen = []

    class Seeing(FunctionMiddleware):
        async def process(self, context: FunctionInvocationContext, call_next):
            seen.append((context.function.name, dict(context.arguments)))
            await call_next()
            context.result = "changed"

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    quick.scripted(once(calls("add", a=1, b=2)), mode=mode, tools=[add], middleware=[Seeing()])
    assert (await quick.ask("Go."))["response"] == "got: changed"
    assert seen == [("add", {"a": 1, "b": 2})]


@pytest.mark.parametrize("mode", ["turn", "steps"])
@pytest.mark.parametrize("ends", [False, True])
async def test_a_middleware_may_make_up_for_a_tool_that_fails(quick, mode, ends):
    class Mending(FunctionMiddleware):
        async def process(self, context: FunctionInvocationContext, call_next):
            with contextlib.suppress(RuntimeError):
                await call_next()
            context.result = "mended"
            if ends:
                raise MiddlewareTermination

    @tool
    def broken() -> str:
        """Fail."""
        raise RuntimeError("broken")

    quick.scripted(once(calls("broken")), mode=mode, tools=[broken], middleware=[Mending()])
    result = await quick.ask("Go.")
    assert (result["status"], result["tool_calls"][0]["result"]) == ("success", "mended")


@pytest.mark.parametrize("mode", ["turn", "steps"])
@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
async def test_a_tool_that_wants_to_end_its_process_has_failed(quick, mode, is_async, error):
    """The framework runs tools in tasks of their own, and an event loop ends with a task that raises such errors."""

    def leave() -> str:
        """Leave."""
        raise error(3)

    async def leave_later() -> str:
        """Leave."""
        raise error(3)

    details = {"function_invocation_configuration": {"include_detailed_errors": True}}
    leaving = tool(leave_later if is_async else leave, name="leave")
    quick.scripted(once(calls("leave", "c1"), calls("leave", "c2")), mode=mode, tools=[leaving], model=details)
    result = await quick.ask("Go.")
    assert result["status"] == "success"
    assert result["response"].count(f"tool 'leave' tried to end its process ({error.__name__}: 3)") == 2


async def test_a_tool_may_be_an_orchestration(quick):
    @quick.hub.activity
    def price(article):
        return {"pen": 2}[article]

    @quick.hub.orchestrator
    def order(context):
        wanted = context.get_input()
        price = yield context.call_activity("price", wanted["article"])
        return {"total": price * wanted["count"]}

    schema = {"type": "object", "properties": {"article": {"type": "string"}, "count": {"type": "integer"}}}
    ordering = orchestration_tool("order", description="Order something.", parameters=schema)
    quick.scripted(once(calls("order", article="pen", count=3)), mode="steps", tools=[ordering])
    assert (await quick.ask("Go."))["response"] == 'got: {"total": 6}'


async def test_a_tool_of_the_callers_ends_the_turn(quick):
    theirs = FunctionTool(name="locate", description="Where am I?", func=None, input_model={"type": "object"})
    quick.scripted(once(calls("locate", "c7")), mode="steps", tools=[theirs])
    result = await quick.ask("Where?")
    assert result["status"] == "success"
    assert result["tool_calls"] == [{"name": "locate", "arguments": {}}]
    here = [{"role": "tool", "contents": [{"type": "function_result", "call_id": "c7", "result": "here"}]}]
    following = await quick.ask("", messages=here)
    assert following["response"] == "got: here"


def test_steps_need_an_agent_that_can_be_taken_apart(quick):
    from perdure.agents import as_agent

    async def answers(messages):
        return "x"

    with pytest.raises(AgentError, match="agent 'plain': mode 'steps' needs an Agent of the Agent Framework"):
        quick.add(as_agent(answers, name="plain"), mode="steps")
    with pytest.raises(AgentError, match="its mode is 'turn' or 'steps'"):
        quick.add(as_agent(answers, name="plain"), mode="step")
    with pytest.raises(AgentError, match="an agent needs a name"):
        quick.add(as_agent(answers, name="@"))
