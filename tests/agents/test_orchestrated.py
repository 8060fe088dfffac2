"""Agents inside orchestrations."""

import pytest
from agent_framework import Agent, AgentResponse, Message, WorkflowBuilder, tool
from pydantic import BaseModel

from perdure.agents import AgentError, AgentSessionId, DurableAIAgent, as_agent
from perdure.core.failure import TaskFailedError
from tests.agents.models import ScriptedModel, calls, says


class City(BaseModel):
    name: str
    people: int


async def test_agents_answer_side_by_side_and_keep_their_sessions(agents):
    agents.scripted(says("one", "two", "three"), "writer")
    agents.scripted(lambda messages, _: f"reviewed: {messages[-1].text}", "critic", mode="steps")

    @agents.hub.orchestrator
    def flow(context):
        writer, critic = DurableAIAgent(context, "writer"), DurableAIAgent(context, "critic")
        session = writer.create_session()
        first = yield writer.run("Write.", session=session)
        second, review = yield context.task_all(
            [writer.run(["Write", "more."], session=session), critic.run(Message(role="user", contents=[first.text]))]
        )
        assert isinstance(second, AgentResponse)
        third = yield writer.run("And more.", session=session.session_id)
        return [first.text, second.text, review.text, third.text, session.session_id]

    await agents.hub.add_worker()
    *answers, session = await agents.hub.output(await agents.hub.start("flow"))
    assert answers == ["one", "two", "reviewed: one", "three"]
    said = [("user", "Write."), ("assistant", "one"), ("user", "Write"), ("user", "more."), ("assistant", "two")]
    assert (await agents.texts(session, agent="writer"))[:5] == said


async def test_an_answer_is_read_as_a_model(quick):
    model = quick.scripted(lambda *_: '{"name": "Ulm", "people": 126000}')

    @quick.hub.orchestrator
    async def flow(context):
        reply = await DurableAIAgent(context, "w").run("A city?", response_format=City)
        other = await DurableAIAgent(context, "w").run("A city?", response_format={"type": "json_object"})
        return [reply.value.name, reply.value.people, other.value]

    await quick.hub.add_worker()
    expected = ["Ulm", 126000, {"name": "Ulm", "people": 126000}]
    assert await quick.hub.output(await quick.hub.start("flow")) == expected
    schema = model.options[0]["response_format"]
    assert schema["json_schema"]["schema"]["properties"]["people"] == {"title": "People", "type": "integer"}
    assert model.options[1]["response_format"] == {"type": "json_object"}


async def test_options_may_say_what_the_arguments_say(quick):
    """The Agent Framework's own host has them there."""
    model = quick.scripted(lambda *_: '{"name": "Ulm", "people": 126000}')

    @quick.hub.orchestrator
    async def flow(context):
        options = {"response_format": City, "enable_tool_calls": False, "wait_for_response": True, "temperature": 0.5}
        reply = await DurableAIAgent(context, "w").run("A city?", options=options)
        assert len(options) == 4
        return reply.value.name

    @quick.hub.orchestrator
    async def impatient(context):
        await DurableAIAgent(context, "w").run("A city?", options={"wait_for_response": False})

    await quick.hub.add_worker()
    assert await quick.hub.output(await quick.hub.start("flow")) == "Ulm"
    asked = model.options[0]
    assert (asked["temperature"], asked["tool_choice"]) == (0.5, "none")
    assert asked["response_format"]["json_schema"]["name"] == "City"
    assert "wait_for_response" not in asked
    failed = await quick.hub.ended(await quick.hub.start("impatient"))
    assert "don't wait for the task" in failed.output


async def test_an_answer_that_is_no_such_model_fails(quick):
    quick.scripted(lambda *_: '{"name": "Ulm"}')

    @quick.hub.orchestrator
    async def flow(context):
        await DurableAIAgent(context, "w").run("A city?", response_format=City)

    await quick.hub.add_worker()
    failed = await quick.hub.ended(await quick.hub.start("flow"))
    assert failed.status == "Failed"
    assert "people" in failed.output


