"""How requests of our own show who sends them: a signature by the account's key, a shared access signature, a token.

"Authorize with Shared Key" (Azure Storage REST API reference) holds the rules; Azurite knows the same.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ServiceRequestError

from perdure.storage.connection import AccountKey, SharedAccessSignature

_SCOPE = "https://storage.azure.com/.default"
_RENEW_BEFORE = 300
"""Seconds before a token's end from which on it is not used any more."""


class Request(NamedTuple):
    """What is to be asked of a service."""

    method: str
    url: str
    """Without its query, encoded as it is sent."""
    query: Mapping[str, str]
    """By name, in alphabetical order; values as they are meant, not as they are sent."""
    headers: dict[str, str]
    """Those that stay the same at every try."""
    body: bytes | None = None


class Signer(Protocol):
    """Signs requests; anew for every try, since signatures and tokens grow old."""

    suffix: str
    """What a URL's query ends with."""

    async def sign(self, request: Request) -> dict[str, str]:
        """Return all headers of a request. Raises AzureError if there is no token to be had."""

    def refused(self) -> bool:
        """A request was answered 401: return whether another try may fare better."""


class KeySigner:
    """Signs with an account's shared key.

    Args:
        account: the account's name.
        key: its key.
        text: what is signed of a request of this service.
    """

    suffix = ""

    def __init__(self, account: str, key: AccountKey, text: Callable[[str, Request, str], str], scheme: str) -> None:
        self._account = account
        self._key = base64.b64decode(key.key)
        self._text = text
        self._scheme = f"{scheme} {account}:"

    async def sign(self, request: Request) -> dict[str, str]:
        date = formatdate(usegmt=True)
        text = self._text(self._account, request, date)
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), "sha256")).decode()
        return {**request.headers, "x-ms-date": date, "Authorization": self._scheme + signature}

    def refused(self) -> bool:
        return False


class SasSigner:
    """Sends a shared access signature along, which somebody else has made."""

    def __init__(self, signature: SharedAccessSignature) -> None:
        self.suffix = signature.signature

    async def sign(self, request: Request) -> dict[str, str]:
        return request.headers

    def refused(self) -> bool:
        return False


class TokenSigner:
    """Sends an identity's token along."""

    suffix = ""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential
        self._token: AccessToken | None = None

    async def sign(self, request: Request) -> dict[str, str]:
        if not request.url.startswith("https://"):
            raise ServiceRequestError("a token must not be sent without TLS")
        if self._token is None or self._token.expires_on - time.time() < _RENEW_BEFORE:
            self._token = await self._credential.get_token(_SCOPE)
        date = formatdate(usegmt=True)
        return {**request.headers, "x-ms-date": date, "Authorization": f"Bearer {self._token.token}"}

    def refused(self) -> bool:
        """The token has been revoked, perhaps: get another one, once for each that there was."""
        had, self._token = self._token, None
        return had is not None


def table_text(account: str, request: Request, date: str) -> str:
    """Return what is signed of a request to the table service: "Shared Key Lite"."""
    return f"{date}\n/{account}{urlsplit(request.url).path}"


def queue_text(account: str, request: Request, date: str) -> str:
    """Return what is signed of a request to the queue service: "Shared Key"."""
    headers, length = request.headers, len(request.body or b"")
    own = {"x-ms-date": date, **{name: value for name, value in headers.items() if name.startswith("x-ms-")}}
    # Content-Encoding, -Language, -Length, -MD5, -Type, Date, four conditions and Range
    standard = ["", "", str(length) if length else "", "", headers.get("Content-Type", ""), "", "", "", "", "", ""]
    query = [f"{name}:{value}" for name, value in request.query.items()]
    canonical = [f"{name}:{own[name]}" for name in sorted(own)]
    resource = f"/{account}{urlsplit(request.url).path}"
    return "\n".join([request.method, *standard, *canonical, resource, *query])
