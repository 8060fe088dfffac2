"""Workflows at the corners of what the framework does: what fails where, what asks again, agents of several kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Never

from agent_framework import (
    AgentExecutor,
    AgentExecutorResponse,
    Case,
    Content,
    Default,
    Executor,
    Message,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    WorkflowExecutor,
    handler,
    response_handler,
)
from pydantic import BaseModel

from tests.agents.workflows.corpus import (
    Asks,
    Collects,
    Ends,
    Example,
    Item,
    Passes,
    Question,
    ShowsState,
    Splits,
    Verdict,
    backwards_one_by_one,
    simple,
    upper_to_both,
    verdict_json,
)
from tests.agents.workflows.scripted import agent


def self_loop() -> Workflow:
    """An edge from an executor to itself."""

    class Counts(Executor):
        @handler
        async def begin(self, text: str, ctx: WorkflowContext[Item]) -> None:
            await ctx.send_message(Item(0, [text]))

        @handler
        async def go_on(self, item: Item, ctx: WorkflowContext[Item, Item]) -> None:
            if item.number < 4:
                await ctx.send_message(Item(item.number + 1, item.trail))
            else:
                await ctx.yield_output(item)

    counts = Counts("counts")
    return simple("self-loop", counts).add_edge(counts, counts).build()


def switch_without_a_case() -> Workflow:
    """Everything goes to the default, which an executor of another type would be."""
    start, never, rest = Splits(), Passes("never"), Passes("rest")
    cases = [Case(lambda item: item.number > 100, never), Default(rest)]
    builder = simple("switch-without-a-case", start).add_switch_case_edge_group(start, cases)
    return builder.add_edge(rest, Ends("end")).build()


def select_nothing() -> Workflow:
    """A selection of no target at all, and of all of them."""
    start, one, two = Splits(), Passes("one"), Passes("two")
    builder = simple("select-nothing", start)
    return builder.add_multi_selection_edge_group(
        start, [one, two], lambda item, targets: targets if item.number == 2 else []
    ).build()


def broken_selection() -> Workflow:
    """A selection function that names an executor which is no target."""
    start, one, two = Splits(), Passes("one"), Passes("two")
    builder = simple("broken-selection", start)
    return builder.add_multi_selection_edge_group(start, [one, two], lambda _, targets: ["three"]).build()


def broken_async_condition() -> Workflow:
    start, after, beside = Splits(), Passes("after"), Passes("beside")

    async def broken(item: Item) -> bool:
        await asyncio.sleep(0)
        raise LookupError(f"condition of {item.number}")

    return simple("broken-async-condition", start).add_edge(start, after, broken).add_edge(start, beside).build()


def two_fan_ins() -> Workflow:
    """The first one's result is one of the second one's sources."""
    start, left, right, late = Splits(count=2), Passes("left"), Passes("right"), Passes("late")
    first, second = Collects("first"), Collects("second")
    return (
        simple("two-fan-ins", start)
        .add_fan_out_edges(start, [left, right, late])
        .add_fan_in_edges([left, right], first)
        .add_fan_in_edges([first, late], second)
        .build()
    )


def failing_after_an_answer() -> Workflow:
    """A response handler that raises."""

    class Refuses(Asks):
        @response_handler
        async def answered(self, question: Question, verdict: Verdict, ctx: WorkflowContext[Item, str]) -> None:
            await ctx.yield_output(f"heard {verdict.approved}")
            raise PermissionError(f"{question.text} is not for you")

    start = Splits()
    return simple("failing-after-an-answer", start).add_edge(start, Refuses("refuses")).build()


class AsksUntilSure(Executor):
    """Asks again under the id of what has been answered."""

    @handler
    async def ask(self, text: str, ctx: WorkflowContext[Never, Any]) -> None:
        await ctx.request_info(Question(text, Item(1)), Verdict, request_id="sure")

    @response_handler
    async def answered(self, question: Question, verdict: Verdict, ctx: WorkflowContext[Never, Any]) -> None:
        number = question.about.number
        await ctx.yield_output([number, verdict.remark])
        if number < 3:
            await ctx.request_info(Question("sure?", Item(number + 1)), Verdict, request_id="sure")


def asking_again() -> Workflow:
    return simple("asking-again", AsksUntilSure("asks")).build()


def asks_beside_a_loop() -> Workflow:
    """What is asked waits until all else is done."""

    class Loops(Executor):
        @handler
        async def go_on(self, item: Item, ctx: WorkflowContext[Item, str]) -> None:
            await ctx.yield_output(f"round {item.number}")
            if item.number < 5:
                await ctx.send_message(Item(item.number + 1))

    start, asks, loops = Splits(count=1), Asks(), Loops("loops")
    builder = simple("asks-beside-a-loop", start).add_fan_out_edges(start, [asks, loops]).add_edge(loops, loops)
    return builder.add_edge(asks, Ends("end")).build()


class Notes(Executor):
    """Writes a shared state that has the same key in another workflow."""

    def __init__(self, executor_id: str, value: str) -> None:
        super().__init__(executor_id)
        self._value = value

    @handler
    async def note(self, text: str, ctx: WorkflowContext[str, str]) -> None:
        before = ctx.get_state("key", "nothing")
        ctx.set_state("key", f"{before}, {self._value}")
        await ctx.yield_output(f"{self.id} found {before}")
        await ctx.send_message(text)


def states_apart() -> Workflow:
    """A wrapped workflow's shared state is its own."""
    inner_start = Notes("inside", "inner")
    inside = simple("noting", inner_start).add_edge(inner_start, Notes("deeper", "deep")).build()
    start, wraps = Notes("outside", "outer"), WorkflowExecutor(inside, id="wraps", allow_direct_output=True)
    after = Notes("after", "last")
    return (
        simple("states-apart", start).add_fan_out_edges(start, [wraps, after]).add_edge(after, Notes("end", "")).build()
    )


