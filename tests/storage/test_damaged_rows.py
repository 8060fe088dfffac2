"""Rows whose columns somebody has damaged by hand: told by name, and no others suffer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from perdure.errors import StoredDataError
from perdure.storage.rows import InstanceQuery
from tests.storage.providers import azurite_provider, new_hub, new_row, sqlite_provider

DAMAGES = {
    "no time": ("created_at", "CreatedAt", "yesterday"),
    "no tags": ("tags", "Tags", "{"),
    "no status": ("status", "Status", b"\xff"),
    "no number": ("generation", "Generation", "many"),
}


class File:
    """A hub in a file that somebody else writes to."""

    def __init__(self, path):
        self.path, self.provider, self.hub = path, sqlite_provider(path), new_hub()

    def damage(self, instance_id, damage):
        column, _, value = damage
        with closing(sqlite3.connect(self.path)) as connection, connection:
            statement = f"UPDATE instances SET {column} = ? WHERE instance_id = ?"  # noqa: S608 - our own column
            connection.execute(statement, (value, instance_id))


class Account:
    """A hub in a storage account that somebody else writes to."""

    def __init__(self, connection_string):
        self.connection_string = connection_string
        self.provider, self.hub = azurite_provider(connection_string), new_hub()

    def damage(self, instance_id, damage):
        _, column, value = damage
        with TableServiceClient.from_connection_string(self.connection_string) as service:
            table = service.get_table_client(f"{self.hub}Instances")
            table.update_entity({"PartitionKey": instance_id, "RowKey": "", column: value}, UpdateMode.MERGE)


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
async def place(request, tmp_path):
    if request.param == "sqlite":
        place = File(tmp_path / "store.db")
    else:
        place = Account(request.getfixturevalue("azurite").connection_string)
    yield place
    await place.provider.close()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_row_is_told_and_left_out_of_lists(place, damage, caplog):
    storage = place.provider.open(place.hub)
    await storage.create()
    names = ["a", "b", "c"]
    for name in names:
        await storage.insert(new_row(name))
    place.damage("b", damage)

    for read in (storage.read, storage.read_instance):
        with pytest.raises(StoredDataError, match="the row of instance 'b' is damaged"):
            await read("b")
    found, continuation = [], None
    while True:
        page = await storage.query(InstanceQuery(), top=1, continuation=continuation)
        found += [instance.instance_id for instance in page.instances]
        continuation = page.continuation
        if continuation is None:
            break
    assert found == ["a", "c"]
    assert "the row of instance 'b' is damaged" in caplog.text


async def test_whole_rows_come_back_as_they_were(place):
    storage = place.provider.open(place.hub)
    await storage.create()
    now = datetime.now(UTC)
    row = new_row("a", tags={"x": "y"}, generation=7, completed_at=now, start_at=now, reason="r", output="1")
    row.etag = await storage.insert(row)
    assert await storage.read("a") == row
