"""What is kept of a session: the entity's state, JSON that a person can read. docs/agents.md describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perdure.agents.errors import UnreadableSession
from perdure.agents.foreign_state import is_foreign, messages_of

SCHEMA = "perdure.agent-session"
VERSION = 1
RESULTS_KEPT = 50
"""A session remembers the results of so many turns: those are answered without being run again."""


@dataclass
class SessionState:
    """A session's transcript, its recent results, and what the agent's context providers keep."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    """The transcript: the framework's JSON form of messages, each with `correlationId` and `createdAt`."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Results of recent turns by correlation id, oldest first."""
    session: dict[str, Any] | None = None
    """JSON form of the framework's AgentSession: what context providers and the model's service remember."""
    turns: int = 0
    """Turns that have succeeded since the session began."""
    dropped: int = 0
    """Messages that the transcript has lost to its limit or to compaction."""

    @classmethod
    def read(cls, stored: Any) -> SessionState:
        """Return the state that is stored; None is a new session. Reads the Agent Framework's schema 1.x as well.

        Raises:
            UnreadableSession: it is neither.
        """
        if stored is None:
            return cls()
        if is_foreign(stored):
            messages, turns = messages_of(stored)
            return cls(messages=messages, turns=turns)
        if not isinstance(stored, Mapping) or stored.get("schema") != SCHEMA:
            raise UnreadableSession("the state of this session is none that agents have written: reset the session")
        if stored["version"] > VERSION:
            raise UnreadableSession(
                f"the state of this session has version {stored['version']}, but this app reads {VERSION} at most: "
                f"deploy the newer perdure"
            )
        return cls(
            messages=list(stored["messages"]),
            results=dict(stored["results"]),
            session=stored.get("session"),
            turns=stored["turns"],
            dropped=stored.get("droppedMessages", 0),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "turns": self.turns,
            "droppedMessages": self.dropped,
            "messages": self.messages,
            "results": self.results,
            "session": self.session,
        }

    def remember(self, correlation: str, result: dict[str, Any], limit: int) -> None:
        """Keep a turn's result; the oldest are forgotten, until there are few and together at most `limit` bytes."""
        self.results.pop(correlation, None)
        self.results[correlation] = result
        sizes = {key: _size(each) for key, each in self.results.items()}
        total = sum(sizes.values())
        for key in list(self.results)[:-1]:
            if len(self.results) <= RESULTS_KEPT and total <= limit:
                break
            del self.results[key]
            total -= sizes[key]

    def trim(self, limit: int) -> None:
        """Drop whole turns, the oldest first, until the transcript has at most `limit` bytes; the last turn stays."""
        sizes = [_size(each) for each in self.messages]
        total, first = sum(sizes), 0
        while total > limit:
            end = self._end_of_turn(first)
            if end == len(self.messages):
                break
            total -= sum(sizes[first:end])
            first = end
        self.dropped += first
        del self.messages[:first]

    def _end_of_turn(self, first: int) -> int:
        correlation = self.messages[first].get("correlationId")
        end = first + 1
        while end < len(self.messages) and self.messages[end].get("correlationId") == correlation:
            end += 1
        return end


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass"))
