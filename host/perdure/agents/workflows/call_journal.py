"""What an agent's model and tools have answered in an activity, stored as it comes.

Should the activity be run again, because its worker died, what is stored is not asked for again: a turn that broke off
at its ninth call goes on with the tenth. Answers are payloads of the run's instance and go with it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agent_framework import ChatResponse, FunctionInvocationContext, Message

from perdure.agents.workflows.codec import Codec
from perdure.storage.protocol import Storage

_PASSING = {"id", "additional_properties", "message_id", "raw_representation"}
"""Fields of messages that the framework makes up anew."""


class CallJournal:
    """The answers of one activity.

    Args:
        storage: the hub's.
        instance_id: the run's instance.
        step: key of the activity, the same for each of its runs.
        codec: of the workflow.
    """

    streams = False

    def __init__(self, storage: Storage, instance_id: str, step: str, codec: Codec) -> None:
        self._storage = storage
        self._instance_id = instance_id
        self._prefix = f"calls-{digest(step)}-"
        self._codec = codec
        self._stored: set[str] = set()
        self._times: Counter[str] = Counter()

    async def open(self) -> None:
        """Look for what an earlier run has stored."""
        self._stored = set(await self._storage.list_payloads(self._instance_id, self._prefix))

    async def model(
        self, agent: str, messages: Sequence[Message], ask: Callable[[], Awaitable[ChatResponse[Any]]]
    ) -> ChatResponse[Any]:
        """Answer for an agent's model."""
        answer: ChatResponse[Any] = await self._recall([agent, "model", _lasting(messages)], ask)
        return answer

    async def tool(
        self, agent: str, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]
    ) -> None:
        """Set the result of a tool call."""

        async def ask() -> Any:
            await call_next()
            return context.result

        call = [agent, "tool", context.function.name, str(context.metadata.get("call_id"))]
        context.result = await self._recall(call, ask)

    async def _recall(self, what: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return the answer to a call: the stored one, or else a new one, which is stored.

        Args:
            what: JSON that tells the call from others; equal calls are told apart by their order.
            ask: makes the call.
        """
        key = digest(json.dumps(what, sort_keys=True, default=str))
        self._times[key] += 1
        payload_id = f"{self._prefix}{key}-{self._times[key]}"
        if payload_id in self._stored:
            data = await self._storage.get_payload(self._instance_id, payload_id)
            return self._codec.decode(json.loads(data))
        answer = await ask()
        if self._codec.can_encode(answer):  # what can't be stored is asked for again
            data = json.dumps(self._codec.encode(answer), separators=(",", ":")).encode()
            await self._storage.add_payload(self._instance_id, payload_id, data)
        return answer


def _lasting(messages: Sequence[Message]) -> list[Any]:
    return [_without_passing(each.to_dict()) for each in messages]


def _without_passing(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_passing(value) for key, value in data.items() if key not in _PASSING}
    return [_without_passing(each) for each in data] if isinstance(data, list) else data


def digest(text: str) -> str:
    """Return a text's digest, as part of a payload's id."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
