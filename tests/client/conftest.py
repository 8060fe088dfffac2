import pytest

from perdure.client import Client
from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.scenarios.hub import Hub
from tests.storage.providers import new_hub


@pytest.fixture
async def hub():
    """A hub in memory; it has workers once a test adds them."""
    name, store = new_hub(), MemoryStore()
    hub = Hub(lambda: MemoryStorage(name, store=store))
    yield hub
    await hub.close()


@pytest.fixture
async def lonely(hub):
    """A client of the hub in a process that has no worker, and no worker anywhere."""
    await hub.storage.create()
    client = Client(hub.storage)
    for queue in ("control", "workitems"):
        await hub.storage.create_queue(f"{hub.storage.hub.lower()}-{queue}")
    return client


@pytest.fixture
async def client(hub):
    """A client in a process with a worker."""
    worker = await hub.add_worker()
    return Client(hub.storage, worker=worker.engine)
