import pytest

from tests.storage.providers import azurite_provider, memory_provider, new_hub, sqlite_provider


@pytest.fixture(params=["memory", "sqlite-file", "sqlite-memory", pytest.param("azurite", marks=pytest.mark.azurite)])
async def provider(request, tmp_path):
    match request.param:
        case "memory":
            provider = memory_provider()
        case "sqlite-file":
            provider = sqlite_provider(tmp_path / "store.db")
        case "sqlite-memory":
            provider = sqlite_provider(None)
        case _:
            provider = azurite_provider(request.getfixturevalue("azurite").connection_string)
    yield provider
    await provider.close()


@pytest.fixture
async def storage(provider):
    storage = provider.open(new_hub())
    await storage.create()
    return storage


@pytest.fixture
async def queue(storage):
    name = f"{storage.hub.lower()}-control"
    await storage.create_queue(name)
    return name
