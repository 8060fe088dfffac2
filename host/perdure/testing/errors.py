"""What tests of durable code fail with. Both are AssertionErrors: test runners count them as failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure.testing.orchestrator_run import OrchestratorRun


class StuckError(PerdureError, AssertionError):
    """Everything waits for something that can never come."""

    def __init__(self, message: str, run: OrchestratorRun | None = None) -> None:
        super().__init__(message)
        self.run = run
        """How far the orchestrator came, if it was run alone."""


class HistoryDiffers(PerdureError, AssertionError):
    """A recorded history does not replay with today's code. Its cause is the NonDeterminismError."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why
        """The part of the message that says what differs."""
