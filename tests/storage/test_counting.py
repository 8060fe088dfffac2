import inspect
from unittest.mock import AsyncMock, Mock

import pytest

from perdure.storage.counting import CountingStorage
from perdure.storage.protocol import Conflict, Notifies, Storage
from perdure.storage.rows import InstanceQuery
from tests.storage.providers import memory_provider, new_row


async def test_calls_are_counted_by_method_whatever_comes_of_them():
    storage = CountingStorage(memory_provider().open("hub"))

    etag = await storage.insert(new_row())
    with pytest.raises(Conflict):
        await storage.insert(new_row())
    await storage.query(InstanceQuery())
    await storage.delete("one", etag)

    assert storage.counts == {"insert": 2, "query": 1, "delete": 1}
    assert (storage.hub, storage.max_message_bytes) == ("hub", 48 * 1024)


@pytest.mark.parametrize(
    "name",
    [name for name, _ in inspect.getmembers(Storage, inspect.isfunction) if not name.startswith("_")],
)
async def test_every_method_passes_its_arguments_on(name):
    inner = AsyncMock(hub="hub", max_message_bytes=1)
    storage = CountingStorage(inner)
    parameters = list(inspect.signature(getattr(Storage, name)).parameters.values())[1:]
    given = [object() for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    named = {parameter.name: object() for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}

    await getattr(storage, name)(*given, **named)

    getattr(inner, name).assert_awaited_once_with(*given, **named)
    assert storage.counts == ({} if name == "close" else {name: 1})


async def test_waiting_passes_through():
    storage = CountingStorage(memory_provider().open("hub"))
    await storage.create_queue("orders")
    await storage.send("orders", "x")

    await storage.wait_for_message("orders", 60)


def test_a_store_that_does_not_notify_does_not_when_counted():
    assert not isinstance(CountingStorage(Mock(spec=Storage, hub="hub", max_message_bytes=1)), Notifies)
    assert isinstance(CountingStorage(memory_provider().open("hub")), Notifies)
