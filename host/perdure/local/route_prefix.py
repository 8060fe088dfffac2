"""The route prefix of an app: what its HTTP functions' routes begin with, `api` unless host.json says otherwise."""

from __future__ import annotations

import re

_PREFIX = re.compile(r"/?([A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?)?")


def checked_route_prefix(value: object) -> str:
    """Return the prefix if it can begin a URL's path; it may be empty. Raises ValueError."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ValueError(
            f"{value!r} can't be used: a route prefix is empty, or made of letters, digits and - . _ ~, with slashes "
            f"between them"
        )
    return value
