"""Large data: out of rows and messages into payloads, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from perdure.core.data import fits_inline, payload_of, reference
from perdure.engine.clock import Clock, NewId
from perdure.engine.overdue import DATA, dated
from perdure.storage.protocol import PayloadDamaged, Payloads


class PayloadDesk:
    """Stores data that is too large to travel, and fetches it.

    A datum that refers to a payload belongs to one instance: the one whose row, history or message holds it.
    """

    def __init__(self, storage: Payloads, new_id: NewId, clock: Clock) -> None:
        self._storage = storage
        self._new_id = new_id
        self._clock = clock

    async def offload(
        self, owner: str, datum: str | None, payload_id: str | None = None, *, due: datetime | None = None
    ) -> str | None:
        """Return the datum as it may travel: itself, or a reference to a payload of `owner` that now holds it.

        Args:
            owner: whose it is to be.
            datum: JSON text, or a reference.
            payload_id: how the payload's id begins; by default with one of its own. It ends with its date.
            due: when it is to be delivered, if later than now.
        """
        if datum is None or fits_inline(datum):
            return datum
        return await self.store(owner, dated(payload_id or f"{DATA}{self._new_id()}", self._clock.now(), due), datum)

    async def store(self, owner: str, payload_id: str, text: str) -> str:
        """Store a text under a given id; return the reference."""
        await self._storage.put_payload(owner, payload_id, text.encode())
        return reference(payload_id)

    async def text(self, owner: str, datum: str | None) -> str | None:
        """Return the JSON text of a datum. Raises PayloadMissing."""
        payload_id = payload_of(datum)
        return datum if payload_id is None else await payload_text(self._storage, owner, payload_id)

    async def fetch(self, owner: str, data: Iterable[str | None]) -> dict[str, str]:
        """Return the texts of the payloads that `data` refer to, by payload id. Raises PayloadMissing."""
        ids = list(dict.fromkeys(payload_id for datum in data if (payload_id := payload_of(datum)) is not None))
        if not ids:
            return {}
        found = await asyncio.gather(*(payload_text(self._storage, owner, payload_id) for payload_id in ids))
        return dict(zip(ids, found, strict=True))

    async def hand_over(self, owner: str, datum: str | None, receiver: str, payload_id: str) -> str | None:
        """Return the datum as it may travel to another instance; a payload is copied there under `payload_id`."""
        if payload_of(datum) is None:
            return datum
        text = await self.text(owner, datum)
        assert text is not None  # noqa: S101 - a reference has a text
        return await self.store(receiver, payload_id, text)

    async def discard(self, owner: str, data: Iterable[str | None]) -> None:
        """Delete the payloads that `data` refer to."""
        ids = [payload_id for datum in data if (payload_id := payload_of(datum)) is not None]
        if ids:
            await self._storage.delete_payloads(owner, ids)


async def payload_text(storage: Payloads, owner: str, payload_id: str) -> str:
    """Return the text that a payload holds. Raises PayloadMissing, PayloadDamaged."""
    data = await storage.get_payload(owner, payload_id)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PayloadDamaged(f"The payload {payload_id!r} of {owner!r} is damaged: {error}.") from error
