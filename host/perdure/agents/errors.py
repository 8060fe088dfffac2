"""What goes wrong with agents."""

from perdure.core.failure import NonRetryableError
from perdure.errors import PerdureError


class AgentError(PerdureError):
    """Root of what durable agents raise."""


class UnreadableSession(AgentError):
    """What is stored of a session is nothing that this version of agents can read."""


class AgentTurnError(AgentError):
    """A turn of an agent failed: its model, its tools or the people it asked."""


class UnusableAnswer(AgentTurnError, NonRetryableError):
    """What an agent or a tool answered is of the wrong type, or can't be kept. No retry policy has it asked again."""
