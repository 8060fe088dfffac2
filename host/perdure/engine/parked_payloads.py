"""The payloads of a parked message: those that nobody will read once it is gone."""

from __future__ import annotations

import logging

from perdure.core.codec import Message, decode_message
from perdure.core.data import payload_of
from perdure.core.entity_id import is_entity_id
from perdure.core.messages import Completions, Operate, Overflow, RaiseEvent
from perdure.engine.entities.journal import EntityJournal
from perdure.engine.executor import datum_of
from perdure.engine.journal import Journal
from perdure.engine.mail import Mail
from perdure.engine.settings import EngineSettings
from perdure.errors import DataError
from perdure.storage.protocol import PayloadMissing, Storage

_log = logging.getLogger("perdure.poison")


async def payloads_of(body: str, mail: Mail, storage: Storage, settings: EngineSettings) -> dict[str, list[str]]:
    """Return the ids of these payloads, by their owner.

    A copy of the message may have been taken in, and its payload be part of the instance's history: such a payload
    stays, as do those of an instance that can't be read. They go with the instance.
    """
    found: dict[str, list[str]] = {}
    message: Message | None = None
    try:
        message = decode_message(body)
        if isinstance(message, Overflow):
            found[message.owner] = [message.payload_id]
            message = await mail.open(body)
    except (DataError, PayloadMissing):
        return found
    data = _data_of(message)
    owner = getattr(message, "to", "")
    ids = list(dict.fromkeys(payload_id for datum in data if (payload_id := payload_of(datum)) is not None))
    if not ids:
        return found
    try:
        kept = await (_kept_by_entity if is_entity_id(owner) else _kept)(owner, storage, settings)
    except (DataError, PayloadMissing) as error:
        _log.warning("instance '%s' can't be read, and payloads of a discarded message stay: %s", owner, error)
        return found
    found.setdefault(owner, []).extend(each for each in ids if each not in kept)
    return found


def _data_of(message: Message) -> list[str | None]:
    match message:
        case RaiseEvent():
            return [message.data]
        case Completions():
            return [item.result for item in message.items]
        case Operate():
            return [message.input]
        case _:
            return []  # what others refer to belongs to the history of the instance


async def _kept(instance_id: str, storage: Storage, settings: EngineSettings) -> set[str | None]:
    """Return the payloads that the history of an orchestration refers to."""
    journal = Journal(storage, instance_id, settings)
    await journal.load()
    if journal.row is None:
        return set()
    state = journal.state
    events = [*state.waiting_events, *(event for turn in state.turns for event in turn.events)]
    return {payload_of(datum_of(event)) for event in events} | {payload_of(journal.instance.output)}


async def _kept_by_entity(entity: str, storage: Storage, settings: EngineSettings) -> set[str | None]:
    """Return the payloads that requests refer to that an entity has yet to carry out."""
    journal = EntityJournal(storage, entity, settings)
    await journal.load()
    record = journal.record()
    requests = [*record.queue, *(early.request for early in record.early)]
    return {payload_of(getattr(request, "input", None)) for request in requests}
