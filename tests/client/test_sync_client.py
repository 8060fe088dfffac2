"""The sync twin, in a thread, over a client on the event loop."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from perdure.client import Client, SyncClient
from perdure.errors import InstanceNotFoundError, PerdureError
from tests.client.test_starting import echo, wait


async def test_everything_from_a_thread(hub, client):
    hub.orchestrator(echo)
    hub.orchestrator(wait)
    twin = SyncClient(client, asyncio.get_running_loop())

    def work():
        assert twin.task_hub_name == hub.storage.hub
        twin.start_new("wait", "one")
        twin.raise_event("one", "go", 1)
        assert twin.wait_for_completion("one", 10).output == 1
        twin.start_new("wait", "two")
        twin.terminate("two", "enough", recursive=False)
        assert twin.wait_for_completion("two", 10).output == "enough"
        assert twin.get_status("two", show_history=True).history
        assert len(twin.get_status_all()) == 2
        assert len(twin.query(top=10).instances) == 2
        assert twin.purge_instance_history("two").instances_deleted == 1
        with pytest.raises(InstanceNotFoundError):
            twin.raise_event("two", "go")

    await asyncio.to_thread(work)


async def test_on_the_loop_itself_it_refuses_to_wait(lonely):
    twin = SyncClient(lonely, asyncio.get_running_loop())
    with pytest.raises(PerdureError, match="Make the function async"):
        twin.get_status("one")


def test_it_has_the_methods_of_the_client():
    def surface(cls):
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_")
        }

    assert surface(SyncClient) == {name: shape for name, shape in surface(Client).items() if name != "close"}
