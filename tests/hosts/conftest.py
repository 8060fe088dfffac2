import json
import shutil
from pathlib import Path

import pytest

from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from tests.local.running_host import RunningHost
from tests.storage.providers import new_hub

HOSTS = Path(__file__).parent


class Deployment:
    """An app folder, a store, and the hosts that run on them."""

    def __init__(self, folder: Path, connection: str, hub: str) -> None:
        self.folder = folder
        self.hub = hub
        self.ledger = folder / "ledger.txt"
        self.ledger.touch()
        self.connection = connection

    def host(self, invisibility: int = 60, **variables: str) -> RunningHost:
        """Start a host in one process: killing it kills all of it."""
        environ = {
            "AzureWebJobsStorage": self.connection,
            "LEDGER": str(self.ledger),
            "PERDURE_INVISIBILITY": str(invisibility),
            **variables,
        }
        return RunningHost(self.folder, "--no-reload", environ=environ)

    def storage(self):
        return open_storage(resolve_connection("Storage", {"Storage": self.connection}), self.hub)


def deployed(app: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    """Deploy an app on a hub of its own in the store that the test's parameter names."""
    folder = tmp_path / "app"
    shutil.copytree(app, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if request.param == "embedded":
        connection = f"sqlite:///{tmp_path / 'store.db'}"
    else:
        connection = request.getfixturevalue("azurite").connection_string
    hub = new_hub()
    host_json = json.loads((folder / "host.json").read_text(encoding="utf-8"))
    host_json["extensions"]["durableTask"]["hubName"] = hub
    (folder / "host.json").write_text(json.dumps(host_json), encoding="utf-8")
    return Deployment(folder, connection, hub)


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, tmp_path):
    return deployed(HOSTS / "ledger_app", request, tmp_path)
