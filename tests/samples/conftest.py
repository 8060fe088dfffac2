import pytest

from tests.samples.deployment import Deployment, environment_of_no_host
from tests.storage.providers import new_hub


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
async def deploy(request, tmp_path, monkeypatch):
    """Deploys a sample; called with its folder's name, and settings that differ from its local ones."""
    connection = f"sqlite://{tmp_path.as_posix()}/store.db"
    if request.param == "azurite":
        connection = request.getfixturevalue("azurite").connection_string
    environment_of_no_host(monkeypatch)
    monkeypatch.setenv("AzureWebJobsStorage", connection)
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__hubName", new_hub())
    deployment = Deployment(tmp_path, monkeypatch)
    yield deployment.deploy
    await deployment.stop()
