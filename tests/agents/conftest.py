import pytest

from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.agents.agent_hub import AgentHub
from tests.scenarios.conftest import hub, open_hub
from tests.scenarios.hub import Hub

__all__ = ["hub", "open_hub"]


@pytest.fixture
async def agents(hub):
    """Agents over every provider."""
    return AgentHub(hub)


@pytest.fixture
async def quick():
    """Agents in memory, for what does not depend on the store."""
    store = MemoryStore()
    hub = Hub(lambda: MemoryStorage("hub", store=store))
    yield AgentHub(hub)
    await hub.close()
