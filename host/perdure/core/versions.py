"""Versions of orchestrations: which come before which, and which a worker may run."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import assert_never

from perdure.core.naming import check_text

VERSION_LIMIT = 100
"""Characters that a version may have."""

_NUMBERS = re.compile(r"\d{1,9}(\.\d{1,9})*")


class VersionMatch(StrEnum):
    """Which instances a worker runs, by their version. Names are those of Durable Functions' `versionMatchStrategy`."""

    NONE = "None"
    """All of them."""
    STRICT = "Strict"
    """Those of exactly the worker's version."""
    CURRENT_OR_OLDER = "CurrentOrOlder"
    """Those of the worker's version and of older ones."""


class VersionFailure(StrEnum):
    """What becomes of others. Names are those of Durable Functions' `versionFailureStrategy`."""

    REJECT = "Reject"
    """They wait for a worker that may run them."""
    FAIL = "Fail"
    """They fail."""


def may_run(instance: str | None, worker: str | None, match: VersionMatch) -> bool:
    """Whether a worker of one version runs instances of another.

    Args:
        instance: the instance's version; None is the oldest of all.
        worker: the worker's.
        match: by which rule.
    """
    match match:
        case VersionMatch.NONE:
            return True
        case VersionMatch.STRICT:
            return compare(instance, worker) == 0
        case VersionMatch.CURRENT_OR_OLDER:
            return compare(instance, worker) <= 0
        case _:
            assert_never(match)


def compare(one: str | None, other: str | None) -> int:
    """Return a negative number if `one` is older than `other`, a positive one if it is newer, 0 if they are the same.

    Numbers separated by dots are compared as numbers (`1.10` is newer than `1.9`, and `1.0` the same as `1`), anything
    else as text without regard to case. None, and an empty text, is older than every version.
    """
    one, other = one or "", other or ""
    if _NUMBERS.fullmatch(one) and _NUMBERS.fullmatch(other):
        return _order(_numbers(one), _numbers(other))
    return _order(one.casefold(), other.casefold())


def checked_version(version: str | None) -> str | None:
    """Return the version if it can be stored. Raises TypeError for what is no text, ValueError for too long a one."""
    return None if version is None else check_text(version, "a version", VERSION_LIMIT)


def _numbers(version: str) -> list[int]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def _order(one: list[int] | str, other: list[int] | str) -> int:
    if one == other:
        return 0
    return -1 if one < other else 1  # type: ignore[operator] # both are of one type
