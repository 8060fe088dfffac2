"""Logging that does not repeat itself when history is replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SPEAKING = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


class ReplaySafeLogger:
    """Wraps any logger: what it logs is dropped while the orchestration replays."""

    def __init__(self, logger: Any, is_replaying: Callable[[], bool]) -> None:
        self._logger = logger
        self._is_replaying = is_replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name that logging gave it
        """Whether a line of this level would be logged now."""
        return not self._is_replaying() and bool(self._logger.isEnabledFor(level))

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._logger, name)
        if name not in _SPEAKING:
            return attribute

        def speak(*args: Any, **kwargs: Any) -> None:
            if not self._is_replaying():
                kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
                attribute(*args, **kwargs)

        return speak