async def test_a_turn_that_fails_is_a_failed_task(quick):
    tries = []

    def script(messages, options):
        tries.append(messages[-1].text)
        return RuntimeError("no model") if len(tries) < 3 else "at last"

    quick.scripted(script)

    @quick.hub.orchestrator
    async def flow(context):
        from datetime import timedelta

        from perdure.core.retry import RetryPolicy

        agent = DurableAIAgent(context, "w")
        try:
            await agent.run("One.")
        except TaskFailedError as error:
            failure = str(error)
        policy = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)
        return [failure, (await agent.run("Two.", session="kept", retry_policy=policy)).text]

    await quick.hub.add_worker()
    failure, answer = await quick.hub.output(await quick.hub.start("flow"))
    assert "no model" in failure
    assert answer == "at last"
    assert tries == ["One.", "Two.", "Two."]
    assert await quick.texts("kept") == [("user", "Two."), ("assistant", "at last")]


async def test_sessions_belong_to_one_agent(quick):
    quick.scripted(says("a"), "a")
    quick.scripted(says("b"), "b")

    @quick.hub.orchestrator
    def flow(context):
        session = DurableAIAgent(context, "a").create_session(session_id="s")
        try:
            yield DurableAIAgent(context, "b").run("Hi", session=session)
        except AgentError as error:
            return str(error)

    await quick.hub.add_worker()
    said = await quick.hub.output(await quick.hub.start("flow"))
    assert said == "session 's' is one of agent 'a', not of 'b': each agent has its own"


def test_session_ids_are_read_and_written():
    assert str(AgentSessionId("w", "k@1")) == "@w@k@1"
    assert AgentSessionId.parse("@w@k@1") == AgentSessionId("w", "k@1")
    assert AgentSessionId.parse("k", "w") == AgentSessionId("w", "k")
    assert AgentSessionId.parse("@other@k", "w") == AgentSessionId("w", "k")
    assert AgentSessionId("w", "k").entity_name == "dafx-w"
    with pytest.raises(ValueError, match="'@agent@key'"):
        AgentSessionId.parse("k")


async def test_other_hosts_clients_may_signal_the_session(quick):
    quick.scripted(says("Signalled."))
    await quick.hub.add_worker()
    request = {"message": "Hi", "correlationId": "c9", "request_response_format": "text", "wait_for_response": True}
    await quick.client().signal_entity("@dafx-w@s", "run", request)
    await quick.hub.output_of(quick.turn("c9"))
    assert await quick.texts() == [("user", "Hi"), ("assistant", "Signalled.")]


async def test_plain_functions_and_runnables_are_agents(quick):
    class Runnable:
        async def ainvoke(self, pairs):
            return type("AIMessage", (), {"content": f"{len(pairs)} messages, last {pairs[-1]}"})()

    async def pieces(messages):
        for piece in ("a", "b", messages[-1].text):
            yield piece

    quick.add(as_agent(Runnable(), name="runnable"))
    quick.add(as_agent(pieces, name="pieces"))
    assert (await quick.ask("Hi", agent="runnable"))["response"] == "1 messages, last ('user', 'Hi')"
    assert (await quick.ask("Ho", agent="runnable"))["response"] == "3 messages, last ('user', 'Ho')"
    assert (await quick.ask("!", agent="pieces"))["response"] == "ab!"
    with pytest.raises(TypeError, match="agent 'x': an async function or an object with `ainvoke`"):
        as_agent(lambda messages: "x", name="x")


async def test_a_workflow_is_an_agent(quick):
    writer = Agent(ScriptedModel(says("one", "two")), name="writer")
    critic = Agent(ScriptedModel(lambda messages, _: f"well said: {messages[-1].text}"), name="critic")
    workflow = WorkflowBuilder(name="team", start_executor=writer).add_edge(writer, critic).build()
    quick.add(workflow.as_agent(name="team"))
    assert (await quick.ask("Hi", agent="team"))["response"].endswith("well said: one")


async def test_an_agent_of_one_iteration_uses_its_tools(quick):
    """In a whole turn the framework counts, and calls the model once more at the end."""

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    def script(messages, options):
        if options.get("tool_choice") == "none" or messages[-1].role == "tool":
            return f"got {messages[-1].contents[0].result}"
        return calls("add", a=1, b=2)

    quick.scripted(script, tools=[add], model={"function_invocation_configuration": {"max_iterations": 1}})
    assert (await quick.ask("Add."))["response"] == "got 3"
