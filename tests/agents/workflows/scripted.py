"""A chat client whose answers follow from what it is sent: no model, no network, and the same answer every time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
)

Script = Callable[[Sequence[Message], Mapping[str, Any]], str | Content | list[Content]]


class ScriptedClient(FunctionInvocationLayer, BaseChatClient):
    """Answers as a function of the messages and options says: with a text, or with a call of a tool."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Any:
        async def respond() -> ChatResponse:
            answer = self._script(messages, options)
            contents = answer if isinstance(answer, list) else [answer]
            return ChatResponse(messages=[Message("assistant", contents)], response_id="r")

        return self._build_response_stream(self._pieces(respond)) if stream else respond()

    @staticmethod
    async def _pieces(respond: Callable[[], Awaitable[ChatResponse]]) -> AsyncIterator[ChatResponseUpdate]:
        for content in (await respond()).messages[0].contents:
            parts = [Content.from_text(each) for each in content.text] if content.type == "text" else [content]
            for part in parts:
                yield ChatResponseUpdate(role="assistant", contents=[part], response_id="r", message_id="m")


def agent(name: str, script: Script | None = None, **options: Any) -> Agent[Any]:
    """Return an agent that says what it was told, or what its script says."""

    def echo(messages: Sequence[Message], _: Mapping[str, Any]) -> str:
        heard = [f"{each.author_name or each.role}:{each.text}" for each in messages]
        return f"{name} heard {len(heard)}, last {heard[-1] if heard else 'nothing'}"

    return Agent(ScriptedClient(script or echo), name=name, id=name, **options)
