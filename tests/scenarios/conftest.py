import pytest

from perdure.storage.connection import resolve_connection
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.storage.opening import open_storage
from tests.scenarios.hub import Hub
from tests.storage.providers import new_hub


@pytest.fixture(params=["memory", "sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def open_hub(request, tmp_path):
    """Opens the storage of one hub, as often as it is called."""
    name = new_hub()
    if request.param == "memory":
        store = MemoryStore()
        return lambda: MemoryStorage(name, store=store)
    value = f"sqlite:///{tmp_path / 'hub.db'}"
    if request.param == "azurite":
        value = request.getfixturevalue("azurite").connection_string
    connection = resolve_connection("Storage", {"Storage": value})
    return lambda: open_storage(connection, name)


@pytest.fixture
async def hub(open_hub):
    hub = Hub(open_hub)
    yield hub
    await hub.close()
