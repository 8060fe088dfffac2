import shutil
from pathlib import Path

import pytest

from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from tests.local.running_host import RunningHost

APP = Path(__file__).parent / "ledger_app"


class Deployment:
    """An app folder, a store, and the hosts that run on them."""

    def __init__(self, folder: Path, connection: str) -> None:
        self.folder = folder
        self.ledger = folder / "ledger.txt"
        self.ledger.touch()
        self._connection = connection

    def host(self, invisibility: int = 60) -> RunningHost:
        """Start a host in one process: killing it kills all of it."""
        environ = {
            "AzureWebJobsStorage": self._connection,
            "LEDGER": str(self.ledger),
            "PERDURE_INVISIBILITY": str(invisibility),
        }
        return RunningHost(self.folder, "--no-reload", environ=environ)

    def storage(self):
        return open_storage(resolve_connection("Storage", {"Storage": self._connection}), "LedgerApp")


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, tmp_path):
    folder = tmp_path / "app"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if request.param == "embedded":
        connection = f"sqlite:///{tmp_path / 'store.db'}"
    else:
        connection = request.getfixturevalue("own_azurite").connection_string
    return Deployment(folder, connection)


@pytest.fixture
def own_azurite():
    """An Azurite for one test: the app's hub has a fixed name."""
    from perdure.local.azurite import start_azurite
    from tests.azurite import require_azurite

    with start_azurite(require_azurite()) as azurite:
        yield azurite
