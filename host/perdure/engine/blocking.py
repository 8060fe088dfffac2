"""Blocking: what becomes of an instance whose orchestrator can't go on with the code that is deployed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.core.messages import Completion, ControlMessage
from perdure.core.versions import VersionFailure
from perdure.engine.journal import Journal
from perdure.engine.services import Services
from perdure.engine.settings import EngineSettings
from perdure.errors import NonDeterminismError, VersionMismatchError

_LONGEST_DELAY = 300.0
_FIRST_DELAY_FOR_OTHERS = 1.0
_LONGEST_DELAY_FOR_OTHERS = 30.0
_TRIES_PER_DELAY_FOR_OTHERS = 4
"""Where another worker may well take a message up, but chance decides who receives it."""
_REASON_LIMIT = 2_000


def delay_for_others(tries: int, settings: EngineSettings) -> float:
    """Return how many seconds waits what another worker may be able to do, after so many tries."""
    first = min(settings.blocked_delay, _FIRST_DELAY_FOR_OTHERS)
    return min(first * 2.0 ** (tries // _TRIES_PER_DELAY_FOR_OTHERS), _LONGEST_DELAY_FOR_OTHERS)


def waited_for_function(tries: int, settings: EngineSettings) -> bool:
    """Whether the function that this app does not have has been waited for long enough."""
    return sum(delay_for_others(each, settings) for each in range(tries)) >= settings.unknown_function_timeout


class Refusal:
    """Why an orchestrator can't take in some messages.

    Args:
        error: NonDeterminismError, UnknownFunctionError or VersionMismatchError.
        messages: what it would have taken in.
    """

    def __init__(self, error: Exception, messages: Sequence[ControlMessage]) -> None:
        self.error = error
        self.messages = list(messages)
        self.tries = max((message.tries for message in messages), default=0)

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
        if isinstance(refusal.error, VersionMismatchError):
            return settings.version_failure is VersionFailure.FAIL
        return waited_for_function(refusal.tries, settings)

    async def put_back(self, journal: Journal, refusal: Refusal, outcomes: Sequence[tuple[str, Completion]]) -> None:
        """Queue copies of the messages, and the outcomes of what ran in place, for later."""
        delay = self._delay(refusal)
        for message in refusal.messages:
            later = msgspec.structs.replace(message, tries=message.tries + 1)
            await self._services.mail.send(later, delay=delay)
        for execution, completion in outcomes:
            await self._services.dispatch.outcome(
                journal.instance_id, execution, completion, delay=delay, tries=refusal.tries + 1
            )

    def _delay(self, refusal: Refusal) -> float:
        settings = self._services.settings
        if isinstance(refusal.error, NonDeterminismError):
            return min(settings.blocked_delay * 2.0 ** min(refusal.tries, 10), _LONGEST_DELAY)
        return delay_for_others(refusal.tries, settings)
