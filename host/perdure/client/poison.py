"""Poison messages as clients deal with them: what could not be processed is listed, sent again or discarded."""

from __future__ import annotations

from perdure.client.hub_client import HubClient
from perdure.engine.parking import Parking, PoisonMessage, PoisonPage
from perdure.engine.settings import EngineSettings

_LARGEST_PAGE = 1_000


class Poison(HubClient):
    """The part of the client that deals with them."""

    async def list_poison_messages(
        self, instance_id: str | None = None, *, top: int = 100, continuation: str | None = None
    ) -> PoisonPage:
        """Return one page of the messages that could not be processed and are parked, in the order of their ids.

        What the host has given up on in the queues for poison messages, whose names end with `-poison`, is parked
        first.

        Args:
            instance_id: only messages for this instance or entity.
            top: messages a page, at most 1,000.
            continuation: that of the page before.

        Raises:
            ValueError: `top` is out of range.
        """
        if not 1 <= top <= _LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {_LARGEST_PAGE} poison messages, not {top}")
        if continuation is None:
            await self._parking.sweep(self._clock.now())
        return await self._parking.page(instance_id, top, continuation)

    async def get_poison_message(self, message_id: str) -> PoisonMessage:
        """Return a parked message.

        Args:
            message_id: its id in the list.

        Raises:
            PoisonMessageNotFoundError: it is not parked.
        """
        return await self._parking.get(message_id)

    async def retry_poison_message(self, message_id: str) -> PoisonMessage:
        """Send a parked message again, with as many deliveries as a new one has; it is parked no longer.

        Receivers drop a message that has been processed after all, so that retrying it does no harm.

        Args:
            message_id: its id in the list.

        Raises:
            PoisonMessageNotFoundError: it is not parked.
            DataError: what is stored of it is damaged.
        """
        return await self._parking.retry(message_id)

    async def discard_poison_message(self, message_id: str) -> PoisonMessage:
        """Delete a parked message with its payloads. Whoever waits for what it says waits for ever.

        Args:
            message_id: its id in the list.

        Raises:
            PoisonMessageNotFoundError: it is not parked.
        """
        return await self._parking.discard(message_id)

    @property
    def _parking(self) -> Parking:
        settings = EngineSettings() if self._worker is None else self._worker.settings
        return Parking(self._storage, self._queues, self._mail, settings)
