"""Durable AI agents, on the same engine as orchestrations and entities. Needs the extra `agents`.

An agent is any object with the Agent Framework's agent protocol; `as_agent` makes one of a plain function or of a
runnable. docs/agents.md explains when to use what.
"""

try:
    import agent_framework as _agent_framework  # noqa: F401 - says what is missing before anything half works
except ImportError as error:
    raise ImportError("perdure.agents needs the Agent Framework: pip install 'perdure[agents]'") from error
else:
    from perdure.agents.framework_version import check_framework

    check_framework()

from perdure.agents.adapters import as_agent
from perdure.agents.callbacks import AgentCallbackContext, AgentResponseCallbackProtocol
from perdure.agents.definition import DurableAgentDefinition, Mode
from perdure.agents.errors import AgentError, AgentTurnError
from perdure.agents.human import HumanPolicy
from perdure.agents.orchestrated import AgentSessionId, DurableAgentSession, DurableAIAgent
from perdure.agents.special_tools import ask_human_tool, orchestration_tool

__all__ = [
    "AgentCallbackContext",
    "AgentError",
    "AgentResponseCallbackProtocol",
    "AgentSessionId",
    "AgentTurnError",
    "DurableAIAgent",
    "DurableAgentDefinition",
    "DurableAgentSession",
    "HumanPolicy",
    "Mode",
    "as_agent",
    "ask_human_tool",
    "orchestration_tool",
]
