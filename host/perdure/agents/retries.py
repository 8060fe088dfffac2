"""How calls of models and tools are tried again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from perdure.core.retry import RetryPolicy

Retry = RetryPolicy | Mapping[str, RetryPolicy] | None
"""One policy for all, policies by name, or none."""

MODEL_RETRY = RetryPolicy(first_retry_interval=timedelta(seconds=2), max_number_of_attempts=3, backoff_coefficient=2)
"""For models, by default."""


def policy_of(retry: Retry, name: str) -> RetryPolicy | None:
    """Return the policy for what has this name."""
    return retry.get(name) if isinstance(retry, Mapping) else retry
