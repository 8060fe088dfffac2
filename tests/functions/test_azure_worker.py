"""Azure's own Python worker runs the app: it indexes it by its rules, and its invocations reach the engine."""

from __future__ import annotations

import json
import os

import pytest

from perdure.client import Client
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from tests.functions.azure_worker import AzureWorker
from tests.functions.test_sample_app import ROOT
from tests.storage.providers import new_hub

SYNC_APP = """
from __future__ import annotations
import azure.functions as func
import perdure_functions as df

app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()

@app.route(route="go")
@app.durable_client_input(client_name="client")
def go(req: func.HttpRequest, client: df.SyncDurableFunctionsClient, context: func.Context) -> func.HttpResponse:
    instance_id = client.start_new("echo", client_input=context.function_name)
    return client.wait_for_completion_or_create_check_status_response(req, instance_id)
"""


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def hub(request, app_folder, monkeypatch):
    """A hub of its own in each store."""
    if request.param == "azurite":
        monkeypatch.setenv("AzureWebJobsStorage", request.getfixturevalue("azurite").connection_string)
    name = new_hub()
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__hubName", name)
    return name


@pytest.fixture
async def run(hub):
    """Starts the worker on an app's folder; called with it."""
    started = []

    async def start(folder):
        worker = AzureWorker(folder)
        await worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        await worker.stop()


async def test_the_sample_app(run):
    worker = await run(ROOT)
    assert {"start_orchestration", "perdure-control", "perdure-http-start"} <= set(worker.functions)
    url = "https://app.example/api/orchestrators/hello_cities?instanceId=one"
    response = await worker.http("start_orchestration", "POST", url, {"name": "hello_cities"})
    payload = json.loads(response.body.bytes)
    assert (response.status_code, response.headers["Location"]) == ("202", payload["statusQueryGetUri"])
    status = await worker.ended(payload["id"])
    assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
    assert worker.broken_rules() == []


async def test_its_queues(run, hub):
    """What another process starts comes through the queue, and so do activities that run at once."""
    worker = await run(ROOT)
    elsewhere = Client(open_storage(resolve_connection("AzureWebJobsStorage", os.environ), hub))
    await elsewhere._storage.create()
    await elsewhere.start_new("hello_cities", "one")
    await elsewhere.start_new("count_words", "two", "docs/adr")
    status = await worker.ended("one")
    assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
    assert (await worker.ended("two"))["output"]["files"] == len(list((ROOT / "docs" / "adr").glob("*.md")))
    assert set(worker.delivered) == {"perdure-control", "perdure-workitems"}
    assert worker.broken_rules() == []
    await elsewhere._storage.close()


async def test_sync_functions_with_a_client(run, app_folder):
    (app_folder / "function_app.py").write_text(SYNC_APP)
    worker = await run(app_folder)
    response = await worker.http("go", "GET", "https://app.example/api/go")
    assert (response.status_code, response.body.bytes) == ("200", b"go")
    assert worker.broken_rules() == []


async def test_what_the_host_would_refuse_is_found(run, app_folder):
    (app_folder / "function_app.py").write_text(f"{SYNC_APP}\nagain = app\n")
    with pytest.raises(AssertionError, match="More than one"):
        await run(app_folder)
