"""Runs of workflows beyond what they share with runs in process."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, Never

import pytest
from agent_framework import (
    AgentExecutor,
    AgentExecutorResponse,
    Content,
    Executor,
    WorkflowBuilder,
    WorkflowContext,
    executor,
    handler,
    tool,
)

from perdure.agents.workflows import register_workflow
from perdure.client import Client
from perdure.core.retry import RetryPolicy
from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.agents.workflows import corpus, functions
from tests.agents.workflows.comparing import in_process, told_by
from tests.agents.workflows.corpus import Item
from tests.agents.workflows.playing import answer_until_ended
from tests.agents.workflows.scripted import agent
from tests.agents.workflows.teams import TEAMS
from tests.scenarios.hub import Hub

RETRY = RetryPolicy(timedelta(milliseconds=1), max_number_of_attempts=3)


@pytest.fixture
async def quick():
    """A hub in memory."""
    store = MemoryStore()
    hub = Hub(lambda: MemoryStorage("hub", store=store))
    yield hub
    await hub.close()


async def run(hub: Hub, workflow: Any, given: Any = "start", **options: Any) -> Any:
    definition = register_workflow(hub.registry, workflow, **options)
    await hub.add_worker()
    return await hub.output(await hub.start(definition.orchestration, given))


class Gathers(Executor):
    """Keeps what it is told in attributes that no hook saves, some of them made only later."""

    def __init__(self) -> None:
        super().__init__("gathers")
        self._items: list[str] = []

    @handler
    async def take(self, text: str, ctx: WorkflowContext[str, Any]) -> None:
        self._items.append(text)
        self.last = Item(len(self._items), [text])
        await asyncio.sleep(0)
        if len(self._items) < 5:
            await ctx.send_message(text)
        else:
            await ctx.yield_output([self._items, self.last, len(self._items)])


class Returns(Executor):
    @handler
    async def take(self, text: str, ctx: WorkflowContext[str | Item]) -> None:
        await ctx.send_message(text)


def gathering() -> Any:
    start, other = Gathers(), Returns("returns")
    return WorkflowBuilder(name="gathering", start_executor=start).add_edge(start, other).add_edge(other, start).build()


async def test_runs_at_the_same_time_do_not_see_each_other(quick):
    register_workflow(quick.registry, gathering())
    await quick.add_worker()
    texts = [f"t{number}" for number in range(20)]
    ids = await asyncio.gather(*(quick.start("dafx-gathering", text) for text in texts))
    for text, instance_id in zip(texts, ids, strict=True):
        expected = [[text] * 5, {"number": 5, "trail": [text], "mood": "good"}, 5]
        assert await quick.output(instance_id) == [expected]


async def test_the_apps_own_executors_stay_as_they_were_built(quick):
    workflow = gathering()
    await run(quick, workflow)
    assert workflow.executors["gathers"]._items == []
    assert not hasattr(workflow.executors["gathers"], "last")


async def test_a_workflow_that_is_built_for_each_activity(quick):
    built = []

    def build() -> Any:
        built.append(gathering())
        return built[-1]

    output = await run(quick, build)
    assert output[0][2] == 5
    assert len(built) > 9
    assert all(each.executors["gathers"]._items == [] for each in built)


class TellsSession(Executor):
    @handler
    async def take(self, answer: AgentExecutorResponse, ctx: WorkflowContext[str, Any]) -> None:
        await ctx.yield_output(answer.agent_response.text)
        if len(answer.agent_response.text) < 200:
            await ctx.send_message("again")


async def test_agents_have_a_session_of_their_own_in_each_run(quick):
    seen: dict[str, set[str]] = {}

    class Notes(AgentExecutor):
        async def on_checkpoint_save(self) -> dict[str, Any]:
            state = await super().on_checkpoint_save()
            session = state["agent_session"]
            said = json.dumps(session["state"])
            for word in ("one", "two"):
                if word in said:
                    seen.setdefault(word, set()).add(session["session_id"])
            assert not ("one" in said and "two" in said)
            return state

    writer, tells = Notes(agent("writer")), TellsSession("tells")
    workflow = WorkflowBuilder(name="writing", start_executor=writer).add_edge(writer, tells).build()
    register_workflow(quick.registry, workflow)
    await quick.add_worker()
    ids = [await quick.start("dafx-writing", word) for word in ("one", "two", "one", "two")]
    for each in ids:
        await quick.output(each)
    assert {word: len(sessions) for word, sessions in seen.items()} == {"one": 2, "two": 2}


async def test_what_a_model_and_a_tool_have_answered_is_not_asked_for_again(hub):
    asked: list[str] = []

    @tool
    def look_up(page: int) -> str:
        """Look up."""
        asked.append(f"tool {page}")
        return f"page {page}"

    def script(messages: Any, _: Any) -> Any:
        found = sum(content.type == "function_result" for each in messages for content in each.contents)
        asked.append(f"model {found}")
        if found == 2 and asked.count("model 2") < 3:
            raise OSError("the worker might as well have died")
        return (
            f"found {found}"
            if found == 3
            else Content.from_function_call(f"c{found}", "look_up", arguments={"page": found})
        )

    workflow = WorkflowBuilder(name="research", start_executor=agent("researcher", script, tools=[look_up])).build()
    (output,) = await run(hub, workflow, retry=RETRY)
    assert output["messages"][-1]["contents"][0]["text"] == "found 3"
    assert [output["messages"][each]["contents"][0]["result"] for each in (1, 3, 5)] == ["page 0", "page 1", "page 2"]
    assert asked == ["model 0", "tool 0", "model 1", "tool 1", *["model 2"] * 3, "tool 2", "model 3"]


@pytest.mark.parametrize("name", ["handoff", "magentic"])
async def test_teams_that_keep_runs_in_objects_of_their_own_serve_many_at_once(quick, name):
    expected = await in_process(TEAMS[name]())
    definition = register_workflow(quick.registry, TEAMS[name]().build())
    await quick.add_worker()
    client = Client(quick.storage)

    async def one() -> Any:
        example = TEAMS[name]()
        instance_id = await quick.start(definition.orchestration, example.given)
        return told_by(await answer_until_ended(client, instance_id, example)).outputs

    assert await asyncio.gather(*(one() for _ in range(6))) == [expected.outputs] * 6


async def test_long_loops_keep_their_history_short(quick):
    definition = register_workflow(quick.registry, corpus.loop(150, limit=1_000), tasks_per_generation=20)
    await quick.add_worker()
    instance_id = await quick.start(definition.orchestration, "x")
    assert (await quick.output(instance_id))[0]["rounds"] == 151
    status = await Client(quick.storage).get_status(instance_id, show_history=True)
    assert sum(event["EventType"] == "TaskCompleted" for event in status.history) <= 20


async def test_a_second_answer_to_one_request_is_told_of(quick):
    """It came before the first one was read, so the route had no way to refuse it."""
    definition = register_workflow(quick.registry, corpus.questions())
    await quick.add_worker()
    instance_id = await quick.start(definition.orchestration, "x")
    await quick.reaches(instance_id, lambda now: "IDLE_WITH" in (now.custom_status or ""))
    for remark in ("first", "second"):
        await quick.raise_event(instance_id, "asks-0", {"approved": False, "remark": remark})
    reason = "request 'asks-0' has been answered already"
    await quick.reaches(instance_id, lambda now: reason in (now.custom_status or ""))
    for number in (1, 2):
        await quick.raise_event(instance_id, f"asks-{number}", {"approved": False})
    output = await quick.output(instance_id)
    assert [each for each in output if "may 0" in each] == ["may 0? False first, 2 left"]
    status = await Client(quick.storage).get_status(instance_id)
    assert status.custom_status["rejectedResponses"] == [{"requestId": "asks-0", "reason": reason}]


async def test_answers_that_do_not_fit_are_told_of_and_the_question_stays(quick):
    definition = register_workflow(quick.registry, corpus.questions())
    await quick.add_worker()
    client = Client(quick.storage)
    instance_id = await quick.start(definition.orchestration, "x")
    await quick.reaches(instance_id, lambda now: "IDLE_WITH" in (now.custom_status or ""))
    await client.raise_event(instance_id, "asks-1", "not a verdict")
    await quick.reaches(instance_id, lambda now: "rejectedResponses" in (now.custom_status or ""))
    status = await client.get_status(instance_id)
    assert len(status.custom_status["pendingHumanInputRequests"]) == 3
    reason = "the answer to request 'asks-1' is no Verdict: 'not a verdict'"
    assert status.custom_status["rejectedResponses"] == [{"requestId": "asks-1", "reason": reason}]
    for number in range(3):
        await client.raise_event(instance_id, f"asks-{number}", {"approved": False})
    assert len(await quick.output(instance_id)) == 3


async def test_answers_that_come_early_are_kept_while_the_run_continues_as_new(quick):
    """A question that is asked while something long goes on beside it."""
    start, asks, loops, other = corpus.Splits(count=1), corpus.Asks(), corpus.Loops(60), corpus.Passes("other")
    workflow = (
        WorkflowBuilder(name="early", start_executor=start, max_iterations=1_000)
        .add_fan_out_edges(start, [asks, loops])
        .add_edge(loops, other)
        .add_edge(other, loops)
        .build()
    )
    register_workflow(quick.registry, workflow, tasks_per_generation=6)
    await quick.add_worker()
    instance_id = await quick.start("dafx-early", "x")
    await quick.reaches(instance_id, lambda now: "asks-0" in (now.custom_status or ""))
    await Client(quick.storage).raise_event(instance_id, "asks-0", {"approved": False, "remark": "early"})
    assert "may 0? False early, 0 left" in await quick.output(instance_id)


async def test_executors_that_raise_are_tried_again_as_they_are_told(quick):
    tries = []

    @executor(id="shaky")
    async def shaky(text: str, ctx: WorkflowContext[Never, str]) -> None:
        tries.append(text)
        if len(tries) < 3:
            raise OSError("not yet")
        await ctx.yield_output(f"{len(tries)} tries")

    workflow = WorkflowBuilder(name="shaking", start_executor=shaky).build()
    assert await run(quick, workflow, retry={"shaky": RETRY}) == ["3 tries"]


async def test_failures_name_workflow_executor_type_and_text(quick):
    register_workflow(quick.registry, corpus.wrapped_failing())
    await quick.add_worker()
    instance_id = await quick.start("dafx-wrapped-failing", "x")
    await quick.ended(instance_id)
    failure = (await Client(quick.storage).get_status(instance_id)).failure_details
    assert failure.message == (
        "workflow 'wrapped-failing' failed in executor 'wraps': ValueError: works does not like 1 "
        "(in executor 'works' of workflow 'inner-failing')"
    )
    assert failure.is_caused_by(ValueError)
    assert failure.properties["executor_id"] == "wraps"


async def test_what_can_not_be_stored_names_the_executor_and_what_to_do(quick):
    register_workflow(quick.registry, corpus.shared_state())
    await quick.add_worker()
    instance_id = await quick.start("dafx-shared-state", "x")
    await quick.ended(instance_id)
    failure = (await Client(quick.storage).get_status(instance_id)).failure_details
    assert "'order' in the shared state, set by code of executor 'sets' of workflow 'shared-state'" in failure.message
    assert "register the workflow with types=[Order]" in failure.message


async def test_a_workflow_is_a_sub_orchestration_like_any_other(quick):
    def parent(context: Any) -> Any:
        return (yield context.call_sub_orchestrator("dafx-functions", "text"))

    quick.orchestrator(parent)
    register_workflow(quick.registry, corpus.functions())
    await quick.add_worker()
    assert await quick.output(await quick.start("parent")) == ["TEXT"]


RAN: list[str] = []


@functions.step
async def noted(name: str) -> str:
    RAN.append(name)
    if name == "third" and RAN.count("third") < 3:
        raise OSError("not yet")
    return name.upper()


@functions.workflow
async def careful(text: str) -> list[str]:
    first = await noted("first")
    return [first, *await asyncio.gather(noted("second"), noted("side")), await noted("third"), text]


@pytest.mark.filterwarnings(functions.EXPERIMENTAL)
async def test_steps_that_have_returned_do_not_run_again(hub):
    RAN.clear()
    definition = register_workflow(hub.registry, careful, retry=RETRY)
    await hub.add_worker()
    instance_id = await hub.start(definition.orchestration, "start")
    assert await hub.output(instance_id) == [["FIRST", "SECOND", "SIDE", "THIRD", "start"]]
    assert sorted(RAN) == ["first", "second", "side", "third", "third", "third"]
    assert len(await hub.storage.list_payloads(instance_id, "steps-")) == 1


@pytest.mark.filterwarnings(functions.EXPERIMENTAL)
async def test_what_steps_return_has_to_be_declared(quick):
    register_workflow(quick.registry, functions.secretive)
    await quick.add_worker()
    instance_id = await quick.start("dafx-secretive", "x")
    await quick.ended(instance_id)
    failure = (await Client(quick.storage).get_status(instance_id)).failure_details
    assert "what a step of workflow 'secretive' returned, or its input or state, is or holds" in failure.message
    assert "types=[Order]" in failure.message
