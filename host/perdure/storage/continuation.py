"""The opaque tokens between two pages of a query: a provider's position, bound to the provider and the hub."""

from __future__ import annotations

import base64
import binascii
import zlib

import msgspec


def write_continuation(origin: str, position: list[str]) -> str:
    """Return a URL-safe token for `position` in the query results of `origin` (provider and hub)."""
    body = msgspec.json.encode([origin, *position])
    return base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")


def read_continuation(origin: str, token: str, parts: int = 1) -> list[str]:
    """Return the position in `token`, which has so many parts. Raises ValueError if `origin` did not write exactly this
    token, TypeError if it is no text.
    """
    if not isinstance(token, str):
        raise TypeError(f"a continuation token is a text, not {type(token).__name__}")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if zlib.crc32(raw[4:]).to_bytes(4, "big") != raw[:4]:
            raise ValueError("its checksum is wrong")
        found, *position = msgspec.json.decode(raw[4:], type=list[str])
        if found == origin and len(position) != parts:
            raise ValueError("its position is none")
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise ValueError(f"{token!r} is no continuation token of a query: begin again without one") from error
    if found != origin:
        raise ValueError(f"the continuation token comes from {found!r}, not from {origin!r}: begin again without one")
    return position
