"""Workflows that are written as functions."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import agent_framework
from agent_framework import RunContext, WorkflowEvent

from tests.agents.workflows.corpus import Example, Item, Order, Question, Verdict, verdict_json

EXPERIMENTAL = "ignore:.*is experimental and may change"
"""What the framework warns of wherever functions are workflows."""


def quietly(decorate: Any) -> Any:
    def decorator(function: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decorate(function)

    return decorator


step, workflow = quietly(agent_framework.step), quietly(agent_framework.workflow)


@step
async def measure(text: str) -> Item:
    return Item(len(text), [text])


@step
async def grow(item: Item, by: int) -> Item:
    if by > 3:
        raise ValueError(f"{by} is too much")
    return Item(item.number + by, [*item.trail, str(by)])


@workflow
async def pipeline(text: str) -> dict[str, Any]:
    """Steps one after the other, side by side, and the same one twice."""
    item = await measure(text)
    grown = await asyncio.gather(*(grow(item, by) for by in range(3)))
    for _ in range(2):
        item = await grow(item, 1)
    return {"item": item, "grown": grown, "by": (1, 2)}


@workflow
async def broken_pipeline(text: str) -> Item:
    return await grow(await measure(text), 5)


@step
async def ask_for_more(item: Item, ctx: RunContext) -> Item:
    verdict = await ctx.request_info(Question("more?", item), Verdict)
    return await grow(item, 2 if verdict.approved else 0)


@workflow
async def asking_pipeline(text: str, ctx: RunContext) -> list[Any]:
    """Asks in the function itself, and in a step; keeps state."""
    item = await measure(text)
    name = await ctx.request_info({"name of": item.number}, str, request_id="name")
    ctx.set_state("name", name)
    item = await ask_for_more(item)
    await ctx.add_event(WorkflowEvent("intermediate", executor_id="here", data=item))
    return [ctx.get_state("name"), item]


@step
async def hide(text: str) -> Any:
    return Order(by=(text, 1))


@workflow
async def secretive(text: str) -> str:
    return (await hide(text)).by[0]


def name_or_verdict(requests: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(each, "Ada" if each == "name" else Verdict(approved=True)) for each, _ in requests]


FUNCTIONS = {
    "function": Example(lambda: pipeline),
    "function-failing": Example(lambda: broken_pipeline),
    "function-asking": Example(
        lambda: asking_pipeline, answers=name_or_verdict, as_json=verdict_json, types=(Question, Verdict)
    ),
}