def last_one_holds() -> Workflow:
    """Two executors set and delete one key in one superstep, one of them twice."""

    class Sets(Executor):
        @handler
        async def work(self, text: str, ctx: WorkflowContext[str]) -> None:
            for value in ("first", "second"):
                ctx.set_state("last", f"{value} of {self.id}")
            ctx.set_state("count", self.id)
            ctx.state.delete("count")
            ctx.set_state("order", Total(total=1.5))
            await ctx.send_message(text)

    start, left, right = upper_to_both(), Sets("left"), Sets("right")
    builder = simple("last-one-holds", start).add_fan_out_edges(start, [left, right])
    return builder.add_fan_in_edges([left, right], ShowsState("shows")).build()


class Total(BaseModel):
    total: float


# ---- agents ----------------------------------------------------------------------------------------------------------


def failing_agent() -> Workflow:
    """The second agent's model raises."""

    def broken(messages: Sequence[Message], _: Mapping[str, Any]) -> str:
        raise ConnectionError(f"no model for {len(messages)} messages")

    writer, critic = agent("writer"), agent("critic", broken)
    return simple("failing-agent", writer).add_edge(writer, critic).build()


class Grade(BaseModel):
    mark: int
    why: str


class Grades(Executor):
    @handler
    async def grade(self, answer: AgentExecutorResponse, ctx: WorkflowContext[Never, Any]) -> None:
        await ctx.yield_output(answer.agent_response.value)


def structured_agent() -> Workflow:
    """An answer as an object of a model."""
    judge = agent("judge", lambda *_: '{"mark": 2, "why": "long"}', default_options={"response_format": Grade})
    return simple("structured-agent", judge).add_edge(judge, Grades("grades")).build()


def agents_side_by_side() -> Workflow:
    """Agents in a fan-out, of whom a condition leaves out one."""
    start, one, two, three = upper_to_both(), agent("one"), agent("two"), agent("three")
    executors = [AgentExecutor(each) for each in (one, two, three)]
    return (
        simple("agents-side-by-side", start)
        .add_edge(start, executors[0])
        .add_edge(start, executors[1], lambda text: text == "nothing")
        .add_edge(start, executors[2])
        .build()
    )


def workflow_as_agent() -> Workflow:
    """A workflow that takes an agent's place."""
    writer, critic = agent("writer"), agent("critic")
    inside = WorkflowBuilder(name="duo", start_executor=writer, output_from=[critic]).add_edge(writer, critic).build()
    reader = agent("reader")
    duo = AgentExecutor(inside.as_agent("duo"), id="duo")
    return simple("workflow-as-agent", duo).add_edge(duo, reader).build()


def two_approvals() -> Workflow:
    """One reply with two calls that need approval: one is granted, one refused."""
    from agent_framework import tool

    @tool(approval_mode="always_require")
    def pay(amount: int) -> str:
        """Pay."""
        return f"paid {amount}"

    def script(messages: Sequence[Message], _: Mapping[str, Any]) -> Any:
        results = [each.result for message in messages for each in message.contents if each.type == "function_result"]
        if results:
            return f"done: {sorted(map(str, results))}"
        return [Content.from_function_call(f"call-{each}", "pay", arguments={"amount": each}) for each in (1, 2)]

    return simple("two-approvals", agent("payer", script, tools=[pay])).build()


def grant_the_first(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [
        (
            request_id,
            Content.from_dict(data).to_function_approval_response(
                approved=data["function_call"]["arguments"] == {"amount": 1}
            ),
        )
        for request_id, data in requests
    ]


CORNERS = {
    "self-loop": Example(self_loop),
    "switch-without-a-case": Example(switch_without_a_case),
    "select-nothing": Example(select_nothing),
    "broken-selection": Example(broken_selection),
    "broken-async-condition": Example(broken_async_condition),
    "two-fan-ins": Example(two_fan_ins),
    "failing-after-an-answer": Example(failing_after_an_answer, answers=backwards_one_by_one, as_json=verdict_json),
    "asking-again": Example(asking_again, answers=backwards_one_by_one, as_json=verdict_json),
    "asks-beside-a-loop": Example(asks_beside_a_loop, answers=backwards_one_by_one, as_json=verdict_json),
    "states-apart": Example(states_apart, ordered=False),
    "last-one-holds": Example(last_one_holds, types=(Total,)),
}

AGENT_CORNERS = {
    "failing-agent": Example(failing_agent),
    "structured-agent": Example(structured_agent),
    "agents-side-by-side": Example(agents_side_by_side),
    "two-approvals": Example(two_approvals, answers=grant_the_first, as_json=lambda answer: answer.to_dict()),
    "workflow-as-agent": Example(workflow_as_agent),
}
