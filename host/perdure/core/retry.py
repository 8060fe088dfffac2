"""Retry policies: how long to wait before the next attempt, if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from perdure.core.failure import Failure

_FOREVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries with exponential backoff.

    Args:
        first_retry_interval: wait before the second attempt; more than zero.
        max_number_of_attempts: attempts in all, the first included; at least 1.
        backoff_coefficient: factor by which the wait grows from attempt to attempt; at least 1.
        max_retry_interval: upper bound of a single wait.
        retry_timeout: no attempt begins later than this after the first one began.
    """

    first_retry_interval: timedelta
    max_number_of_attempts: int
    backoff_coefficient: float = 1.0
    max_retry_interval: timedelta | None = None
    retry_timeout: timedelta | None = None

    def __post_init__(self) -> None:
        if self.first_retry_interval <= timedelta(0):
            raise ValueError(f"first_retry_interval must be more than zero, not {self.first_retry_interval}")
        if self.max_number_of_attempts < 1:
            raise ValueError(f"max_number_of_attempts must be at least 1, not {self.max_number_of_attempts}")
        if not self.backoff_coefficient >= 1:
            raise ValueError(f"backoff_coefficient must be at least 1, not {self.backoff_coefficient}")


class RetryOptions(RetryPolicy):
    """The same policy with the names and units (milliseconds) of Durable Functions."""

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
    ) -> None:
        super().__init__(
            first_retry_interval=timedelta(milliseconds=first_retry_interval_in_milliseconds),
            max_number_of_attempts=max_number_of_attempts,
            backoff_coefficient=backoff_coefficient,
            max_retry_interval=_milliseconds(max_retry_interval_in_milliseconds),
            retry_timeout=_milliseconds(retry_timeout_in_milliseconds),
        )

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Wait before the second attempt."""
        return round(self.first_retry_interval / timedelta(milliseconds=1))


def next_wait(
    policy: RetryPolicy, *, attempts: int, first_began: datetime, now: datetime, failure: Failure
) -> timedelta | None:
    """Return how long to wait before the next attempt, or None if the last failure stands.

    Args:
        policy: the caller's policy.
        attempts: how many attempts have been made.
        first_began: when the first one was scheduled.
        now: the orchestration's time.
        failure: how the last attempt failed.
    """
    if failure.non_retryable or attempts >= policy.max_number_of_attempts:
        return None
    longest = policy.max_retry_interval or _FOREVER
    try:
        wait = min(policy.first_retry_interval * policy.backoff_coefficient ** (attempts - 1), longest)
    except OverflowError:
        wait = longest
    if policy.retry_timeout is not None and now + wait > first_began + policy.retry_timeout:
        return None
    return wait


def _milliseconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(milliseconds=value)
