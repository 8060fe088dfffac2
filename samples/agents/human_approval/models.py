"""The model that the agents use. Without a key it follows a script: the sample runs anywhere and says the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)

Script = Callable[[Sequence[Message], Mapping[str, Any]], str | list[Content]]
"""Answers a conversation under the options of its call: with a text, or with tool calls."""


def chat_client(script: Script) -> BaseChatClient[Any]:
    """Return the model. THIS IS WHERE A REAL ONE IS PLUGGED IN: any chat client of the Agent Framework does.

    For OpenAI's, `pip install agent-framework-openai` and set OPENAI_API_KEY (and OPENAI_MODEL) in local.settings.json.
    """
    if os.environ.get("OPENAI_API_KEY"):
        from agent_framework.openai import OpenAIChatClient

        real: BaseChatClient[Any] = OpenAIChatClient(model=os.environ.get("OPENAI_MODEL", "gpt-4.1-mini"))
        return real
    return ScriptedModel(script)


class ScriptedModel(FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]):
    """A model that follows a script. Each answer takes STEP_SECONDS: time to look, or to kill the host."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Awaitable[ChatResponse[Any]] | ResponseStream[ChatResponseUpdate, ChatResponse[Any]]:
        if stream:
            return self._build_response_stream(self._pieces(messages, options))
        return self._whole(messages, options)

    async def _whole(self, messages: Sequence[Message], options: Mapping[str, Any]) -> ChatResponse[Any]:
        await asyncio.sleep(float(os.environ.get("STEP_SECONDS", "0")))
        answer = self._script(messages, options)
        contents = [Content.from_text(answer)] if isinstance(answer, str) else answer
        return ChatResponse(messages=[Message(role="assistant", contents=contents)])

    async def _pieces(
        self, messages: Sequence[Message], options: Mapping[str, Any]
    ) -> AsyncIterator[ChatResponseUpdate]:
        for content in (await self._whole(messages, options)).messages[0].contents:
            texts = (content.text or "").splitlines(keepends=True)
            for piece in map(Content.from_text, texts) if content.type == "text" else [content]:
                yield ChatResponseUpdate(role="assistant", contents=[piece])


def tool_call(name: str, call_id: str, **arguments: Any) -> Content:
    """Return what a model says to have a tool called."""
    return Content.from_function_call(call_id=call_id, name=name, arguments=arguments)
