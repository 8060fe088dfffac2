"""A task hub with durable agents under test."""

from __future__ import annotations

from itertools import count
from typing import Any

from agent_framework import Agent

from perdure.agents import DurableAgentDefinition
from perdure.agents.naming import turn_id
from perdure.agents.requests import RunRequest
from perdure.client import Client
from tests.agents.models import Script, ScriptedModel
from tests.scenarios.hub import Hub


class AgentHub:
    """A hub, and the agents of its app."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.definitions: dict[str, DurableAgentDefinition] = {}
        self._numbers = count(1)

    def client(self) -> Client:
        return Client(self.hub.storage)

    def scripted(self, script: Script, name: str = "w", *, model: dict[str, Any] | None = None, **options: Any) -> Any:
        """Add a framework agent whose model answers by a script; return the model."""
        scripted = ScriptedModel(script, **(model or {}))
        given = {key: options.pop(key) for key in ("tools", "middleware", "context_providers") if key in options}
        self.add(Agent(scripted, "You are a test.", name=name, **given), **options)
        return scripted

    def add(self, agent: Any, **options: Any) -> DurableAgentDefinition:
        async def client():
            return self.client()

        definition = DurableAgentDefinition(agent, client, **({"model_retry": None, "expires_after": None} | options))
        definition.register(self.hub.registry)
        self.definitions[definition.name] = definition
        return definition

    async def start(self, message: str, session: str = "s", *, agent: str = "w", **request: Any) -> str:
        """Start a turn; return its correlation id."""
        asked = RunRequest.model_validate({"message": message, "correlationId": f"c{next(self._numbers)}"} | request)
        await self.sessions(agent).start(session, asked)
        return asked.correlation_id

    async def ask(self, message: str, session: str = "s", *, agent: str = "w", **request: Any) -> dict[str, Any]:
        """Run a turn; return its result."""
        if not self.hub.workers:
            await self.hub.add_worker()
        correlation = await self.start(message, session, agent=agent, **request)
        return await self.result(correlation, session, agent=agent)

    async def result(self, correlation: str, session: str = "s", *, agent: str = "w") -> dict[str, Any]:
        return await self.sessions(agent).result(session, correlation, wait=300)

    def sessions(self, agent: str = "w"):
        return self.definitions[agent].sessions(self.client())

    async def texts(self, session: str = "s", *, agent: str = "w") -> list[tuple[str, str]]:
        """The transcript: roles and texts."""
        state = await self.sessions(agent).transcript(session)
        return [(each["role"], "".join(part.get("text", "") for part in each["contents"])) for each in state.messages]

    @staticmethod
    def turn(correlation: str, session: str = "s", agent: str = "w") -> str:
        return turn_id(agent, session, correlation)
