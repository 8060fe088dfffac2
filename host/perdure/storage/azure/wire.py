"""Requests that are made for every step: signed, sent and tried again by ourselves.

The SDKs take more than twice the CPU for the same request, for what these don't need: tracing, logging, a dozen
policies, a model of every header.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from perdure.storage.azure.account import RETRIES, Account, pause_before_try
from perdure.storage.azure.signing import Request
from perdure.storage.azure.transport import Answer
from perdure.storage.connection import Service

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_UNAUTHORIZED = 401
_FIRST_ERROR = 300
"""Nothing that is asked for moves elsewhere."""
_JSON_MESSAGE = re.compile(rb'"value"\s*:\s*"((?:[^"\\]|\\.)*)"')
_JSON_CODE = re.compile(rb'"code"\s*:\s*"(\w+)"')
_XML_MESSAGE = re.compile(rb"<Message>([^<]*)")
_XML_CODE = re.compile(rb"<Code>(\w+)</Code>")


class Refusal(HttpResponseError):
    """A service's answer that is an error, with its code."""

    def __init__(self, answer: Answer) -> None:
        message = _found(answer.body, _XML_MESSAGE, _JSON_MESSAGE)
        super().__init__(message or f"the answer was {answer.status}")
        self.status_code = answer.status
        self.error_code = answer.headers.get("x-ms-error-code") or _found(answer.body, _XML_CODE, _JSON_CODE)


class Wire:
    """Sends requests to one service of an account."""

    def __init__(self, account: Account, service: Service) -> None:
        self._account = account
        self._service: Service = service
        self._transport = account.transport
        self.url = account.connection.url(service)

    async def ask(self, request: Request) -> Answer:
        """Send a request until it is answered.

        A try whose answer was lost may have had its effect: the next one's answer is then that of a repetition.

        Raises:
            Refusal: the answer is an error.
            AzureError: the service can't be reached, or there is no log-in for it.
        """
        signer = self._account.signer(self._service)
        query = "&".join([f"{name}={quote(value, safe='')}" for name, value in request.query.items()])
        query = "&".join(filter(None, [query, signer.suffix]))
        url = f"{request.url}?{query}" if query else request.url
        tries = 0
        while True:
            asked: str | None = None
            headers = await signer.sign(request)
            try:
                answer = await self._transport.exchange(request.method, url, headers, request.body)
            except (ServiceRequestError, ServiceResponseError):
                if tries == RETRIES:
                    raise
            else:
                if answer.status < _FIRST_ERROR:
                    return answer
                if answer.status == _UNAUTHORIZED and tries == 0 and signer.refused():
                    tries += 1
                    continue
                if answer.status not in _BUSY or tries == RETRIES:
                    raise Refusal(answer)
                asked = answer.headers.get("Retry-After")
            await self._transport.sleep(pause_before_try(tries, asked))
            tries += 1


def _found(body: bytes, *patterns: re.Pattern[bytes]) -> str:
    for pattern in patterns:
        if (match := pattern.search(body)) is not None:
            return match[1].decode(errors="replace")
    return ""
