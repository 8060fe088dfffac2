import json
import os
import sys

import pytest

from tests.functions.driving import AppDriver

# azure-functions-runtime, Azure's own worker, exists for Python 3.13 and newer
collect_ignore = [] if sys.version_info >= (3, 13) else ["test_azure_worker.py"]

_OF_A_HOST = ("AzureWebJobs", "AzureFunctionsJobHost", "WEBSITE_", "FUNCTIONS_", "PYTHON_SCRIPT")


@pytest.fixture
def app_folder(tmp_path, monkeypatch):
    """A Function app's folder, the current one, with a store of its own and the environment of no host."""
    for name in list(os.environ):
        if name.startswith(_OF_A_HOST):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AzureWebJobsStorage", f"sqlite:///{tmp_path.as_posix().lstrip('/')}/store.db")
    monkeypatch.chdir(tmp_path)
    write_host_json(tmp_path, hubName="TestHub")
    return tmp_path


def write_host_json(folder, **durable_task):
    content = {"version": "2.0", "extensions": {"durableTask": durable_task}}
    (folder / "host.json").write_text(json.dumps(content))


@pytest.fixture
async def drive(app_folder):
    """Runs an app as a host would; called with the app, and names of functions that no message shall reach."""
    drivers = []

    async def start(app, without=()):
        drivers.append(AppDriver(app, app_folder, without))
        await drivers[-1].start()
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.stop()
