"""What goes wrong with agents."""

from perdure.errors import PerdureError


class AgentError(PerdureError):
    """Root of what durable agents raise."""


class AgentTurnError(AgentError):
    """A turn of an agent failed: its model, its tools or the people it asked."""
