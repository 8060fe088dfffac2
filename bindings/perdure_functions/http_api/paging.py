"""Pages of lists: the token that leads to the next one, bound to the conditions of the list."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from perdure_functions.http_api.reading import BadRequest

if TYPE_CHECKING:
    import azure.functions as func

    from perdure_functions.http_api.models import EntityListQuery, ListQuery, PoisonListQuery

    AnyListQuery = ListQuery | EntityListQuery | PoisonListQuery

CONTINUATION = "x-ms-continuation-token"
_OF_THE_PAGE_ONLY = {"top", "show_input", "fetch_state"}
"""What may differ from page to page."""


def continued(request: func.HttpRequest, query: AnyListQuery, within: str = "") -> str | None:
    """Return the store's continuation in a request's token, None if it has none.

    Args:
        request: the request.
        query: what its query says.
        within: what its path says.

    Raises:
        BadRequest: the token is not one of this very list.
    """
    token: str | None = request.headers.get(CONTINUATION)
    if not token:
        return None
    fingerprint, _, continuation = token.partition(".")
    if fingerprint != _fingerprint(query, within) or not continuation:
        raise BadRequest(f"header {CONTINUATION}: this is no token of a page before with the same conditions")
    return continuation


def next_page(continuation: str | None, query: AnyListQuery, within: str = "") -> dict[str, str] | None:
    """Return the headers of a page: the token of the next one, if there is any. Arguments as `continued`."""
    return {CONTINUATION: f"{_fingerprint(query, within)}.{continuation}"} if continuation else None


def _fingerprint(query: AnyListQuery, within: str) -> str:
    """Tell a list from others, whatever its page size."""
    conditions = query.model_dump_json(exclude=_OF_THE_PAGE_ONLY)
    return hashlib.sha256(f"{type(query).__name__}/{within}/{conditions}".encode()).hexdigest()[:16]
