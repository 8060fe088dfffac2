"""Workflows that are run both in process and durably: each edge kind, and what else a run is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Never

from agent_framework import (
    AgentExecutor,
    AgentExecutorResponse,
    Case,
    Content,
    Default,
    Executor,
    FunctionalWorkflowDefinition,
    Message,
    SubWorkflowRequestMessage,
    SubWorkflowResponseMessage,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    WorkflowEvent,
    WorkflowExecutor,
    executor,
    handler,
    response_handler,
)
from pydantic import BaseModel

from tests.agents.workflows.scripted import agent

Answers = Callable[[list[tuple[str, Any]]], list[tuple[str, Any]]]
"""From open requests (id, data as plain JSON) to those answers that are given at one time."""


@dataclass(frozen=True)
class Example:
    """A workflow, its input, and how its requests are answered."""

    build: Callable[[], Workflow | FunctionalWorkflowDefinition]
    given: Any = "start"
    answers: Answers | None = None
    as_json: Callable[[Any], Any] = lambda answer: answer
    """From an answer as the framework takes it in process to the JSON that a client sends."""
    types: tuple[type, ...] = ()
    """What it stores beside what its handlers declare."""
    ordered: bool = True
    """Whether outputs come in one order only: answers that come together may be taken one after the other."""


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass
class Item:
    """A message that says where it has been."""

    number: int
    trail: list[str] = field(default_factory=list)
    mood: Mood = Mood.GOOD


@dataclass
class RareItem(Item):
    """A subclass that no handler names."""

    note: str = ""


class Order(BaseModel):
    lines: list[Item] = []
    total: float = 0.0
    by: tuple[str, int] = ("nobody", 0)


@dataclass
class Question:
    text: str
    about: Item


@dataclass
class Verdict:
    approved: bool
    remark: str = ""


class Splits(Executor):
    """Sends some items, or what its input says."""

    def __init__(self, executor_id: str = "splits", count: int = 3) -> None:
        super().__init__(executor_id)
        self._count = count

    @handler
    async def split(self, text: str, ctx: WorkflowContext[Item]) -> None:
        for number in range(self._count):
            await ctx.send_message(Item(number, [f"{text}/{self.id}"], Mood.BAD if number % 2 else Mood.GOOD))


class Passes(Executor):
    """Sends on what it gets, counts it, and yields what it saw."""

    def __init__(self, executor_id: str, *, yields: bool = True) -> None:
        super().__init__(executor_id)
        self._seen: list[Item] = []
        self._yields = yields

    @handler
    async def take(self, item: Item, ctx: WorkflowContext[Item, str]) -> None:
        self._seen.append(item)
        moved = type(item)(**{**vars(item), "trail": [*item.trail, self.id]})
        if self._yields:
            sources = ",".join(ctx.source_executor_ids)
            await ctx.yield_output(f"{self.id} took {item.number} of {sources} as no {len(self._seen)}")
        await ctx.send_message(moved)


class Collects(Executor):
    """Takes a list, as fan-ins send it."""

    @handler
    async def gather(self, items: list[Item], ctx: WorkflowContext[Item, Any]) -> None:
        await ctx.yield_output([(each.number, "/".join(each.trail)) for each in items])
        await ctx.yield_output({"of": ctx.source_executor_ids, "mood": {each.mood for each in items}})
        await ctx.send_message(Item(sum(each.number for each in items)))


class Ends(Executor):
    @handler
    async def end(self, item: Item, ctx: WorkflowContext[Never, Item]) -> None:
        await ctx.yield_output(item)


def simple(name: str, start: Any, **options: Any) -> WorkflowBuilder:
    return WorkflowBuilder(name=name, start_executor=start, **options)


def chain() -> Workflow:
    return simple("chain", a := Splits()).add_chain([a, Passes("p1"), Passes("p2"), Ends("end")]).build()


def conditions() -> Workflow:
    start, even, odd = Splits(), Passes("even"), Passes("odd")

    async def is_odd(item: Item) -> bool:
        await asyncio.sleep(0)
        return item.number % 2 == 1

    return (
        simple("conditions", start)
        .add_edge(start, even, lambda item: item.number % 2 == 0)
        .add_edge(start, odd, is_odd)
        .build()
    )


def fan_out_and_in() -> Workflow:
    start, left, right, end = Splits(), Passes("left"), Passes("right"), Collects("collects")
    return (
        simple("fan-out-and-in", start)
        .add_fan_out_edges(start, [left, right])
        .add_fan_in_edges([right, left], end)
        .add_edge(end, Ends("end"))
        .build()
    )


def uneven_fan_in() -> Workflow:
    """One source takes a superstep longer, and one sends nothing for the last items: what is left over waits."""
    start, quick, slow, slower, end = Splits(), Passes("quick"), Passes("slow"), Passes("slower"), Collects("collects")
    return (
        simple("uneven-fan-in", start)
        .add_edge(start, quick)
        .add_edge(start, slow, lambda item: item.number < 2)
        .add_edge(slow, slower)
        .add_fan_in_edges([quick, slower], end)
        .build()
    )


def mixed_edges() -> Workflow:
    """A source with edges of several kinds, whose deliveries interleave."""
    start, single, left, right, later = Splits(), Passes("single"), Passes("left"), Passes("right"), Passes("later")
    return (
        simple("mixed-edges", start)
        .add_fan_out_edges(start, [left, right])
        .add_edge(start, single)
        .add_edge(left, later)
        .add_edge(single, later)
        .add_edge(right, later)
        .build()
    )


def switch() -> Workflow:
    start, good, bad, rest = Splits(count=4), Passes("good"), Passes("bad"), Passes("rest")
    cases = [Case(lambda item: item.number == 0, good), Case(lambda item: item.mood is Mood.BAD, bad), Default(rest)]
    return simple("switch", start).add_switch_case_edge_group(start, cases).build()


def selection() -> Workflow:
    start, one, two, three = Splits(count=4), Passes("one"), Passes("two"), Passes("three")

    def select(item: Item, targets: list[str]) -> list[str]:
        return [*targets[: item.number], *targets[: item.number]]

    return simple("selection", start).add_multi_selection_edge_group(start, [one, two, three], select).build()


class Addresses(Executor):
    @handler
    async def address(self, text: str, ctx: WorkflowContext[Item | str]) -> None:
        await ctx.send_message(Item(1, [text]), target_id="left")
        await ctx.send_message(Item(2, [text]), target_id="right")
        await ctx.send_message(Item(3, [text]))
        await ctx.send_message(RareItem(4, [text], Mood.BAD, "rare"))
        await ctx.send_message(Item(5), target_id="nobody")
        await ctx.send_message("text for whoever takes it")


class TakesText(Executor):
    @handler
    async def text(self, text: str, ctx: WorkflowContext[Never, str]) -> None:
        await ctx.yield_output(f"{self.id}: {text}")


def addressed() -> Workflow:
    """Messages to one target, to all, of a subclass, and of a type that only some take."""
    start, left, right, text = Addresses("start"), Passes("left"), Passes("right"), TakesText("text")
    return (
        simple("addressed", start)
        .add_fan_out_edges(start, [left, text])
        .add_edge(start, right)
        .add_edge(left, Ends("end"))
        .build()
    )


class Loops(Executor):
    def __init__(self, times: int) -> None:
        super().__init__("loops")
        self._times = times
        self._rounds = 0

    @handler
    async def begin(self, text: str, ctx: WorkflowContext[Item]) -> None:
        await ctx.send_message(Item(0, [text]))

    @handler
    async def again(self, item: Item, ctx: WorkflowContext[Item, Any]) -> None:
        self._rounds += 1
        if item.number < self._times:
            await ctx.send_message(Item(item.number + 1))
        else:
            await ctx.yield_output({"rounds": self._rounds, "item": item})


def loop(times: int = 6, limit: int = 100) -> Workflow:
    start, other = Loops(times), Passes("other", yields=False)
    return simple("loop", start, max_iterations=limit).add_edge(start, other).add_edge(other, start).build()


class SetsState(Executor):
    @handler
    async def work(self, text: str, ctx: WorkflowContext[str]) -> None:
        ctx.set_state("order", Order(lines=[Item(1)], total=2.5, by=(text, 1)))
        ctx.set_state("gone", 1)
        ctx.set_state("count", {"by": {"key": 1}})
        await ctx.send_message(text)


class ChangesState(Executor):
    @handler
    async def work(self, text: str, ctx: WorkflowContext[str]) -> None:
        order: Order = ctx.get_state("order")
        order.lines.append(Item(2, [self.id]))
        ctx.set_state("order", order)
        ctx.set_state("last", self.id)
        if self.id == "left":
            ctx.state.delete("gone")
        await ctx.send_message(text)


class ShowsState(Executor):
    @handler
    async def work(self, texts: list[str], ctx: WorkflowContext[Never, Any]) -> None:
        await ctx.yield_output([texts, ctx.get_state("last"), ctx.get_state("gone", "gone"), ctx.get_state("count")])
        await ctx.yield_output(ctx.get_state("order").total)


def shared_state() -> Workflow:
    start, left, right, end = SetsState("sets"), ChangesState("left"), ChangesState("right"), ShowsState("shows")
    return (
        simple("shared-state", start)
        .add_fan_out_edges(start, [left, right])
        .add_fan_in_edges([left, right], end)
        .build()
    )


class Remembers(Executor):
    """Keeps its state through the hooks, under another name than in its attributes."""

    def __init__(self) -> None:
        super().__init__("remembers")
        self._items: dict[int, Item] = {}

    @handler
    async def take(self, item: Item, ctx: WorkflowContext[Item, Any]) -> None:
        self._items[item.number] = item
        await ctx.yield_output(sorted(self._items))
        if item.number < 9:
            await ctx.send_message(Item(item.number + 4))

    async def on_checkpoint_save(self) -> dict[str, Any]:
        return {"kept": list(self._items.values())}

    async def on_checkpoint_restore(self, state: dict[str, Any]) -> None:
        self._items = {item.number: item for item in state["kept"]}


def executor_state() -> Workflow:
    start, keeper, back = Splits(), Remembers(), Passes("back", yields=False)
    return simple("executor-state", start).add_edge(start, keeper).add_edge(keeper, back).add_edge(back, keeper).build()


def designated() -> Workflow:
    """Outputs of one executor, intermediate ones of another, hidden ones of the rest."""
    start, middle, hidden, end = Splits(), Passes("middle"), Passes("hidden"), Passes("end")
    builder = simple("designated", start, output_from=[end], intermediate_output_from=[middle])
    return builder.add_chain([start, middle, hidden, end]).build()


class Events(Executor):
    @handler
    async def emit(self, text: str, ctx: WorkflowContext[Never, str]) -> None:
        await ctx.add_event(WorkflowEvent("warning", data="careful"))
        await ctx.add_event(WorkflowEvent("output", data="not allowed"))
        await ctx.yield_output(text)


def events() -> Workflow:
    return simple("events", Events("events")).build()


@executor(id="upper")
async def upper(text: str, ctx: WorkflowContext[str]) -> None:
    await ctx.send_message(text.upper())


@executor(id="plain")
async def yields(text: str, ctx: WorkflowContext[Never, str]) -> None:
    await ctx.yield_output(text)


def functions() -> Workflow:
    return simple("functions", upper).add_chain([upper, yields]).build()


class Fails(Executor):
    @handler
    async def fail(self, item: Item, ctx: WorkflowContext[Item, str]) -> None:
        await ctx.yield_output(f"{self.id} got {item.number}")
        if item.number == 1:
            raise ValueError(f"{self.id} does not like {item.number}")
        await ctx.send_message(item)


def failing() -> Workflow:
    start = Splits()
    return simple("failing", start).add_edge(start, Fails("fails")).build()


def two_failing() -> Workflow:
    start = Splits()
    return simple("two-failing", start).add_fan_out_edges(start, [Passes("p"), Fails("f1"), Fails("f2")]).build()


def broken_condition() -> Workflow:
    start, after = Splits(), Passes("after")

    def broken(item: Item) -> bool:
        raise KeyError(item.number)

    return simple("broken-condition", start).add_edge(start, after, broken).build()


def mixed_fan_in() -> Workflow:
    """A list that no handler takes as a whole, though each of its items alone would do."""

    class SendsText(Executor):
        @handler
        async def work(self, item: Item, ctx: WorkflowContext[str]) -> None:
            await ctx.send_message(f"text {item.number}")

    class TakesEither(Executor):
        @handler
        async def items(self, items: list[Item], ctx: WorkflowContext[Never, str]) -> None:
            await ctx.yield_output(f"{len(items)} items")

        @handler
        async def texts(self, texts: list[str], ctx: WorkflowContext[Never, str]) -> None:
            await ctx.yield_output(f"{len(texts)} texts")

    start, items, texts = Splits(), Passes("items"), SendsText("texts")
    builder = simple("mixed-fan-in", start).add_fan_out_edges(start, [items, texts])
    return builder.add_fan_in_edges([items, texts], TakesEither("either")).build()


# ---- questions to people ---------------------------------------------------------------------------------------------


class Asks(Executor):
    """Asks about each item, and goes on with what is approved."""

    def __init__(self, executor_id: str = "asks", *, counts: bool = True) -> None:
        super().__init__(executor_id)
        self._asked = 0
        self._counts = counts

    @handler
    async def ask(self, item: Item, ctx: WorkflowContext[Item]) -> None:
        self._asked += 1
        await ctx.request_info(Question(f"may {item.number}?", item), Verdict, request_id=f"{self.id}-{item.number}")

    @response_handler
    async def answered(self, question: Question, verdict: Verdict, ctx: WorkflowContext[Item, str]) -> None:
        self._asked -= self._counts
        await ctx.yield_output(f"{question.text} {verdict.approved} {verdict.remark}, {self._asked} left")
        if verdict.approved:
            await ctx.send_message(question.about)


class AsksForText(Executor):
    @handler
    async def ask(self, item: Item, ctx: WorkflowContext[Item]) -> None:
        await ctx.request_info({"name of": item.number}, str, request_id=f"text-{item.number}")
        await ctx.request_info(item.number, bool, request_id=f"nobody-takes-{item.number}")

    @response_handler
    async def named(self, question: dict, name: str, ctx: WorkflowContext[Item, str]) -> None:  # type: ignore[type-arg]
        await ctx.yield_output(f"{question} is {name}")


def verdict_json(answer: Any) -> Any:
    return vars(answer) if isinstance(answer, Verdict) else answer


def backwards_one_by_one(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    request_id, data = requests[-1]
    return [(request_id, Verdict(approved=data["about"]["number"] != 1, remark=f"about {data['about']['number']}"))]


def all_at_once(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(request_id, Verdict(approved=True, remark="all")) for request_id, _ in requests]


def questions(*, counts: bool = True) -> Workflow:
    start, asks, after = Splits(), Asks(counts=counts), Passes("after", yields=counts)
    return simple("questions", start).add_chain([start, asks, after, Ends("end")]).build()


def two_that_ask() -> Workflow:
    start, one, two = Splits(count=2), Asks("one"), Asks("two")
    after = Passes("after")
    return (
        simple("two-that-ask", start)
        .add_fan_out_edges(start, [one, two])
        .add_edge(one, after)
        .add_edge(two, after)
        .build()
    )


def dropped_answers() -> Workflow:
    start = Splits(count=2)
    return simple("dropped-answers", start).add_edge(start, AsksForText("asks")).build()


def texts_and_flags(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(each, True if each.startswith("nobody") else f"<{each}>") for each, _ in requests]


# ---- workflows in workflows ------------------------------------------------------------------------------------------


class ToItem(Executor):
    @handler
    async def convert(self, text: str, ctx: WorkflowContext[Item]) -> None:
        await ctx.send_message(Item(len(text), [text]))


def inner(name: str, fails: bool = False) -> Workflow:
    start, work = Passes("passes"), Fails("works") if fails else Passes("works")
    return simple(name, start, intermediate_output_from=[start], output_from=[work]).add_edge(start, work).build()


class TakesTexts(Executor):
    def __init__(self) -> None:
        super().__init__("texts")
        self._texts: list[str] = []

    @handler
    async def text(self, text: str, ctx: WorkflowContext[Never, Any]) -> None:
        self._texts.append(text)
        await ctx.yield_output([len(self._texts), text])


def wrapped() -> Workflow:
    """Each item is an input of the wrapped workflow, whose executors remember what came before."""
    start, wraps = Splits(), WorkflowExecutor(inner("inner-of-wrapped"), id="wraps")
    return simple("wrapped", start).add_chain([start, wraps, TakesTexts()]).build()


def wrapped_direct() -> Workflow:
    start = Splits()
    wraps = WorkflowExecutor(inner("inner-direct"), id="wraps", allow_direct_output=True)
    return simple("wrapped-direct", start).add_edge(start, wraps).build()


def wrapped_failing() -> Workflow:
    start, wraps = Splits(), WorkflowExecutor(inner("inner-failing", fails=True), id="wraps")
    return simple("wrapped-failing", start).add_edge(start, wraps).build()


def asking_inner(name: str) -> Workflow:
    asks = Asks("deep")
    return simple(name, asks).add_edge(asks, Passes("deeper")).build()


def wrapped_asking() -> Workflow:
    """Requests two workflows down, handed on to whoever runs the outermost one."""
    start = Splits()
    middle_start = Passes("middle", yields=False)
    deep = WorkflowExecutor(asking_inner("deep-asking"), id="down", propagate_request=True)
    middle = simple("middle-asking", middle_start).add_chain([middle_start, deep, TakesTexts()]).build()
    wraps = WorkflowExecutor(middle, id="wraps", propagate_request=True, allow_direct_output=True)
    return simple("wrapped-asking", start).add_edge(start, wraps).build()


class Intercepts(Executor):
    """Answers what a wrapped workflow asks, without anybody outside."""

    @handler
    async def begin(self, text: str, ctx: WorkflowContext[Item]) -> None:
        for number in range(3):
            await ctx.send_message(Item(number, [text]))

    @handler
    async def asked(
        self, request: SubWorkflowRequestMessage, ctx: WorkflowContext[SubWorkflowResponseMessage, str]
    ) -> None:
        number = request.source_event.data.about.number
        await ctx.yield_output(f"asked about {number} by {request.executor_id}")
        answer = request.create_response(Verdict(number > 0, "inside"))
        await ctx.send_message(answer, target_id=request.executor_id)


def intercepted() -> Workflow:
    start, wraps = Intercepts("start"), WorkflowExecutor(asking_inner("inner-asking"), id="wraps")
    builder = simple("intercepted", start).add_edge(start, wraps).add_edge(wraps, TakesTexts())
    return builder.add_edge(wraps, start, lambda message: not isinstance(message, str)).build()


# ---- agents ----------------------------------------------------------------------------------------------------------


def agents_in_a_chain() -> Workflow:
    writer, critic, editor = agent("writer"), agent("critic"), agent("editor")
    return simple("agents-in-a-chain", writer).add_chain([writer, critic, editor]).build()


class Reviews(Executor):
    def __init__(self) -> None:
        super().__init__("reviews")
        self.rounds = 0

    @handler
    async def review(
        self, answer: AgentExecutorResponse, ctx: WorkflowContext[AgentExecutorResponse | str, Any]
    ) -> None:
        self.rounds += 1
        await ctx.yield_output([len(answer.full_conversation), answer.agent_response.text])
        if self.rounds < 3:
            await ctx.send_message(answer.with_text(f"round {self.rounds}") if self.rounds == 1 else "once more")


def agent_in_a_loop() -> Workflow:
    """The agent's session and the executor's cache live from one turn to the next."""
    writer, reviews = AgentExecutor(agent("writer")), Reviews()
    return simple("agent-in-a-loop", writer).add_edge(writer, reviews).add_edge(reviews, writer).build()


def approving_agent() -> Workflow:
    """A tool that needs an approval: the agent's own kind of request."""
    from agent_framework import tool

    @tool(approval_mode="always_require")
    def pay(amount: int) -> str:
        """Pay."""
        return f"paid {amount}"

    def script(messages: Sequence[Message], _: Mapping[str, Any]) -> str | Content:
        results = [each.result for message in messages for each in message.contents if each.type == "function_result"]
        if results:
            return f"done: {results}"
        return Content.from_function_call("call-1", "pay", arguments={"amount": 7})

    payer = agent("payer", script, tools=[pay])
    return simple("approving-agent", payer).build()


