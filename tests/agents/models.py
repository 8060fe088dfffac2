"""Scripted models: no network, no keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
)

Script = Callable[[Sequence[Message], dict[str, Any]], Any]
"""What the model answers to a conversation: a text, a list of contents, or an exception that it raises."""


def says(*texts: str) -> Script:
    """A model that says one text after the other, by the number of its own answers in the conversation."""

    def script(messages, options):
        return texts[sum(message.role == "assistant" for message in messages) % len(texts)]

    return script


def calls(name: str, call_id: str | None = None, **arguments: Any) -> Content:
    """A tool call."""
    return Content.from_function_call(call_id=call_id or f"call-{name}", name=name, arguments=arguments)


class ScriptedModel(FunctionInvocationLayer, ChatMiddlewareLayer, BaseChatClient):
    """A chat client that answers by a script, and notes what it was asked."""

    def __init__(self, script: Script, *, piece: int = 5, **options: Any) -> None:
        super().__init__(**options)
        self.script = script
        self.piece = piece
        self.asked: list[list[tuple[str, str]]] = []
        self.options: list[dict[str, Any]] = []

    def _inner_get_response(self, *, messages, stream, options, **kwargs):
        self.asked.append([(message.role, message.text) for message in messages])
        self.options.append(dict(options))
        if stream:
            return self._build_response_stream(self._pieces(messages, dict(options)))
        return self._whole(messages, dict(options))

    async def _whole(self, messages, options):
        contents = await self._answer(messages, options)
        usage = {"input_token_count": len(messages), "output_token_count": 1}
        return ChatResponse(messages=[Message(role="assistant", contents=contents)], usage_details=usage)

    async def _pieces(self, messages, options):
        for content in await self._answer(messages, options):
            if content.type != "text":
                yield ChatResponseUpdate(role="assistant", contents=[content])
                continue
            for start in range(0, len(content.text), self.piece):
                piece = Content.from_text(content.text[start : start + self.piece])
                yield ChatResponseUpdate(role="assistant", contents=[piece])
                await asyncio.sleep(0)
        usage = Content.from_usage({"input_token_count": len(messages), "output_token_count": 1})
        yield ChatResponseUpdate(role="assistant", contents=[usage])

    async def _answer(self, messages, options):
        answer = self.script(messages, options)
        if hasattr(answer, "__await__"):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return [Content.from_text(answer)]
        return answer if isinstance(answer, list) else [answer]
