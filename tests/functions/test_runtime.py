"""What an app has open, on which loop, and when."""

from __future__ import annotations

import asyncio

import pytest

import perdure_functions as df
from perdure.errors import PerdureError, SettingsError
from perdure.storage.protocol import StorageUnavailable
from tests.functions.conftest import write_host_json


@pytest.fixture
def app(app_folder):
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def echo(context):
        return context.get_input()

    app.get_functions()
    return app


async def test_it_is_opened_once(app):
    clients = await asyncio.gather(*(app.runtime.client() for _ in range(5)))
    assert len({id(client) for client in clients}) == 1
    assert await app.runtime.worker() is await app.runtime.worker()
    assert await app.runtime.client("TestHub", "AzureWebJobsStorage") is clients[0]
    assert await app.runtime.client("OtherHub") is not clients[0]
    await app.on_host_stop()


async def test_draining_begins_nothing_new(app):
    await app.on_host_drain()
    await app.on_host_start()
    worker = await app.runtime.worker()
    assert worker.has_room
    await app.on_host_drain()
    assert not worker.has_room
    await app.on_host_stop()


async def test_after_a_stop_it_opens_anew(app):
    await app.on_host_start()
    before = await app.runtime.worker()
    await app.on_host_stop()
    assert await app.runtime.worker() is not before
    client = await app.runtime.client()
    await client.start_new("echo", "one", 1)
    assert (await client.wait_for_completion("one", 10)).output == 1
    await app.on_host_stop()


def test_one_loop_after_another(app):
    async def once():
        await app.runtime.client()
        await app.runtime.stop()

    asyncio.run(once())
    asyncio.run(once())


def test_a_loop_that_ended_without_a_stop_is_forgotten(app):
    """So is what a test or a host has left open there."""
    worker = asyncio.run(app.runtime.worker())

    async def again():
        assert await app.runtime.worker() is not worker
        await app.runtime.stop()

    asyncio.run(again())
    asyncio.run(worker.storage.close())


async def test_two_loops_at_once_are_refused(app):
    await app.runtime.client()
    with pytest.raises(PerdureError, match="at work on another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(app.runtime.client()))
    await app.on_host_stop()


async def test_an_unreachable_store_is_told_and_tried_again(app, app_folder, monkeypatch):
    good = f"sqlite:///{app_folder.as_posix().lstrip('/')}/store.db"
    (app_folder / "file").write_text("")
    monkeypatch.setenv("AzureWebJobsStorage", good.replace("store.db", "file/store.db"))
    with pytest.raises(StorageUnavailable, match="task hub 'TestHub' can't be opened through the connection 'Azure"):
        await app.on_host_start()
    monkeypatch.setenv("AzureWebJobsStorage", good)
    await app.on_host_start()
    await app.on_host_stop()


async def test_a_connection_that_is_not_set(app, monkeypatch):
    monkeypatch.delenv("AzureWebJobsStorage")
    with pytest.raises(SettingsError, match="The connection 'AzureWebJobsStorage' is not set"):
        await app.on_host_start()


def test_wrong_settings_are_told_when_the_app_is_indexed(app_folder):
    write_host_json(app_folder, hubName="not-a-hub")
    with pytest.raises(SettingsError, match="'not-a-hub'"):
        df.DFApp().get_functions()


async def test_an_app_without_functions_has_no_worker(app_folder):
    app = df.DFApp()
    app.get_functions()
    await app.on_host_start()
    with pytest.raises(PerdureError, match="neither orchestrators nor activities"):
        await app.runtime.worker()
    await app.on_host_stop()
