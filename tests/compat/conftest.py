import sys

import pytest

from tests.compat.moving import moved_apps
from tests.samples.deployment import Deployment, environment_of_no_host
from tests.storage.providers import new_hub

# azure-functions-runtime, Azure's own worker, exists for Python 3.13 and newer
collect_ignore = [] if sys.version_info >= (3, 13) else ["test_azure_worker.py"]


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def store(request, tmp_path, monkeypatch):
    """Names a store of its own in the environment, as an app's settings do."""
    environment_of_no_host(monkeypatch)
    connection = f"sqlite://{tmp_path.as_posix()}/store.db"
    if request.param == "azurite":
        connection = request.getfixturevalue("azurite").connection_string
    monkeypatch.setenv("AzureWebJobsStorage", connection)
    hub = new_hub()
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__hubName", hub)
    return hub


@pytest.fixture
async def deploy(store, tmp_path, monkeypatch):
    """Runs an app as a host would; called with its folder's name."""
    deployment = Deployment(tmp_path / "deployed", monkeypatch, moved_apps(tmp_path))
    yield deployment.deploy
    await deployment.stop()
