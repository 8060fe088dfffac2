"""What an agent's functions, sessions and turns are called in a hub.

The entity's name, `dafx-` and the agent's, is that of the Agent Framework's own Functions host.
"""

from __future__ import annotations

import re

from perdure.agents.errors import AgentError
from perdure.core.entity_id import EntityId

NAME_LIMIT = 64
SESSION_LIMIT = 120
CORRELATION_LIMIT = 64
"""In characters; together with the prefixes they fit into an instance id."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_. -]{{0,{NAME_LIMIT - 1}}}")
_UNREACHABLE = re.compile(r"[\ud800-\udfff]|%2f", re.IGNORECASE)
"""What no path can name: halves of characters, and what the Functions host can't tell from an encoded slash."""
_CORRELATION = re.compile(rf"[A-Za-z0-9_.-]{{1,{CORRELATION_LIMIT}}}")


def checked_agent_name(name: object) -> str:
    """Return the name. Raises AgentError if no agent can have it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AgentError(
            f"an agent needs a name of 1 to {NAME_LIMIT} letters, digits, spaces and any of '_.-', beginning with a "
            f"letter or a digit, not {name!r}"
        )
    return name


def checked_session_key(key: object) -> str:
    """Return the key of a session. Raises AgentError if no session can have it."""
    is_text = isinstance(key, str) and key.strip() and len(key) <= SESSION_LIMIT
    if not isinstance(key, str) or not is_text or key in (".", "..") or _UNREACHABLE.search(key):
        raise AgentError(
            f"a session id is a text of 1 to {SESSION_LIMIT} characters without lone surrogates and '%2F', and neither "
            f"'.' nor '..', not {key!r}"
        )
    return key


def checked_correlation(value: object) -> str:
    """Return a turn's correlation id. Raises AgentError if it can't be one."""
    if not isinstance(value, str) or not _CORRELATION.fullmatch(value):
        raise AgentError(
            f"a correlation id has 1 to {CORRELATION_LIMIT} letters, digits and any of '_.-', which {value!r} has not"
        )
    return value


def entity_name(agent: str) -> str:
    """Name of the entity that keeps the agent's sessions."""
    return f"dafx-{agent}"


def session_entity_id(agent: str, session: str) -> EntityId:
    """The entity that keeps one session."""
    return EntityId(entity_name(agent), session)


def turn_name(agent: str) -> str:
    """Name of the orchestrator of the agent's turns."""
    return f"dafx-{agent}-turn"


def model_name(agent: str) -> str:
    """Name of the activity that asks the agent's model."""
    return f"dafx-{agent}-model"


def tool_name(agent: str) -> str:
    """Name of the activity that runs one of the agent's tools."""
    return f"dafx-{agent}-tool"


def turn_prefix(agent: str, session: str) -> str:
    """What the instance ids of all turns of a session begin with."""
    return f"dafx-{agent}:{session}:"


def turn_id(agent: str, session: str, correlation: str) -> str:
    """Instance id of a turn: the same correlation id is the same turn."""
    return turn_prefix(agent, session) + correlation


def turn_parts(agent: str, instance_id: str) -> tuple[str, str]:
    """Return the session and the correlation id of a turn of an agent."""
    session, _, correlation = instance_id.removeprefix(f"dafx-{agent}:").rpartition(":")
    return session, correlation
