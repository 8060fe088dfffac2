"""Payloads whose bytes somebody has damaged: for whoever asks, they are gone, and the error says why."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing

import pytest
from azure.storage.blob import BlobServiceClient, ContentSettings

from perdure.storage.protocol import PayloadMissing
from tests.storage.providers import azurite_provider, new_hub, sqlite_provider

DATA = b'{"text": "' + b" ".join(b"%d is a number" % number for number in range(4_000)) + b'"}'


def _flipped(packed, place):
    return packed[:place] + bytes([packed[place] ^ 0x55]) + packed[place + 1 :]


DAMAGES = {
    "a byte of the text": lambda packed: _flipped(packed, len(packed) // 2),
    "the checksum": lambda packed: _flipped(packed, len(packed) - 8),
    "the length": lambda packed: _flipped(packed, len(packed) - 4),
    "the beginning": lambda packed: _flipped(packed, 0),
    "cut short": lambda packed: packed[: len(packed) // 2],
    "without its end": lambda packed: packed[:-8],
    "empty": lambda packed: b"",
    "not compressed": gzip.decompress,
    "something after it": lambda packed: packed + b"more",
}


class File:
    """A hub in a file that somebody else writes to."""

    def __init__(self, path):
        self.path, self.provider, self.hub = path, sqlite_provider(path), new_hub()

    def damage(self, payload_id, damage):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            (data,) = connection.execute("SELECT data FROM blobs WHERE name = ?", (payload_id,)).fetchone()
            connection.execute("UPDATE blobs SET data = ? WHERE name = ?", (damage(data), payload_id))


class Account:
    """A hub in a storage account that somebody else writes to."""

    def __init__(self, connection_string):
        self.connection_string = connection_string
        self.provider, self.hub = azurite_provider(connection_string), new_hub()

    def damage(self, payload_id, damage):
        with BlobServiceClient.from_connection_string(self.connection_string) as service:
            container = service.get_container_client(f"{self.hub.lower()}-payloads")
            packed = gzip.compress(container.download_blob(f"one/{payload_id}").readall(), mtime=0)
            encoding = ContentSettings(content_encoding="gzip")
            container.upload_blob(f"one/{payload_id}", damage(packed), overwrite=True, content_settings=encoding)


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
async def place(request, tmp_path):
    if request.param == "sqlite":
        place = File(tmp_path / "store.db")
    else:
        place = Account(request.getfixturevalue("azurite").connection_string)
    yield place
    await place.provider.close()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_payload_is_as_good_as_gone(place, damage):
    storage = place.provider.open(place.hub)
    await storage.create()
    for payload_id in ("whole", "hurt"):
        await storage.put_payload("one", payload_id, DATA)
    place.damage("hurt", damage)
    with pytest.raises(PayloadMissing, match="payload 'hurt' of 'one' is damaged"):
        await storage.get_payload("one", "hurt")
    assert await storage.get_payload("one", "whole") == DATA
    assert await storage.list_payloads("one") == ["hurt", "whole"]
    await storage.delete_payloads("one", ["hurt"])
    assert await storage.list_payloads("one") == ["whole"]
