"""Queues of a storage account."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Literal

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from perdure.storage.azure.account import Account
from perdure.storage.azure.errors import error_code, translated
from perdure.storage.azure.transport import Observer, Transport
from perdure.storage.connection import AzureConnection
from perdure.storage.limits import check_body, check_delay, check_queue, check_receive
from perdure.storage.protocol import QueueMissing
from perdure.storage.rows import QueueMessage, SentMessage
from perdure.storage.wakeups import Waiter, Wakeups

MessageEncoding = Literal["base64", "none"]

_MAX_STORED_BYTES = 64 * 1024
_NEVER_EXPIRES = -1
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
        self._wakeups = _wakeups_of(account.connection.url("queue"))
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
        text = base64.b64encode(body.encode()).decode() if self._encoded else body
        with translated(self._account, "queue"):
            try:
                sent = await self._client(queue).send_message(
                    text, visibility_timeout=math.ceil(delay), time_to_live=_NEVER_EXPIRES
                )
            except ResourceNotFoundError as error:
                raise QueueMissing(queue) from error
        if delay == 0:
            self._wakeups.signal(queue)
        return SentMessage(message_id=sent.id, receipt=sent.pop_receipt or "")

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
        pages = (
            self._client(queue)
            .receive_messages(messages_per_page=count, visibility_timeout=max(1, math.ceil(invisibility)))
            .by_page()
        )
        with translated(self._account, "queue"):
            try:
                async for page in pages:
                    return [
                        QueueMessage(
                            message_id=message.id,
                            receipt=message.pop_receipt or "",
                            body=self._decoded(message.content or ""),
                            dequeue_count=message.dequeue_count or 1,
                        )
                        async for message in page
                    ]
            except ResourceNotFoundError as error:
                raise QueueMissing(queue) from error
        return []

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
        return extended.pop_receipt

    async def delete_message(self, queue: str, message_id: str, receipt: str) -> bool:
        with translated(self._account, "queue"):
            try:
                await self._client(queue).delete_message(message_id, receipt)
            except HttpResponseError as error:
                if error_code(error) in _STALE:
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
