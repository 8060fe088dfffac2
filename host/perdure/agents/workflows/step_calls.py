"""The calls of agents in mode `steps`: an activity makes one of them, and what was answered before is read.

The handlers run from their beginning each time. Where an agent calls its model or a tool, the stored answer is its
answer; where none is stored the handlers wait, the activity ends, and what they wait for is its result. A call is known
by its place: the n-th call of an agent's model, and for tools the call's id in that model's answer.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Never, TypeVar

from agent_framework import ChatResponse, FunctionInvocationContext, Message
from agent_framework.exceptions import MiddlewareException, UserInputRequiredException

from perdure.agents.errors import AgentError
from perdure.agents.special_tools import orchestration_of
from perdure.agents.workflows.call_journal import digest
from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError
from perdure.agents.workflows.wire import Need, Steps
from perdure.core.failure import NonRetryableError
from perdure.storage.protocol import Storage

T = TypeVar("T")

_SETTLING = 50
"""Turns of the event loop that calls made side by side are given to begin."""


class AgentCallError(AgentError, NonRetryableError):
    """A call of an agent's model or of a tool failed at all its attempts; the attributes tell what was raised."""

    def __init__(self, error_type: str, error_message: str) -> None:
        super().__init__(error_message)
        self.error_type = error_type
        self.error_message = error_message


