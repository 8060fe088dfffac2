"""Retry policies: how long to wait before the next attempt, if there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from perdure.core.failure import ErrorType, TaskFailedError

_FOREVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries with exponential backoff.

    Args:
        first_retry_interval: wait before the second attempt; more than zero.
        max_number_of_attempts: attempts in all, the first included; at least 1.
        backoff_coefficient: factor by which the wait grows from attempt to attempt; at least 1.
        max_retry_interval: upper bound of a single wait, jitter aside.
        retry_timeout: no attempt begins later than this after the first one began.
        jitter: largest part, from 0 to 1, by which a wait is made shorter or longer, so that many that failed together
            don't come back together. It is drawn from the orchestration's own randomness: a replay draws the same.
        non_retryable: types of errors that end the retrying: classes (their subclasses are not known where the
            decision is made: name them too) or names, qualified or not.
        handle: called with the `TaskFailedError` after each failed attempt; retrying ends if it returns False. It is
            orchestrator code: deterministic, and quick.
    """

    first_retry_interval: timedelta
    max_number_of_attempts: int
    backoff_coefficient: float = 1.0
    max_retry_interval: timedelta | None = None
    retry_timeout: timedelta | None = None
    jitter: float = 0
    non_retryable: Sequence[ErrorType] = ()
    handle: Callable[[TaskFailedError], bool] | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        if self.first_retry_interval <= timedelta(0):
            raise ValueError(f"first_retry_interval must be more than zero, not {self.first_retry_interval}")
        if self.max_number_of_attempts < 1:
            raise ValueError(f"max_number_of_attempts must be at least 1, not {self.max_number_of_attempts}")
        if not self.backoff_coefficient >= 1:
            raise ValueError(f"backoff_coefficient must be at least 1, not {self.backoff_coefficient}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be from 0 to 1, not {self.jitter}")
        if isinstance(self.non_retryable, str) or not isinstance(self.non_retryable, Sequence):
            raise TypeError(f"non_retryable takes a list of exception classes or names, not {self.non_retryable!r}")


class RetryOptions(RetryPolicy):
    """The same policy with the names and units (milliseconds) of Durable Functions."""

    def __init__(  # noqa: PLR0917 - Durable Functions' own parameters, in their order
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
        jitter: float = 0,
        non_retryable: Sequence[ErrorType] = (),
        handle: Callable[[TaskFailedError], bool] | None = None,
    ) -> None:
        super().__init__(
            first_retry_interval=_milliseconds(first_retry_interval_in_milliseconds, "first_retry_interval"),
            max_number_of_attempts=max_number_of_attempts,
            backoff_coefficient=backoff_coefficient,
            max_retry_interval=_timedelta(max_retry_interval_in_milliseconds, "max_retry_interval"),
            retry_timeout=_timedelta(retry_timeout_in_milliseconds, "retry_timeout"),
            jitter=jitter,
            non_retryable=non_retryable,
            handle=handle,
        )

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Wait before the second attempt."""
        return round(self.first_retry_interval / _MILLISECOND)

    @property
    def max_retry_interval_in_milliseconds(self) -> int | None:
        """Upper bound of a single wait."""
        return None if self.max_retry_interval is None else round(self.max_retry_interval / _MILLISECOND)

    @property
    def retry_timeout_in_milliseconds(self) -> int | None:
        """How long after the first attempt the last one may begin."""
        return None if self.retry_timeout is None else round(self.retry_timeout / _MILLISECOND)


_MILLISECOND = timedelta(milliseconds=1)


def next_wait(
    policy: RetryPolicy,
    *,
    attempts: int,
    first_began: datetime,
    now: datetime,
    error: TaskFailedError,
    draw: Callable[[], float],
) -> timedelta | None:
    """Return how long to wait before the next attempt, or None if the last failure stands.

    Args:
        policy: the caller's policy.
        attempts: how many attempts have been made.
        first_began: when the first one was scheduled.
        now: the orchestration's time.
        error: how the last attempt failed.
        draw: returns a random number from 0 to 1, the same one in every replay.
    """
    if attempts >= policy.max_number_of_attempts or not _may_retry(policy, error):
        return None
    longest = min(policy.max_retry_interval or _FOREVER, _FOREVER)
    try:
        wait = min(policy.first_retry_interval * policy.backoff_coefficient ** (attempts - 1), longest)
    except OverflowError:
        wait = longest
    if policy.jitter:
        wait *= 1 + policy.jitter * (2 * draw() - 1)
    if policy.retry_timeout is not None and now - first_began + wait > policy.retry_timeout:
        return None
    return wait


def _may_retry(policy: RetryPolicy, error: TaskFailedError) -> bool:
    if error.details.non_retryable or any(error.details.is_a(kind) for kind in policy.non_retryable):
        return False
    return policy.handle is None or bool(policy.handle(error))


def _timedelta(milliseconds: object, name: str) -> timedelta | None:
    return None if milliseconds is None else _milliseconds(milliseconds, name)


def _milliseconds(number: object, name: str) -> timedelta:
    if not isinstance(number, int | float):
        raise TypeError(f"{name}_in_milliseconds is a number, not {type(number).__name__}")
    try:
        return number * _MILLISECOND
    except (ValueError, OverflowError):
        raise ValueError(f"{name}_in_milliseconds can't be {number}") from None


def _check_types(policy: RetryPolicy) -> None:
    for name in ("first_retry_interval", "max_retry_interval", "retry_timeout"):
        value = getattr(policy, name)
        if not isinstance(value, timedelta) and (value is not None or name == "first_retry_interval"):
            raise TypeError(f"{name} is a timedelta, not {type(value).__name__}")
    if not isinstance(policy.max_number_of_attempts, int):
        raise TypeError(f"max_number_of_attempts is a whole number, not {policy.max_number_of_attempts!r}")
    for name in ("backoff_coefficient", "jitter"):
        value = getattr(policy, name)
        if not isinstance(value, int | float):
            raise TypeError(f"{name} is a number, not {type(value).__name__}")
    if policy.handle is not None and not callable(policy.handle):
        raise TypeError(f"handle is a function, not {type(policy.handle).__name__}")
