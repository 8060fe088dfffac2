"""What an agent's model and tools have answered in an activity, stored as it comes.

Should the activity be run again, because its worker died, what is stored is not asked for again: a turn that broke off
at its ninth call goes on with the tenth. Answers are payloads of the run's instance and go with it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatResponse,
    Executor,
    FunctionInvocationContext,
    FunctionMiddleware,
    Message,
    RawAgent,
)

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

    def __init__(self, storage: Storage, instance_id: str, step: str, codec: Codec) -> None:
        self._storage = storage
        self._instance_id = instance_id
        self._prefix = f"calls-{_digest(step)}-"
        self._codec = codec
        self._stored: set[str] = set()
        self._times: Counter[str] = Counter()

    async def open(self) -> None:
        """Look for what an earlier run has stored."""
        self._stored = set(await self._storage.list_payloads(self._instance_id, self._prefix))

    async def recall(self, what: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return the answer to a call: the stored one, or else a new one, which is stored.

        Args:
            what: JSON that tells the call from others; equal calls are told apart by their order.
            ask: makes the call.
        """
        digest = _digest(json.dumps(what, sort_keys=True, default=str))
        self._times[digest] += 1
        payload_id = f"{self._prefix}{digest}-{self._times[digest]}"
        if payload_id in self._stored:
            data = await self._storage.get_payload(self._instance_id, payload_id)
            return self._codec.decode(json.loads(data))
        answer = await ask()
        if self._codec.can_encode(answer):  # what can't be stored is asked for again
            data = json.dumps(self._codec.encode(answer), separators=(",", ":")).encode()
            await self._storage.add_payload(self._instance_id, payload_id, data)
        return answer


class _JournaledTools(FunctionMiddleware):
    def __init__(self, journal: CallJournal, agent: str) -> None:
        self._journal = journal
        self._agent = agent

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        async def ask() -> Any:
            await call_next()
            return context.result

        call = [self._agent, "tool", context.function.name, str(context.metadata.get("call_id"))]
        context.result = await self._journal.recall(call, ask)


def has_agents(executor: Executor) -> bool:
    """Whether an executor holds agents whose calls can be journaled."""
    return any(_can_be_journaled(value) for value in vars(executor).values())


def _can_be_journaled(value: Any) -> bool:
    return isinstance(value, RawAgent) and isinstance(value.client, BaseChatClient)


def journal_agents(executor: Executor, journal: CallJournal) -> None:
    """Have the agents in an executor's attributes keep a journal.

    Args:
        executor: a copy that is this activity's own; the agents are copied, too.
        journal: of the activity.
    """
    for name, value in list(vars(executor).items()):
        if _can_be_journaled(value):
            setattr(executor, name, _journaled(value, journal, name))


def _journaled(agent: RawAgent[Any], journal: CallJournal, name: str) -> RawAgent[Any]:
    made = copy.copy(agent)
    made.client = _journaled_client(agent.client, journal, name)
    made.middleware = [_JournaledTools(journal, name), *(agent.middleware or [])]
    return made


def _journaled_client(client: Any, journal: CallJournal, name: str) -> Any:
    made = copy.copy(client)

    def respond(*, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **more: Any) -> Any:
        def ask() -> Any:
            return client._inner_get_response(messages=messages, stream=stream, options=options, **more)  # noqa: SLF001 - what clients implement

        return ask() if stream else _answer(journal, [name, "model", _lasting(messages)], ask, options)

    made._inner_get_response = respond  # noqa: SLF001 - what clients implement
    return made


async def _answer(
    journal: CallJournal, call: Any, ask: Callable[[], Awaitable[ChatResponse[Any]]], options: Mapping[str, Any]
) -> ChatResponse[Any]:
    answer: ChatResponse[Any] = await journal.recall(call, ask)
    wanted = options.get("response_format")
    if wanted is not None and answer._response_format is None:  # noqa: SLF001 - no other way to give it back
        answer._response_format = wanted  # noqa: SLF001
    return answer


def _lasting(messages: Sequence[Message]) -> list[Any]:
    return [_without_passing(each.to_dict()) for each in messages]


def _without_passing(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_passing(value) for key, value in data.items() if key not in _PASSING}
    return [_without_passing(each) for each in data] if isinstance(data, list) else data


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
