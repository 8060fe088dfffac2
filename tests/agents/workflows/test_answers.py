"""An answer to a workflow's request that is accepted is the one that counts; all others are told so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from agent_framework import Content, WorkflowBuilder, WorkflowContext, handler, response_handler

from perdure.agents import HumanPolicy, ask_human_tool
from perdure.agents.workflows import AnsweredRequestError, WorkflowRuns, register_workflow
from perdure.client import Client
from perdure.errors import InstanceEndedError
from perdure.storage.protocol import StorageUnavailable
from tests.agents.workflows import corpus
from tests.agents.workflows.corpus import Item
from tests.agents.workflows.scripted import agent
from tests.scenarios.hub import Hub


async def asked(hub: Hub, workflow: Any, count: int = 3, **options: Any) -> tuple[WorkflowRuns, str, list[str]]:
    """Start a run and wait until it has asked; return its requests."""
    definition = register_workflow(hub.registry, workflow, **options)
    await hub.add_worker()
    runs = WorkflowRuns(definition, Client(hub.storage))
    instance_id = await runs.start("x")
    async with asyncio.timeout(30):
        while len(found := await runs.pending(instance_id)) < count:
            await asyncio.sleep(0.01)
    return runs, instance_id, [each["requestId"] for each in found]


async def accepted(hub: Hub, runs: WorkflowRuns, instance_id: str, request_id: str, answer: Any) -> bool:
    """Answer as a process of its own; return whether that was accepted."""
    try:
        await WorkflowRuns(runs._workflow, Client(hub.storage)).respond(instance_id, request_id, answer)
    except (AnsweredRequestError, InstanceEndedError):
        return False
    return True


async def test_of_answers_sent_at_once_the_one_accepted_counts(hub):
    runs, instance_id, _ = await asked(hub, corpus.questions())
    remarks = ["red", "blue", "green", "black"]
    answers = [{"approved": False, "remark": remark} for remark in remarks]
    told = await asyncio.gather(*(accepted(hub, runs, instance_id, "asks-1", answer) for answer in answers))
    assert sum(told) == 1
    for number in (0, 2):
        assert await accepted(hub, runs, instance_id, f"asks-{number}", {"approved": False})
    output = await hub.output(instance_id)
    assert [each for each in output if "may 1?" in each] == [f"may 1? False {remarks[told.index(True)]}, 2 left"]
    assert len(output) == 3


async def test_a_second_answer_is_refused_before_the_first_is_taken_in(hub):
    runs, instance_id, _ = await asked(hub, corpus.questions())
    for worker in hub.workers:
        await worker.stop()
    hub.workers.clear()
    await runs.respond(instance_id, "asks-0", {"approved": False, "remark": "first"})
    for _ in range(2):
        with pytest.raises(AnsweredRequestError, match=f"'asks-0' of run '{instance_id}' has been answered already"):
            await runs.respond(instance_id, "asks-0", {"approved": True})
    for number in (1, 2):
        await runs.respond(instance_id, f"asks-{number}", {"approved": False})
    await hub.add_worker()
    assert "may 0? False first, 2 left" in await hub.output(instance_id)
    assert "rejectedResponses" not in (await runs.status(instance_id)).custom_status


async def test_an_answer_whose_sender_died_counts_once_somebody_answers_again(quick, monkeypatch):
    hub = quick.hub
    runs, instance_id, _ = await asked(hub, corpus.questions())

    async def dies(*_: Any) -> None:
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Client, "raise_event", dies)
        with pytest.raises(StorageUnavailable):
            await runs.respond(instance_id, "asks-0", {"approved": False, "remark": "first"})
    with pytest.raises(AnsweredRequestError):
        await runs.respond(instance_id, "asks-0", {"approved": True})
    for number in (1, 2):
        await runs.respond(instance_id, f"asks-{number}", {"approved": False})
    assert any("may 0? False first" in each for each in await hub.output(instance_id))


class AsksTwice(corpus.Executor):
    """Asks under one id until it is told to go on."""

    @handler
    async def ask(self, text: str, ctx: WorkflowContext[Item, Any]) -> None:
        await ctx.request_info({"round": 1}, str, request_id="the-one")

    @response_handler
    async def again(self, question: dict, answer: str, ctx: WorkflowContext[Item, Any]) -> None:  # type: ignore[type-arg]
        await ctx.yield_output([question["round"], answer])
        if answer != "enough":
            await ctx.request_info({"round": question["round"] + 1}, str, request_id="the-one")


async def test_what_is_asked_again_under_the_same_id_is_answered_again(quick):
    hub = quick.hub
    workflow = WorkflowBuilder(name="twice", start_executor=AsksTwice("asks")).build()
    runs, instance_id, _ = await asked(hub, workflow, 1)
    for number, answer in enumerate(["more", "still more", "enough"], 1):
        async with asyncio.timeout(30):
            while [each["requestData"] for each in await runs.pending(instance_id)] != [{"round": number}]:
                await asyncio.sleep(0.01)
        told = await asyncio.gather(*(accepted(hub, runs, instance_id, "the-one", answer) for _ in range(3)))
        assert told.count(True) == 1
    assert await hub.output(instance_id) == [[1, "more"], [2, "still more"], [3, "enough"]]


def asking_agent() -> Any:
    def script(messages: Any, _: Any) -> Any:
        results = [each.result for message in messages for each in message.contents if each.type == "function_result"]
        return (
            f"it is {results[0]}"
            if results
            else Content.from_function_call("c1", "ask_human", arguments={"question": "?"})
        )

    return WorkflowBuilder(name="asks", start_executor=agent("w", script, tools=[ask_human_tool()])).build()


@pytest.mark.parametrize("on_timeout", ["reject", "fail"])
async def test_an_answer_that_was_accepted_counts_when_time_runs_out(hub, on_timeout, monkeypatch):
    human = HumanPolicy(timeout=timedelta(seconds=1.5), on_timeout=on_timeout)
    runs, instance_id, [request_id] = await asked(hub, asking_agent(), 1, human=human, agent_mode="steps")

    async def is_late(*_: Any) -> None:
        return None

    monkeypatch.setattr(Client, "raise_event", is_late)
    await runs.respond(instance_id, request_id, {"answer": "red"})
    assert "it is red" in str(await hub.output(instance_id))


async def test_an_answer_after_the_time_is_refused(quick):
    """The status that whoever answers has seen is older than the end of the time."""
    hub = quick.hub
    human = HumanPolicy(timeout=timedelta(seconds=0.3))
    runs, instance_id, [request_id] = await asked(hub, asking_agent(), 1, human=human, agent_mode="steps")
    seen = await runs.status(instance_id)
    output = await hub.output(instance_id)
    assert "consider it refused" in str(output)

    class SeesThePast(WorkflowRuns):
        async def status(self, _: str) -> Any:
            return seen

    with pytest.raises(AnsweredRequestError, match="has run out of time"):
        await SeesThePast(runs._workflow, Client(hub.storage)).respond(instance_id, request_id, {"answer": "red"})