def wrapped_agents() -> Workflow:
    """An agent with a tool in a wrapped workflow, and one beside it in the same superstep."""
    from agent_framework import tool

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        if a > b:
            raise ValueError("too large")
        return a + b

    def script(messages: Sequence[Message], _: Mapping[str, Any]) -> str | Content:
        results = [each.result for message in messages for each in message.contents if each.type == "function_result"]
        if len(results) == 3:
            return f"done: {results}"
        return Content.from_function_call(f"c{len(results)}", "add", arguments={"a": len(results), "b": 1})

    inner_agent = AgentExecutor(agent("inside", script, tools=[add]))
    nested = simple("inner-agents", inner_agent).build()
    start, beside = upper_to_both(), agent("beside", script, tools=[add])
    wraps = WorkflowExecutor(nested, id="wraps", allow_direct_output=True)
    return simple("wrapped-agents", start).add_fan_out_edges(start, [wraps, AgentExecutor(beside)]).build()


def upper_to_both() -> Executor:
    @executor(id="upper-to-both")
    async def both(text: str, ctx: WorkflowContext[str]) -> None:
        await ctx.send_message(text.upper())

    return both


def approve(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(each, Content.from_dict(data).to_function_approval_response(approved=True)) for each, data in requests]


EXAMPLES = {
    "chain": Example(chain),
    "conditions": Example(conditions),
    "fan-out-and-in": Example(fan_out_and_in),
    "uneven-fan-in": Example(uneven_fan_in),
    "mixed-edges": Example(mixed_edges),
    "switch": Example(switch),
    "selection": Example(selection),
    "addressed": Example(addressed),
    "loop": Example(loop),
    "limit": Example(lambda: loop(limit=5)),
    "shared-state": Example(shared_state, types=(Order,)),
    "executor-state": Example(executor_state),
    "designated": Example(designated),
    "events": Example(events),
    "functions": Example(functions),
    "failing": Example(failing),
    "two-failing": Example(two_failing),
    "broken-condition": Example(broken_condition),
    "mixed-fan-in": Example(mixed_fan_in),
    "questions": Example(questions, answers=backwards_one_by_one, as_json=verdict_json),
    "questions-at-once": Example(
        lambda: questions(counts=False), answers=all_at_once, as_json=verdict_json, ordered=False
    ),
    "two-that-ask": Example(two_that_ask, answers=backwards_one_by_one, as_json=verdict_json),
    "dropped-answers": Example(dropped_answers, answers=texts_and_flags, ordered=False),
    "wrapped": Example(wrapped),
    "wrapped-direct": Example(wrapped_direct),
    "wrapped-failing": Example(wrapped_failing),
    "wrapped-asking": Example(wrapped_asking, answers=backwards_one_by_one, as_json=verdict_json),
    "intercepted": Example(intercepted),
    "agents-in-a-chain": Example(agents_in_a_chain),
    "agent-in-a-loop": Example(agent_in_a_loop),
    "wrapped-agents": Example(wrapped_agents, ordered=False),
    "approving-agent": Example(approving_agent, answers=approve, as_json=lambda answer: answer.to_dict()),
}
