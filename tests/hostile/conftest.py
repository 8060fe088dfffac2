import pytest

from perdure.client import Client
from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.hostile.inputs import contents
from tests.scenarios.hub import Hub
from tests.storage.providers import new_hub


@pytest.fixture
async def storage():
    """A hub in memory, without workers."""
    storage = MemoryStorage(new_hub())
    await storage.create()
    for queue in ("control", "workitems", "parked"):
        await storage.create_queue(f"{storage.hub.lower()}-{queue}")
    return storage


@pytest.fixture
async def client(storage):
    """A client in a process without a worker: nothing but its arguments can tell it what is wrong."""
    return Client(storage)


@pytest.fixture
def untouched(storage):
    """Call it to check that the hub holds what it held when the fixture was made, or when it was last called."""
    held = [contents(storage)]

    def check() -> None:
        now = contents(storage)
        assert now == held[0]
        held[0] = now

    return check


@pytest.fixture
async def hub():
    """A hub in memory; it has workers once a test adds them."""
    name, store = new_hub(), MemoryStore()
    hub = Hub(lambda: MemoryStorage(name, store=store))
    yield hub
    await hub.close()
