"""What the management API answers when the store is away, or what it holds is damaged; and its document says so."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

import perdure_functions as df
from perdure.errors import SettingsError, StoredDataError
from perdure.storage.protocol import PayloadMissing, QueueMissing, StorageUnavailable
from perdure_functions.http_api.operations import OPERATIONS
from perdure_functions.runtime import Runtime
from tests.functions.driving import content

SETTING = "AzureWebJobsStorage"
LARGE = "x" * 40_000
FILLED = {
    "functionName": "echo",
    "instanceId": "hurt",
    "entityName": "note",
    "entityKey": "hurt",
    "messageId": "m",
    "eventName": "go",
    "streamName": "s",
}
QUERIES = {"signalEntity": "?op=set", "purgeMany": "?createdTimeFrom=2020-01-01"}


@pytest.fixture
async def driver(drive):
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def echo(context):
        return context.get_input()

    @app.entity_trigger("context")
    def note(context):
        context.set_state(context.get_input())

    return await drive(app)


@pytest.fixture
async def held(driver):
    """An app whose hub holds two instances and two entities, with large data."""
    for key in ("hurt", "whole"):
        await driver.request("POST", f"durabletask/orchestrators/echo/{key}", LARGE)
        await driver.request("POST", f"durabletask/entities/note/{key}?op=set", LARGE)
        await driver.ended(f"durabletask/instances/{key}")
        while (await driver.request("GET", f"durabletask/entities/note/{key}")).status_code != 200:
            await driver.ended(f"durabletask/instances/{key}")
    return driver


def change(statement, *values):
    path = f"/{os.environ[SETTING].removeprefix('sqlite:///')}"
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount


def ask(driver, operation):
    path = f"durabletask{operation.path.format(**FILLED)}{QUERIES.get(operation.id, '')}"
    return driver.request(operation.method.upper(), path)


async def documented(driver, operation, code):
    """Return the names of the schemas that the document gives for an answer."""
    document = content(await driver.request("GET", "durabletask/openapi.json"))
    answer = document["paths"][operation.path][operation.method]["responses"][str(code)]
    schema = answer["content"]["application/json"]["schema"]
    return {each["$ref"].rpartition("/")[2] for each in schema.get("anyOf", [schema])}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageUnavailable("the store is away"), 503),
        (QueueMissing("hub-control"), 500),
        (SettingsError("host.json makes no sense"), 500),
        (StoredDataError("the row of instance 'hurt' is damaged"), 500),
        (PayloadMissing("a payload of 'hurt' is gone"), 500),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.id for each in OPERATIONS])
async def test_trouble_is_told_as_the_document_says(driver, monkeypatch, operation, error, code):
    async def client(*_):
        raise error

    monkeypatch.setattr(Runtime, "client", client)
    response = await ask(driver, operation)
    assert (response.status_code, content(response)) == (code, {"message": str(error)})
    assert "Problem" in await documented(driver, operation, code)


TOUCHED = [
    "status",
    "stream",
    "purge",
    "raiseEvent",
    "terminate",
    "suspend",
    "resume",
    "rewind",
    "restart",
    "startWithId",
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.id for each in OPERATIONS])
async def test_a_damaged_row_is_told_by_whatever_reads_it(held, operation):
    change("UPDATE instances SET created_at = 'yesterday' WHERE instance_id IN ('hurt', '@note@hurt')")
    response = await ask(held, operation)
    if operation.id not in [*TOUCHED, "entityState"]:
        assert response.status_code < 500
        return
    assert response.status_code == 500
    assert "hurt' is damaged" in content(response)["message"]
    assert "Problem" in await documented(held, operation, 500)


async def test_lists_show_the_others(held):
    change("UPDATE blobs SET data = X'00' WHERE instance_id = '@note@hurt'")
    change("DELETE FROM blobs WHERE instance_id = 'hurt'")
    entities = content(await held.request("GET", "durabletask/entities/note?fetchState=true"))
    assert [(each["entityId"]["key"], each["state"]) for each in entities] == [("hurt", None), ("whole", LARGE)]
    assert entities[0]["reason"].startswith("its state is damaged: payload '")
    assert "reason" not in entities[1]
    response = await held.request("GET", "durabletask/entities/note/hurt")
    assert response.status_code == 500
    assert "'@note@hurt' is damaged" in content(response)["message"]

    instances = content(await held.request("GET", "durabletask/instances"))
    assert [(each["instanceId"], each["output"]) for each in instances] == [("hurt", None), ("whole", LARGE)]
    assert "its output is gone: payload '" in instances[0]["reason"]

    change("UPDATE instances SET updated_at = 'soon' WHERE instance_id IN ('hurt', '@note@hurt')")
    assert [each["instanceId"] for each in content(await held.request("GET", "durabletask/instances"))] == ["whole"]
    entities = content(await held.request("GET", "durabletask/entities?fetchState=true"))
    assert [each["entityId"]["key"] for each in entities] == ["whole"]


async def test_a_poison_message_whose_entry_is_damaged(driver):
    worker = await driver.app.runtime.worker()
    parked = await worker.parking.park("x" * 4_000, "q", worker.queues.control[0], "why", worker.clock.now())
    change("UPDATE blobs SET data = X'1F8B00' WHERE name = ?", parked.id)
    target = f"durabletask/poison/{parked.id}"
    shown = content(await driver.request("GET", target))
    assert shown["reason"].startswith("what is stored of this poison message is damaged")
    assert [each["id"] for each in content(await driver.request("GET", "durabletask/poison"))] == [parked.id]
    response = await driver.request("POST", f"{target}/retry")
    assert response.status_code == 500
    assert "can't be sent again, only discarded" in content(response)["message"]
    assert (await driver.request("DELETE", target)).status_code == 200
    assert content(await driver.request("GET", "durabletask/poison")) == []
