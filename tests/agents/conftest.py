import sys

import pytest

from perdure.storage.memory import MemoryStorage, MemoryStore
from tests.agents.agent_hub import AgentHub
from tests.scenarios.conftest import hub, open_hub
from tests.scenarios.hub import Hub

__all__ = ["hub", "open_hub"]

collect_ignore = [] if sys.version_info >= (3, 13) else ["test_azure_worker.py"]  # its library needs 3.13


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
