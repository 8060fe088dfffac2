"""Blocking: what becomes of an instance whose orchestrator can't go on with the code that is deployed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.core.messages import Completion, ControlMessage
from perdure.engine.journal import Journal
from perdure.engine.services import Services
from perdure.errors import NonDeterminismError

_FIRST_DELAY = 5.0
_LONGEST_DELAY = 300.0
_REASON_LIMIT = 2_000


class Refusal:
    """Why an orchestrator can't take in some messages.

    Args:
        error: NonDeterminismError or UnknownFunctionError.
        messages: what it would have taken in.
    """

    def __init__(self, error: Exception, messages: Sequence[ControlMessage]) -> None:
        self.error = error
        self.messages = list(messages)
        self.tries = max((message.tries for message in messages), default=0)
        self.delay = min(_FIRST_DELAY * 2 ** min(self.tries, 10), _LONGEST_DELAY)

    @property
    def reason(self) -> str:
        """What the instance's status says."""
        return f"blocked: {self.error}"[:_REASON_LIMIT]


class Blocking:
    """Puts messages back, with growing delay, until corrected code is deployed."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def is_final(self, refusal: Refusal) -> bool:
        """Whether the instance is to fail instead of waiting on."""
        settings = self._services.settings
        if isinstance(refusal.error, NonDeterminismError):
            return settings.fail_on_non_determinism
        return refusal.tries >= settings.unknown_function_tries

    async def put_back(self, journal: Journal, refusal: Refusal, outcomes: Sequence[tuple[str, Completion]]) -> None:
        """Queue copies of the messages, and the outcomes of what ran in place, for later."""
        for message in refusal.messages:
            later = msgspec.structs.replace(message, tries=message.tries + 1)
            await self._services.mail.send(later, delay=refusal.delay)
        for execution, completion in outcomes:
            await self._services.dispatch.outcome(
                journal.instance_id, execution, completion, delay=refusal.delay, tries=refusal.tries + 1
            )