class StepCalls:
    """The calls of one activity of an executor.

    Args:
        storage: the hub's.
        instance_id: the run's instance, whose payloads the answers are.
        steps: what the orchestrator says.
        codec: of the workflow.
    """

    streams = True

    def __init__(self, storage: Storage, instance_id: str, steps: Steps, codec: Codec) -> None:
        self._storage = storage
        self._instance_id = instance_id
        self._prefix = f"calls-{digest(steps['key'])}-"
        self._codec = codec
        self._steps = steps
        self._failed = steps.get("failed")
        self._may_ask = steps.get("may_ask", False)
        self._stored: set[str] = set()
        self._asked: Counter[str] = Counter()
        self._times: Counter[str] = Counter()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._stopped = asyncio.Event()
        self._over = False
        self.needs: dict[str, Need] = {}
        """What the handlers wait for, by the calls' keys."""
        self.model_error: Exception | None = None
        """What the model raised here."""
        self.performed = False
        """Whether the tool call that this activity is for has been made."""
        self.tool_error: Exception | None = None
        """What it raised."""

    async def open(self) -> None:
        """Look for what is stored."""
        self._stored = set(await self._storage.list_payloads(self._instance_id, self._prefix))

    def has(self, key: str) -> bool:
        """Whether the answer to a call was stored before."""
        return self._prefix + digest(key) in self._stored

    async def run(self, handlers: Coroutine[Any, Any, T]) -> T | None:
        """Run handlers until they end, or until all that they do is wait for calls that are not made here; None then.

        Raises:
            Exception: what the handlers raise.
        """
        task = asyncio.create_task(handlers)
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            while not task.done() and not await self._settled():
                pass
            return task.result() if task.done() else None
        finally:
            self._over = True
            stopped.cancel()
            if task.cancel():  # nothing that it still raises matters: it will run again
                await asyncio.gather(task, return_exceptions=True)

    # ---- calls -----------------------------------------------------------------------------------------------------

    async def model(
        self,
        agent: str,
        messages: Sequence[Message],  # noqa: ARG002 - the protocol's; a call is known by its place
        ask: Callable[[], Awaitable[ChatResponse[Any]]],
    ) -> ChatResponse[Any]:
        """Answer for an agent's model."""
        self._asked[agent] += 1
        key = f"model {agent} {self._asked[agent]}"
        stored = await self._read(key)
        if stored is None and self._failed is not None:
            stored, self._failed = await self._store(key, {"error": self._failed}), None
        if stored is None:
            if not self._may_ask:
                await self._wait({"call": key, "kind": "model"})
            stored = await self._ask(key, ask) or await self._wait({"call": key, "kind": "model"})
        if "error" in stored:
            raise AgentCallError(*stored["error"])
        answer: ChatResponse[Any] = self._codec.decode(stored["answer"])
        return answer

    async def tool(
        self, agent: str, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]
    ) -> None:
        """Set the result of a tool call."""
        place = f"tool {agent} {self._asked[agent]} {context.metadata.get('call_id')}"
        self._times[place] += 1
        key = f"{place} {self._times[place]}"
        known: Any = self._steps.get("answers", {}).get(key)
        stored: dict[str, Any] | None = known or await self._read(key)
        if stored is None and self._steps.get("perform") == key:
            stored = await self._perform(key, context, call_next)
        if stored is None or self._steps.get("perform") == key:
            await self._wait(_need(key, context))
        elif "error" in stored:
            raise AgentCallError(*stored["error"])
        elif "here" in stored:
            await call_next()
        else:
            context.result = stored["text"] if "text" in stored else self._codec.decode(stored["answer"])

    async def _ask(self, key: str, ask: Callable[[], Awaitable[ChatResponse[Any]]]) -> dict[str, Any] | None:
        """Ask a model; None if it raises something, with which the activity fails."""
        with self._making():
            try:
                answer = await ask()
            except Exception as error:  # noqa: BLE001 - the model's; the activity fails with it, and is tried again
                self.model_error, self._may_ask = error, False
                return None
            self._may_ask = False
            return await self._store(key, {"answer": self._written(answer, "what a model answered")})

    async def _perform(
        self, key: str, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]
    ) -> dict[str, Any] | None:
        """Make the call that this activity is for; what ends the agent's loop is left to the loop, each time."""
        with self._making():
            self.performed = True
            try:
                await call_next()
                name = context.function.name
                answer: dict[str, Any] = {"answer": self._written(context.result, f"the result of tool '{name}'")}
            except (MiddlewareException, UserInputRequiredException):
                answer = {"here": True}
            except Exception as error:  # noqa: BLE001 - the tool's; the activity fails with it, and is tried again
                if type(error).__name__ != "_FunctionArgumentValidationError":
                    self.tool_error = error
                    return None
                answer = {"here": True}
            return await self._store(key, answer)

    # ---- what is stored --------------------------------------------------------------------------------------------

    async def _read(self, key: str) -> dict[str, Any] | None:
        payload_id = self._prefix + digest(key)
        if payload_id not in self._stored:
            return None
        with self._making():
            found: dict[str, Any] = json.loads(await self._storage.get_payload(self._instance_id, payload_id))
            return found

    async def _store(self, key: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Store an answer and return it, or the one that another run of this activity has stored before."""
        payload_id = self._prefix + digest(key)
        with self._making():
            data = json.dumps(answer, separators=(",", ":")).encode()
            if await self._storage.add_payload(self._instance_id, payload_id, data):
                return answer
            found: dict[str, Any] = json.loads(await self._storage.get_payload(self._instance_id, payload_id))
            return found

    def _written(self, value: Any, where: str) -> Any:
        try:
            return self._codec.encode(value)
        except UndeclaredTypeError as error:
            raise error.at(where) from None

    # ---- waiting ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _making(self) -> Iterator[None]:
        """While a call is made the activity does not end."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _wait(self, need: Need) -> Never:
        """Wait for the activity's end."""
        if not self._over:
            self.needs[need["call"]] = need
            self._stopped.set()
            await asyncio.Event().wait()
        raise asyncio.CancelledError

    async def _settled(self) -> bool:
        """Whether all calls that are made side by side wait, and none is being made."""
        known = len(self.needs)
        for _ in range(_SETTLING):
            await asyncio.sleep(0)
        if self._under_way:
            self._idle.clear()
            await self._idle.wait()
            return False
        return known == len(self.needs)


def _need(key: str, context: FunctionInvocationContext) -> Need:
    """Describe a tool call to the orchestrator."""
    orchestration = orchestration_of(context.function)
    if orchestration is None:
        return {"call": key, "kind": "tool", "name": context.function.name}
    arguments = dict(context.arguments)
    return {"call": key, "kind": "orchestration", "name": orchestration, "arguments": arguments}
