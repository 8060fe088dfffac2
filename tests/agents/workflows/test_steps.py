"""Agents in workflows, in mode `steps`: each call of a model or tool is an activity of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Never

import pytest
from agent_framework import Agent, AgentResponse, Content, Executor, Message, WorkflowBuilder, WorkflowContext, handler
from agent_framework import tool as as_tool

from perdure.agents import HumanPolicy, ask_human_tool, orchestration_tool
from perdure.agents.workflows import WorkflowRegistrationError, WorkflowResponseError, WorkflowRuns, register_workflow
from perdure.client import Client
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import Registry, activity_context
from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.agents.workflows import functions
from tests.agents.workflows.scripted import agent
from tests.agents.workflows.teams import TEAMS
from tests.scenarios.hub import Hub

QUICK = RetryPolicy(timedelta(milliseconds=1), max_number_of_attempts=3)
Messages = Sequence[Message]


@pytest.fixture
async def quick():
    """A hub in memory."""
    store = MemoryStore()
    hub = Hub(lambda: MemoryStorage("hub", store=store))
    yield hub
    await hub.close()


def call(name: str, call_id: str = "c", **arguments: Any) -> Content:
    return Content.from_function_call(call_id, name, arguments=arguments)


def results(messages: Messages) -> list[Any]:
    return [each.result for message in messages for each in message.contents if each.type == "function_result"]


def once(*contents: Content) -> Any:
    """A model that makes tool calls once, then says what came out."""

    def script(messages: Messages, _: Mapping[str, Any]) -> Any:
        found = results(messages)
        return f"got: {'; '.join(found)}" if found else list(contents)

    return script


def alone(script: Any, *tools: Any, name: str = "alone", **options: Any) -> Any:
    return WorkflowBuilder(name=name, start_executor=agent("w", script, tools=list(tools), **options)).build()


def text_of(output: Any) -> str:
    return str(output[-1]["messages"][-1]["contents"][0]["text"])


async def started(hub: Hub, workflow: Any, **options: Any) -> tuple[WorkflowRuns, str]:
    definition = register_workflow(hub.registry, workflow, agent_mode="steps", **options)
    if not hub.workers:
        await hub.add_worker()
    return WorkflowRuns(definition, Client(hub.storage)), await hub.start(definition.orchestration, "go")


async def run(hub: Hub, workflow: Any, **options: Any) -> Any:
    _, instance_id = await started(hub, workflow, **options)
    return await hub.output(instance_id)


async def asked(runs: WorkflowRuns, instance_id: str, count: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while len(found := await runs.pending(instance_id)) < count:
            await asyncio.sleep(0.01)
    return found


async def activities(hub: Hub, instance_id: str) -> list[str]:
    status = await Client(hub.storage).get_status(instance_id, show_history=True)
    return [
        str(event["FunctionName"]).removeprefix("dafx-alone-w-")
        for event in status.history
        if event["EventType"] == "TaskCompleted"
    ]


async def test_each_call_is_an_activity_and_those_of_one_reply_run_side_by_side(quick):
    met = asyncio.Barrier(2)
    keys = []

    @as_tool
    async def meet(who: str) -> str:
        """Wait for the other one."""
        keys.append(activity_context().idempotency_key)
        await asyncio.wait_for(met.wait(), 20)
        return who

    script = once(call("meet", "c1", who="Ann"), call("meet", "c2", who="Bob"))
    _, instance_id = await started(quick, alone(script, meet))
    assert text_of(await quick.output(instance_id)) == "got: Ann; Bob"
    assert await activities(quick, instance_id) == ["model", "tool", "tool", "model"]
    assert len(set(keys)) == 2


async def test_an_agent_without_tools_is_one_activity(quick):
    _, instance_id = await started(quick, alone(None))
    await quick.output(instance_id)
    assert await activities(quick, instance_id) == ["model"]


async def test_a_tool_that_fails_is_tried_again_by_its_own_policy_and_nothing_else_is(quick):
    ran: Counter[str] = Counter()

    @as_tool
    def shaky() -> str:
        """Fail twice."""
        ran["shaky"] += 1
        if ran["shaky"] < 3:
            raise ConnectionError("not yet")
        return "there"

    @as_tool
    def steady() -> str:
        """Work."""
        ran["steady"] += 1
        return "here"

    def script(messages: Messages, options: Any) -> Any:
        ran["model"] += 1
        return once(call("shaky", "c1"), call("steady", "c2"))(messages, options)

    output = await run(quick, alone(script, shaky, steady), tool_retry={"shaky": QUICK})
    assert text_of(output) == "got: there; here"
    assert ran == {"shaky": 3, "steady": 1, "model": 2}


async def test_a_model_is_told_of_a_tool_that_fails_and_of_arguments_that_do_not_fit(quick):
    ran: Counter[str] = Counter()

    @as_tool
    def bad(number: int) -> str:
        """Fail."""
        ran["bad"] += 1
        raise ValueError("secret")

    script = once(call("bad", "c1", number=1), call("bad", "c2", number="one"), call("nobody", "c3"))
    said = text_of(await run(quick, alone(script, bad), tool_retry=QUICK))
    assert said.count("Error: ") == 3
    assert "secret" not in said
    assert ran == {"bad": 3}


async def test_a_model_that_fails_is_tried_again_then_its_executor_fails(quick):
    tries: Counter[str] = Counter()

    def script(messages: Messages, _: Any) -> Any:
        tries["model"] += 1
        if tries["model"] < 3 or tries["fails"]:
            raise ConnectionError(f"try {tries['model']}")
        return "there"

    assert text_of(await run(quick, alone(script), model_retry=QUICK)) == "there"
    tries["fails"] = 1
    instance_id = await quick.start("dafx-alone", "again")
    failed = await quick.ended(instance_id)
    assert failed.status == "Failed"
    assert tries["model"] == 6
    details = (await Client(quick.storage).get_status(instance_id)).failure_details
    assert (details.properties["error_type"], details.properties["executor_id"]) == ("ConnectionError", "w")
    assert "try 6" in details.message


ENTERED: list[str] = []
"""Inputs that the handler of `Tries` was given, each time it ran."""


class Tries(Executor):
    """Calls agents of its own: one that fails, one that streams, two side by side."""

    def __init__(self) -> None:
        super().__init__("tries")
        self.breaks = agent("breaks", self._break)
        self.works = agent("works", once(call("look")), tools=[as_tool(self._look, name="look", description="Look.")])
        self.other = agent("other")

    @staticmethod
    def _break(*_: Any) -> Any:
        raise PermissionError("no key")

    @staticmethod
    def _look() -> str:
        return "seen"

    @handler
    async def take(self, text: str, ctx: WorkflowContext[Never, Any]) -> None:
        ENTERED.append(text)
        try:
            await self.breaks.run(text)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            await ctx.yield_output(f"broke: {error}")
        one, other = await asyncio.gather(self.works.run(text), self.other.run(text))
        await ctx.yield_output([one.text, other.text])
        streamed = self.other.run("stream", stream=True)
        pieces = [update.text async for update in streamed]
        whole: AgentResponse[Any] = await streamed.get_final_response()
        await ctx.yield_output(["".join(pieces), whole.text])


async def test_handlers_of_ones_own_may_catch_gather_and_stream(quick):
    ENTERED.clear()
    workflow = WorkflowBuilder(name="own", start_executor=Tries()).build()
    runs, instance_id = await started(quick, workflow, model_retry=None)
    said = "other heard 1, last user:"
    assert await quick.output(instance_id) == [
        "broke: no key",
        ["got: seen", f"{said}go"],
        [f"{said}stream", f"{said}stream"],
    ]
    assert len(ENTERED) > 3, "handlers run again for each call"
    page = await runs.events(instance_id)
    told = [item.event for item in page.items if item.event in ("executor_invoked", "output", "executor_completed")]
    assert told == ["executor_invoked", "output", "output", "output", "executor_completed"]


async def test_a_handler_that_raises_is_tried_again_by_its_own_policy(quick):
    ran: Counter[str] = Counter()

    class Raises(Executor):
        def __init__(self) -> None:
            super().__init__("raises")
            self.agent = agent("a", self._script)

        @staticmethod
        def _script(*_: Any) -> str:
            ran["model"] += 1
            return "said"

        @handler
        async def take(self, text: str, ctx: WorkflowContext[Never, str]) -> None:
            answer = await self.agent.run(text)
            ran["handler"] += 1
            if ran["handler"] < 3:
                raise OSError("not yet")
            await ctx.yield_output(answer.text)

    workflow = WorkflowBuilder(name="raising", start_executor=Raises()).build()
    assert await run(quick, workflow, retry=QUICK) == ["said"]
    assert ran == {"model": 1, "handler": 3}


async def test_handlers_that_do_not_make_the_same_calls_again_are_told_so(quick):
    times: Counter[str] = Counter()
    looks = as_tool(lambda: "seen", name="look", description="Look.")
    one, other = (agent(each, once(call("look", each)), tools=[looks]) for each in ("one", "other"))

    class Changes(Executor):
        def __init__(self) -> None:
            super().__init__("changes")
            self.one, self.other = one, other

        @handler
        async def take(self, text: str, ctx: WorkflowContext[Never, str]) -> None:
            times["begun"] += 1
            await (self.one if times["begun"] == 1 else self.other).run(text)

    workflow = WorkflowBuilder(name="changing", start_executor=Changes()).build()
    _, instance_id = await started(quick, workflow)
    await quick.ended(instance_id)
    status = await Client(quick.storage).get_status(instance_id, show_history=True)
    assert "has not come to 'tool one 1 one 1' again" in str(status.to_json())


async def test_a_tool_may_be_an_orchestration(quick):
    @quick.orchestrator
    def order(context):
        wanted = context.get_input()
        return {"total": 2 * wanted["count"]}
        yield

    schema = {"type": "object", "properties": {"count": {"type": "integer"}}}
    ordering = orchestration_tool("order", description="Order.", parameters=schema)
    assert text_of(await run(quick, alone(once(call("order", count=3)), ordering))) == 'got: {"total": 6}'


def test_what_only_steps_can_do_and_what_they_can_not_is_refused():
    ordering = orchestration_tool("order", description="Order.", parameters={})
    with pytest.raises(WorkflowRegistrationError, match="tool 'order' of agent 'w' is an orchestration"):
        register_workflow(Registry(), alone(None, ordering))
    with pytest.raises(WorkflowRegistrationError, match="its agent_mode is 'turn' or 'steps', not 'step'"):
        register_workflow(Registry(), alone(None), agent_mode="step")
    with pytest.raises(WorkflowRegistrationError, match="keeps a run's data in objects of its own"):
        register_workflow(Registry(), TEAMS["handoff"]().build(), agent_mode="steps")


@pytest.mark.filterwarnings(functions.EXPERIMENTAL)
def test_functions_have_no_steps():
    with pytest.raises(WorkflowRegistrationError, match="workflow 'pipeline' is a function"):
        register_workflow(Registry(), functions.pipeline, agent_mode="steps")


@pytest.mark.parametrize("mode", ["turn", "steps"])
async def test_what_models_say_is_told_bit_by_bit_and_once(quick, mode):
    looks = as_tool(lambda: "seen", name="look", description="Look.")
    workflow = alone(once(call("look")), looks)
    definition = register_workflow(quick.registry, workflow, agent_mode=mode, updates=True)
    await quick.add_worker()
    instance_id = await quick.start(definition.orchestration, "go")
    assert text_of(await quick.output(instance_id)) == "got: seen"
    page = await WorkflowRuns(definition, Client(quick.storage)).events(instance_id)
    told = [item.data for item in page.items if item.event == "update"]
    assert "".join(each["text"] for each in told) == "got: seen"
    assert len(told) > 1
    assert {each["executorId"] for each in told} == {"w"}


# ---- people ----------------------------------------------------------------------------------------------------------


def wiping(wiped: list[str]) -> Any:
    @as_tool(approval_mode="always_require")
    def wipe(what: str) -> str:
        """Wipe."""
        wiped.append(what)
        return f"{what} wiped"

    return alone(once(call("wipe", what="disk")), wipe)


async def test_a_call_waits_for_approval_longer_than_its_worker_lives(hub):
    wiped: list[str] = []
    runs, instance_id = await started(hub, wiping(wiped))
    [request] = await asked(runs, instance_id)
    await hub.workers.pop().stop()
    await hub.add_worker()
    with pytest.raises(WorkflowResponseError, match="is answered with"):
        await runs.respond(instance_id, request["requestId"], {"approved": "yes"})
    await runs.respond(instance_id, request["requestId"], {"approved": True})
    assert text_of(await hub.output(instance_id)) == "got: disk wiped"
    assert wiped == ["disk"]


@pytest.mark.parametrize("answer", ["red", {"answer": "red"}])
async def test_an_agent_asks_a_person(quick, answer):
    question = call("ask_human", question="Red or blue?")
    runs, instance_id = await started(quick, alone(once(question), ask_human_tool()))
    [request] = await asked(runs, instance_id)
    assert request["requestData"]["arguments"] == {"question": "Red or blue?"}
    await runs.respond(instance_id, request["requestId"], answer)
    assert text_of(await quick.output(instance_id)) == "got: red"


SOON = timedelta(seconds=0.2)


async def test_who_does_not_answer_in_time_refuses(quick):
    wiped: list[str] = []
    output = await run(quick, wiping(wiped), human=HumanPolicy(timeout=SOON))
    assert "got: " in text_of(output)
    assert wiped == []


@pytest.mark.parametrize("tasks_per_generation", [200, 1])
async def test_a_question_that_nobody_answers_in_time(quick, tasks_per_generation):
    question = alone(once(call("ask_human", question="?")), ask_human_tool())
    policy = HumanPolicy(timeout=SOON, ask=["clerk", "boss"])
    output = await run(quick, question, human=policy, tasks_per_generation=tasks_per_generation)
    assert text_of(output) == "got: Nobody answered the question in time: consider it refused."


async def test_a_run_may_fail_when_nobody_answers(quick):
    policy = HumanPolicy(timeout=SOON, on_timeout="fail")
    _, instance_id = await started(quick, wiping([]), human=policy)
    assert (await quick.ended(instance_id)).status == "Failed"
    details = (await Client(quick.storage).get_status(instance_id)).failure_details
    assert "nobody answered the call of a tool that needs approval in time" in details.message


async def test_a_request_is_passed_on_and_keeps_its_policy(quick):
    wiped: list[str] = []
    policy = HumanPolicy(timeout=timedelta(seconds=1), ask=["clerk", "boss"])
    runs, instance_id = await started(quick, wiping(wiped), human=policy)
    [request] = await asked(runs, instance_id)
    assert (request["asks"], request["escalated"]) == ("clerk", 0)
    await quick.workers.pop().stop()
    quick.registry = Registry()
    register_workflow(quick.registry, wiping(wiped), agent_mode="steps")
    await quick.add_worker()
    async with asyncio.timeout(20):
        while request["asks"] != "boss":
            await asyncio.sleep(0.01)
            [request] = await asked(runs, instance_id)
    await runs.respond(instance_id, request["requestId"], {"approved": True})
    await quick.output(instance_id)
    assert wiped == ["disk"]


async def test_an_agent_that_can_not_be_taken_apart_answers_in_one_piece(quick):
    from perdure.agents import as_agent

    async def answers(messages: list[Message]) -> str:
        return f"heard {messages[-1].text}"

    plain, after = as_agent(answers, name="plain"), agent("w")
    assert not isinstance(plain, Agent)
    workflow = WorkflowBuilder(name="mixed", start_executor=plain).add_edge(plain, after).build()
    output = await run(quick, workflow)
    assert text_of(output) == "w heard 2, last assistant:heard go"
