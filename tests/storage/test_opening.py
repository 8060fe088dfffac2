import subprocess
import sys

import pytest

from perdure.errors import SettingsError
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_queues, open_storage


def test_the_embedded_store_works_without_the_azure_sdks(tmp_path):
    program = f"""
import asyncio, sys
sys.modules["azure"] = sys.modules["aiohttp"] = None  # any import of them fails
from perdure.storage.connection import resolve_connection
from perdure.storage.counting import CountingStorage
from perdure.storage.opening import open_queues, open_storage

async def main():
    connection = resolve_connection("S", {{"S": "sqlite://{tmp_path}/a.db"}})
    storage, queues = CountingStorage(open_storage(connection, "hub")), open_queues(connection)
    await storage.create()
    await queues.create_queue("orders")
    await storage.send("orders", "x")
    print(len(await queues.receive("orders", count=1, invisibility=5)))
    await storage.close()
    await queues.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout, done.stderr) == ("1\n", "")


async def test_a_hub_in_memory_and_its_account_share_one_store():
    connection = resolve_connection("S", {"S": "sqlite://:memory:"})
    storage, queues = open_storage(connection, "hub"), open_queues(connection)
    await queues.create_queue("orders")

    sent = await storage.send("orders", "x")

    (received,) = await queues.receive("orders", count=1, invisibility=5)
    assert received.message_id == sent.message_id
    await storage.close()
    await queues.close()

    reopened = open_queues(connection)
    await reopened.create_queue("orders")
    assert await reopened.queue_length("orders") == 0
    await reopened.close()


async def test_a_refused_hub_is_no_user_of_the_store_in_memory():
    connection = resolve_connection("S", {"S": "sqlite://:memory:"})
    with pytest.raises(SettingsError, match="hubName"):
        open_storage(connection, "no-hub")
    queues = open_queues(connection)
    await queues.create_queue("orders")
    await queues.send("orders", "x")

    await queues.close()

    reopened = open_queues(connection)
    await reopened.create_queue("orders")
    assert await reopened.queue_length("orders") == 0
    await reopened.close()


@pytest.mark.azurite
async def test_azure_is_opened_with_the_encoding_asked_for(azurite):
    connection = resolve_connection("S", {"S": azurite.connection_string})

    storage, plain, encoded = open_storage(connection, "hub"), open_queues(connection, "none"), open_queues(connection)

    assert storage.hub == "hub"
    assert (plain.max_message_bytes, encoded.max_message_bytes) == (64 * 1024, 48 * 1024)
    for each in (storage, plain, encoded):
        await each.close()
