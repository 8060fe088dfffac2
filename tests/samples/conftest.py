import pytest

from tests.samples.deployment import Deployment, environment_of_no_host
from tests.storage.providers import new_hub


@pytest.fixture
async def deployment(tmp_path, monkeypatch):
    """Deploys samples, one after the other, over an SQLite file."""
    environment_of_no_host(monkeypatch)
    monkeypatch.setenv("AzureWebJobsStorage", f"sqlite://{tmp_path.as_posix()}/store.db")
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__hubName", new_hub())
    deployment = Deployment(tmp_path, monkeypatch)
    yield deployment
    await deployment.stop()


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def deploy(request, deployment, monkeypatch):
    """Deploys a sample over each store; called with its folder, and settings that differ from its local ones."""
    if request.param == "azurite":
        monkeypatch.setenv("AzureWebJobsStorage", request.getfixturevalue("azurite").connection_string)
    return deployment.deploy
