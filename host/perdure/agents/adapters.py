"""Making an agent of what is none: a plain function, or a runnable of another framework."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from agent_framework import (
    AgentResponse,
    AgentResponseUpdate,
    AgentSession,
    BaseAgent,
    Content,
    Message,
    ResponseStream,
)

from perdure.agents.errors import UnusableAnswer

Reply = str | Message | AgentResponse[Any]
"""What a function may answer; pieces of a text, if it is an async generator."""

Answering = Callable[[list[Message]], Awaitable[Reply] | AsyncIterator[str]]


def as_agent(answers: Any, *, name: str, description: str | None = None) -> BaseAgent:
    """Return an agent that answers by calling a function, or a runnable with `ainvoke` (LangChain, LangGraph).

    Args:
        answers: `async def answers(messages) -> reply`, where `messages` is the conversation, the newest message last,
            and the reply a text, a Message or an AgentResponse; or an async generator of texts, which streams; or an
            object with `ainvoke`.
        name: the agent's name.
        description: what it does.

    Raises:
        TypeError: it is neither.
    """
    if callable(getattr(answers, "ainvoke", None)):
        return FunctionAgent(_runnable(answers), name=name, description=description)
    if inspect.iscoroutinefunction(answers) or inspect.isasyncgenfunction(answers):
        return FunctionAgent(answers, name=name, description=description)
    raise TypeError(f"agent '{name}': an async function or an object with `ainvoke` can answer, not {answers!r}")


class FunctionAgent(BaseAgent):
    """An agent that answers by calling an async function.

    Args:
        answers: the function.
        name: the agent's name.
        description: what it does.
    """

    def __init__(self, answers: Answering, *, name: str, description: str | None = None) -> None:
        super().__init__(name=name, description=description)
        self._answers = answers

    def run(
        self,
        messages: Any = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,  # noqa: ARG002 - part of the protocol
        **_: Any,
    ) -> Any:
        """Answer a conversation; see the framework's agent protocol."""
        conversation = _messages(messages)
        if not stream:
            return self._whole(conversation)
        return ResponseStream(self._pieces(conversation), finalizer=AgentResponse.from_updates)

    async def _whole(self, conversation: list[Message]) -> AgentResponse[Any]:
        answer = self._answers(conversation)
        if not hasattr(answer, "__aiter__"):
            return self._response(await answer)
        pieces = [self._piece(piece) async for piece in answer]
        return self._response("".join(pieces))

    async def _pieces(self, conversation: list[Message]) -> AsyncIterator[AgentResponseUpdate]:
        answer = self._answers(conversation)
        if hasattr(answer, "__aiter__"):
            async for piece in answer:
                yield AgentResponseUpdate(role="assistant", contents=[Content.from_text(self._piece(piece))])
            return
        for message in self._response(await answer).messages:
            yield AgentResponseUpdate(
                role=message.role, contents=list(message.contents), message_id=message.message_id or None
            )

    def _piece(self, piece: Any) -> str:
        if not isinstance(piece, str):
            raise UnusableAnswer(f"agent '{self.name}' answered {type(piece).__name__}: its pieces are texts")
        return piece

    def _response(self, reply: Reply) -> AgentResponse[Any]:
        if isinstance(reply, AgentResponse):
            return reply
        if not isinstance(reply, str | Message):
            raise UnusableAnswer(
                f"agent '{self.name}' answered {type(reply).__name__}: what it returns is a text, a Message or an "
                f"AgentResponse"
            )
        message = reply if isinstance(reply, Message) else Message(role="assistant", contents=[reply])
        return AgentResponse(messages=[message])


def _messages(given: Any) -> list[Message]:
    if given is None:
        return []
    many = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return [each if isinstance(each, Message) else Message(role="user", contents=[each]) for each in many]


def _runnable(runnable: Any) -> Answering:
    """Have a runnable answer: it is given (role, text) pairs, and answers a message, a text, or a state of messages."""

    async def answers(conversation: list[Message]) -> str:
        pairs = [(message.role, message.text) for message in conversation]
        is_graph = hasattr(runnable, "get_graph") and hasattr(runnable, "stream_mode")
        answer = await runnable.ainvoke({"messages": pairs} if is_graph else pairs)
        if isinstance(answer, dict) and answer.get("messages"):
            answer = answer["messages"][-1]
        content = getattr(answer, "content", answer)
        return content if isinstance(content, str) else str(getattr(answer, "text", content))

    return answers
