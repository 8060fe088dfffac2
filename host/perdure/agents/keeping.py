"""Keeping what has been answered: if that can't be done, nothing is asked again, since it is paid for already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from perdure.agents.errors import UnusableAnswer
from perdure.storage.protocol import StorageUnavailable


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Have a block that writes down an answer fail for good, unless only the store is away.

    Args:
        what: who has answered, such as "agent 'writer' answered".

    Raises:
        UnusableAnswer: what was answered has no JSON form, or is too large.
        StorageUnavailable: the store is away; what has been answered is looked for when this is run again.
    """
    try:
        yield
    except (StorageUnavailable, UnusableAnswer):
        raise
    except Exception as error:
        raise UnusableAnswer(f"{what} what can't be kept: {error}") from error
