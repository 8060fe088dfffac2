"""What stops the local host, told in one line."""

from __future__ import annotations

from perdure.errors import PerdureError
from perdure.local.exit_codes import FAILED


class HostError(PerdureError):
    """The local host can't start or can't go on; the message is one line for the person at the terminal.

    Args:
        message: What happened, to what, and what to do next.
        frames: The user's own traceback lines, innermost last, for when the line alone is not enough.
        exit_code: What the command should exit with.
    """

    def __init__(self, message: str, *, frames: tuple[str, ...] = (), exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.frames = frames
        self.exit_code = exit_code
