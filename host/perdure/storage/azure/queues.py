"""Queues of a storage account."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Literal
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from azure.core.exceptions import DecodeError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from perdure.storage.azure.account import Account
from perdure.storage.azure.errors import error_code, translated
from perdure.storage.azure.signing import Request
from perdure.storage.azure.transport import Observer, Transport
from perdure.storage.azure.wire import Refusal, Wire
from perdure.storage.connection import AzureConnection
from perdure.storage.limits import check_body, check_delay, check_queue, check_receive
from perdure.storage.protocol import QueueMissing
from perdure.storage.rows import QueueMessage, SentMessage
from perdure.storage.wakeups import Waiter, Wakeups

MessageEncoding = Literal["base64", "none"]

_MAX_STORED_BYTES = 64 * 1024
_NEVER_EXPIRES = -1
_NOT_FOUND = 404
_HEADERS = {"Accept": "application/xml", "x-ms-version": "2021-02-12"}
_SENDING = {**_HEADERS, "Content-Type": "application/xml"}
_STALE = ("MessageNotFound", "PopReceiptMismatch", "QueueNotFound", "QueueBeingDeleted")


_all_wakeups: dict[str, Wakeups] = {}


def _wakeups_of(url: str) -> Wakeups:
    """Return what everybody in this process shares who uses the queues at this address."""
    return _all_wakeups.setdefault(url, Wakeups())


class AccountQueues:
    """`Queues` of `account`, which whoever made it closes."""

    def __init__(self, account: Account, message_encoding: MessageEncoding) -> None:
        self._account = account
        self._encoded = message_encoding == "base64"
        # base64 makes four bytes of three
        self.max_message_bytes = _MAX_STORED_BYTES * 3 // 4 if self._encoded else _MAX_STORED_BYTES
        self._clients: dict[str, QueueClient] = {}
        self._wire = Wire(account, "queue")
        self._wakeups = _wakeups_of(self._wire.url)
        self._waiters: dict[str, Waiter] = {}

    async def create_queue(self, queue: str) -> None:
        check_queue(queue)
        with translated(self._account, "queue"):
            try:
                await self._client(queue).create_queue()
            except ResourceExistsError as error:
                if error_code(error) != "QueueAlreadyExists":
                    raise

    async def delete_queue(self, queue: str) -> None:
        with translated(self._account, "queue"):
            try:
                await self._client(queue).delete_queue()
            except ResourceNotFoundError:
                return

    async def send(self, queue: str, body: str, *, delay: float = 0) -> SentMessage:
        check_body(body, self.max_message_bytes)
        check_delay(delay)
        text = base64.b64encode(body.encode()).decode() if self._encoded else escape(body)
        content = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>"
        query = {"messagettl": str(_NEVER_EXPIRES), "visibilitytimeout": str(math.ceil(delay))}
        sent = (await self._messages("POST", queue, query, content.encode()))[0]
        if delay == 0:
            self._wakeups.signal(queue)
        return SentMessage(message_id=_part(sent, "MessageId"), receipt=_part(sent, "PopReceipt"))

    async def wait_for_send(self, queue: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting is its purpose
        waiter = self._waiters.get(queue)
        if waiter is None:
            waiter = self._waiters[queue] = self._wakeups.listener(queue)
        await waiter.wait(timeout)

    async def close(self) -> None:
        for queue, waiter in self._waiters.items():
            self._wakeups.forget(queue, waiter)
        self._waiters.clear()
        await self._account.close()

    async def receive(self, queue: str, *, count: int, invisibility: float) -> list[QueueMessage]:
        check_receive(count, invisibility)
        query = {"numofmessages": str(count), "visibilitytimeout": str(max(1, math.ceil(invisibility)))}
        return [
            QueueMessage(
                message_id=_part(message, "MessageId"),
                receipt=_part(message, "PopReceipt"),
                body=self._decoded(_part(message, "MessageText")),
                dequeue_count=int(_part(message, "DequeueCount") or 1),
            )
            for message in await self._messages("GET", queue, query)
        ]

    async def extend(self, queue: str, message_id: str, receipt: str, *, invisibility: float) -> str | None:
        check_delay(invisibility)
        with translated(self._account, "queue"):
            try:
                extended = await self._client(queue).update_message(
                    message_id, pop_receipt=receipt, visibility_timeout=math.ceil(invisibility)
                )
            except HttpResponseError as error:
                if error_code(error) in _STALE:
                    return None
                raise
        if invisibility == 0:
            self._wakeups.signal(queue)
        return extended.pop_receipt

    async def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        url = f"{self._wire.url}/{queue}/messages/{quote(message_id, safe='')}"
        with translated(self._account, "queue"):
            try:
                await self._wire.ask(Request("DELETE", url, {"popreceipt": receipt}, _HEADERS))
            except Refusal as refusal:
                if refusal.error_code in _STALE:
                    return False
                raise
        return True

    async def peek(self, queue: str, *, count: int) -> list[QueueMessage]:
        check_receive(count, 0)
        with translated(self._account, "queue"):
            try:
                found = await self._client(queue).peek_messages(max_messages=count)
            except ResourceNotFoundError as error:
                raise QueueMissing(queue) from error
        return [
            QueueMessage(
                message_id=message.id,
                receipt="",
                body=self._decoded(message.content or ""),
                dequeue_count=message.dequeue_count or 0,
            )
            for message in found
        ]

    async def queue_length(self, queue: str) -> int:
        with translated(self._account, "queue"):
            try:
                properties = await self._client(queue).get_queue_properties()
            except ResourceNotFoundError as error:
                raise QueueMissing(queue) from error
        return properties.approximate_message_count or 0

    async def _messages(
        self, method: str, queue: str, query: dict[str, str], content: bytes | None = None
    ) -> list[ET.Element]:
        """Put or get messages, and return what the service tells of them."""
        headers = _HEADERS if content is None else _SENDING
        with translated(self._account, "queue"):
            try:
                answer = await self._wire.ask(
                    Request(method, f"{self._wire.url}/{queue}/messages", query, headers, content)
                )
                messages = list(ET.fromstring(answer.body))  # noqa: S314 - our own storage account's answer
            except ET.ParseError as error:
                raise DecodeError(f"its messages can't be read: {error}") from error
            except Refusal as refusal:
                if refusal.status_code == _NOT_FOUND:
                    raise QueueMissing(queue) from refusal
                raise
            if content is not None and not messages:
                raise DecodeError("it tells of no message")
            return messages

    def _client(self, queue: str) -> QueueClient:
        client = self._clients.get(queue)
        if client is None:
            client = self._clients[queue] = self._account.queue(queue)
        return client

    def _decoded(self, text: str) -> str:
        if not self._encoded:
            return text
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            # somebody else's message, not encoded: what it means is for the receiver to say
            return text


class AzureQueues(AccountQueues):
    """The queues of an account alone, with bodies encoded as the Functions host's `messageEncoding` says."""

    def __init__(
        self,
        connection: AzureConnection,
        message_encoding: MessageEncoding = "base64",
        *,
        observer: Observer | None = None,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(Account(connection, observer=observer, transport=transport), message_encoding)


def _part(message: ET.Element, name: str) -> str:
    return message.findtext(name) or ""
