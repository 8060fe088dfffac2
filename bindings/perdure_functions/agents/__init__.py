"""Durable agents on Azure Functions: `df.agents.AgentFunctionApp`. Needs the extra `agents`."""

from perdure.agents import (
    AgentCallbackContext,
    AgentError,
    AgentResponseCallbackProtocol,
    AgentSessionId,
    AgentTurnError,
    DurableAgentSession,
    DurableAIAgent,
    HumanPolicy,
    as_agent,
    ask_human_tool,
    orchestration_tool,
)
from perdure_functions.agents.app import AgentFunctionApp

__all__ = [
    "AgentCallbackContext",
    "AgentError",
    "AgentFunctionApp",
    "AgentResponseCallbackProtocol",
    "AgentSessionId",
    "AgentTurnError",
    "DurableAIAgent",
    "DurableAgentSession",
    "HumanPolicy",
    "as_agent",
    "ask_human_tool",
    "orchestration_tool",
]
