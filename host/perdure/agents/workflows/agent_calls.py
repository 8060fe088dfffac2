"""Puts something between the agents of an executor and their models and tools: a journal, or a run in steps."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from agent_framework import (
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    Executor,
    FunctionInvocationContext,
    FunctionMiddleware,
    FunctionTool,
    Message,
    RawAgent,
)

from perdure.agents.special_tools import orchestration_of


class AgentCalls(Protocol):
    """What stands between agents and what they call."""

    streams: bool
    """Whether it takes calls of models whose answers are to come bit by bit; else they go past it."""

    async def model(
        self, agent: str, messages: Sequence[Message], ask: Callable[[], Awaitable[ChatResponse[Any]]]
    ) -> ChatResponse[Any]:
        """Answer for an agent's model; `ask` asks it. The agent is named by the executor's attribute."""

    async def tool(
        self, agent: str, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]
    ) -> None:
        """Set the result of a tool call; `call_next` runs the tool."""


def has_agents(executor: Executor) -> bool:
    """Whether an executor holds agents whose calls can be told from each other."""
    return any(_can_be_taken_apart(value) for value in vars(executor).values())


def agents_of(executor: Executor) -> list[RawAgent[Any]]:
    """Return the agents in an executor's attributes whose calls can be told from each other."""
    return [value for value in vars(executor).values() if _can_be_taken_apart(value)]


Say = Callable[[str], Awaitable[None]]
"""Is told parts of what models say, as they come."""


def put_between(executor: Executor, calls: AgentCalls, say: Say | None = None) -> None:
    """Have the agents in an executor's attributes call their models and tools by way of `calls`.

    Args:
        executor: a copy that is this activity's own; the agents are copied, too.
        calls: what stands between.
        say: is told what models say, if anybody is.
    """
    for name, value in list(vars(executor).items()):
        if _can_be_taken_apart(value):
            made = copy.copy(value)
            made.client = _client(value.client, calls, name, say)
            made.middleware = [_Tools(calls, name), *(value.middleware or [])]
            setattr(executor, name, made)


def _can_be_taken_apart(value: Any) -> bool:
    return isinstance(value, RawAgent) and isinstance(value.client, BaseChatClient)


class _Tools(FunctionMiddleware):
    def __init__(self, calls: AgentCalls, agent: str) -> None:
        self._calls = calls
        self._agent = agent

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        await self._calls.tool(self._agent, context, call_next)


def _client(client: Any, calls: AgentCalls, name: str, say: Say | None) -> Any:
    made = copy.copy(client)

    def respond(*, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **more: Any) -> Any:
        def ask(*, stream: bool = False) -> Any:
            return client._inner_get_response(messages=messages, stream=stream, options=options, **more)  # noqa: SLF001 - what clients implement

        async def spoken() -> ChatResponse[Any]:
            return await _spoken(ask(stream=True), say)

        async def answer() -> ChatResponse[Any]:
            return _formatted(await calls.model(name, messages, spoken if stream or say else ask), options)

        if not stream:
            return answer()
        return client._build_response_stream(_pieces(answer)) if calls.streams else ask(stream=True)  # noqa: SLF001 - what clients use

    def get_response(messages: Any, *, options: Any = None, **others: Any) -> Any:
        given = dict(options or {})
        if given.get("tools"):
            given["tools"] = [_runnable(each) for each in given["tools"]]
        return type(client).get_response(made, messages, options=given, **others)

    made._inner_get_response = respond  # noqa: SLF001 - what clients implement
    if calls.streams:
        made.get_response = get_response
    return made


async def _spoken(stream: Any, say: Say | None) -> ChatResponse[Any]:
    """Return the whole of an answer that comes bit by bit."""
    async for update in stream:
        if say is not None and update.text:
            await say(update.text)
    response: ChatResponse[Any] = await stream.get_final_response()
    return response


def _formatted(answer: ChatResponse[Any], options: Mapping[str, Any]) -> ChatResponse[Any]:
    wanted = options.get("response_format")
    if wanted is not None and answer._response_format is None:  # noqa: SLF001 - no other way to give it back
        answer._response_format = wanted  # noqa: SLF001
    return answer


async def _pieces(answer: Callable[[], Awaitable[ChatResponse[Any]]]) -> AsyncIterator[ChatResponseUpdate]:
    """Yield a whole answer as an answer that comes bit by bit."""
    response = await answer()
    for message in response.messages:
        yield ChatResponseUpdate(
            role=cast("Any", message.role),
            contents=list(message.contents),
            author_name=message.author_name,
            message_id=message.message_id,
            response_id=response.response_id,
            conversation_id=response.conversation_id,
            model=response.model,
            created_at=response.created_at,
            finish_reason=response.finish_reason,
        )
    if response.usage_details:
        yield ChatResponseUpdate(
            contents=[Content.from_usage(response.usage_details)], response_id=response.response_id
        )


def _runnable(tool: Any) -> Any:
    """Return a tool that stands for an orchestration as one that the framework runs; others as they are."""
    if not isinstance(tool, FunctionTool) or orchestration_of(tool) is None:
        return tool
    return FunctionTool(
        name=tool.name,
        description=tool.description,
        func=_never_run,
        input_model=tool.parameters(),
        approval_mode=tool.approval_mode,
        additional_properties=tool.additional_properties,
    )


async def _never_run(**_: Any) -> str:
    """Stand for an orchestration, whose result is put in the place of this one's."""
    raise NotImplementedError
