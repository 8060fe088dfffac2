"""Running an Agent Framework agent in part: one call of its model, or one call of a tool.

Everything that leans on how the framework's `Agent` is made is here. An agent is an ordinary object whose `client`,
`context_providers` and `middleware` it reads when it runs: a shallow copy with others of these runs differently, and
leaves the original as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from agent_framework import (
    AgentSession,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationContext,
    FunctionInvocationLayer,
    FunctionMiddleware,
    FunctionTool,
    HistoryProvider,
    InMemoryHistoryProvider,
    Message,
    MiddlewareTermination,
    RawAgent,
)
from agent_framework._middleware import categorize_middleware

from perdure.agents.errors import AgentError

SOURCE = "perdure"
"""What our history provider calls itself."""

_MARK = "perdure-call-"
_DEFAULT_ITERATIONS = 40
_DEFAULT_ERRORS = 3


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """When an agent's loop stops using tools; the framework's `function_invocation_configuration` says."""

    iterations: int
    """Rounds of tool calls in a turn; after the last one the model is asked once more, and may use no tool."""
    errors: int
    """Rounds of tool calls in a row that fail altogether."""
    detailed_errors: bool
    """Whether the model sees why a tool failed."""

    @classmethod
    def of(cls, agent: RawAgent[Any]) -> LoopLimits:
        """Return the agent's own limits."""
        settings = getattr(agent.client, "function_invocation_configuration", None) or {}
        return cls(
            iterations=settings.get("max_iterations", _DEFAULT_ITERATIONS),
            errors=settings.get("max_consecutive_errors_per_request", _DEFAULT_ERRORS),
            detailed_errors=bool(settings.get("include_detailed_errors")),
        )


class Transcript(HistoryProvider):
    """The history that a durable session keeps, given to an agent; what it says is stored elsewhere.

    Args:
        messages: the transcript.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__(SOURCE, store_inputs=False, store_outputs=False)
        self._messages = messages

    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **_: Any
    ) -> list[Message]:
        """Return the transcript."""
        del session_id, state
        return list(self._messages)

    async def save_messages(
        self, session_id: str | None, messages: Sequence[Message], *, state: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Store nothing."""


def keeps_own_history(agent: RawAgent[Any]) -> bool:
    """Whether one of its context providers gives the agent its history."""
    return any(
        isinstance(each, HistoryProvider) and not isinstance(each, InMemoryHistoryProvider) and each.load_messages
        for each in agent.context_providers
    )


def with_transcript(agent: RawAgent[Any], transcript: Sequence[Message]) -> RawAgent[Any]:
    """Return the agent with a durable session's transcript for its history, unless it keeps one elsewhere."""
    copied = copy.copy(agent)
    others = [each for each in agent.context_providers if not isinstance(each, InMemoryHistoryProvider)]
    copied.context_providers = others if keeps_own_history(agent) else [Transcript(transcript), *others]
    return copied


class _Survives(FunctionMiddleware):
    """Makes a failure of a tool of what would end the event loop: the framework runs tools in tasks of their own."""

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        try:
            await call_next()
        except (SystemExit, KeyboardInterrupt) as error:
            told = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise AgentError(f"tool '{context.function.name}' tried to end its process ({told})") from error


def surviving_its_tools(agent: RawAgent[Any]) -> RawAgent[Any]:
    """Return the agent such that a tool which calls `sys.exit` has failed, and nothing else."""
    copied = copy.copy(agent)
    copied.middleware = [_Survives(), *(agent.middleware or ())]
    return copied


class ToolsOffered:
    """An agent's model client that runs no tools, and notes which it offers to the model.

    Args:
        agent: a copy that is to have this client.
    """

    def __init__(self, agent: RawAgent[Any]) -> None:
        self.tools: dict[str, FunctionTool] = {}
        """The tools that are functions, by name; known after the model was called."""
        client: Any = copy.copy(agent.client)
        settings = getattr(client, "function_invocation_configuration", None) or {}
        client.function_invocation_configuration = {**settings, "enabled": False}
        ask = client.get_response

        def get_response(messages: Any, *, options: Any = None, **others: Any) -> Any:
            offered = (options or {}).get("tools") or []
            self.tools = {tool.name: tool for tool in offered if isinstance(tool, FunctionTool)}
            answer = ask(messages, options=options, **others)
            hook = getattr(answer, "with_transform_hook", None)
            return answer if hook is None else hook(_mark_calls)

        client.get_response = get_response
        agent.client = client


def _mark_calls(update: ChatResponseUpdate) -> ChatResponseUpdate:
    """Mark calls that come whole in a stream: the framework would take one for the rest of another of the same id."""
    for part in update.contents:
        if part.type == "function_call" and part.id is None and isinstance(part.arguments, Mapping):
            part.id = f"{_MARK}{uuid4().hex}"
    return update


def unmark_calls(calls: Iterable[Content]) -> None:
    """Take the marks away that calls were given while they came."""
    for call in calls:
        if call.id is not None and call.id.startswith(_MARK):
            call.id = None


class _CallsOne(FunctionInvocationLayer, BaseChatClient):
    """A model client that asks for one tool call, and keeps its result."""

    def __init__(self, call: Content, **options: Any) -> None:
        super().__init__(**options)
        self._call: Content | None = call
        self.result: Content | None = None

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Awaitable[ChatResponse[Any]]:
        del stream
        call, self._call = self._call, None
        if call is not None:
            _approve(options.get("tools"))
            return _answer([call])
        results = [part for part in messages[-1].contents if part.type == "function_result"]
        self.result = results[0] if results else None
        return _answer([])


def _approve(tools: Any) -> None:
    """Whoever has to approve has done so: put tools that need no approval in place of those that do."""
    for number, tool in enumerate(tools or ()):
        if isinstance(tool, FunctionTool) and tool.approval_mode == "always_require":
            tools[number] = copy.copy(tool)
            tools[number].approval_mode = "never_require"


async def _answer(contents: list[Content]) -> ChatResponse[Any]:
    return ChatResponse(messages=[Message(role="assistant", contents=contents)])


class _KeepsError(FunctionMiddleware):
    """Keeps what a tool raised; the framework hides it from the model."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        del context
        try:
            await call_next()
        except MiddlewareTermination:
            raise  # which brings the call's result
        except Exception as error:
            self.error = error
            raise


async def call_tool(agent: RawAgent[Any], call: Content, session: AgentSession) -> Content:
    """Have the framework run one tool call of the agent, with the agent's function middleware, and return the result.

    Raises:
        Exception: what the tool raised.
    """
    copied = with_transcript(agent, ())
    client: Any = agent.client
    own = categorize_middleware(agent.middleware)["function"]
    keeper = _KeepsError()
    fake = _CallsOne(
        call,
        middleware=list(getattr(client, "function_middleware", ())),
        function_invocation_configuration={
            **(getattr(client, "function_invocation_configuration", None) or {}),
            "max_iterations": 2,
        },
    )
    copied.client = fake
    copied.middleware = [keeper, _Survives(), *own]
    copied.default_options = {key: copied.default_options[key] for key in copied.default_options if key == "tools"}
    response = await copied.run([], session=session)
    if keeper.error is not None and type(keeper.error).__name__ != "_FunctionArgumentValidationError":
        raise keeper.error
    said = (part for message in response.messages for part in message.contents if part.type == "function_result")
    result = fake.result or next(said, None)
    if result is None:
        raise AgentError(f"tool '{call.name}' of agent '{agent.name}' gave no result")
    return result
