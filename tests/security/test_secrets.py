"""Keys and signatures appear in no message, no log and no repr."""

from __future__ import annotations

import logging

import pytest

from perdure.client import Client
from perdure.errors import PerdureError
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage

KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
SIGNATURE = "sv=2021&sig=very%2Bsecret%3D"
ENDPOINTS = ";".join(f"{service}Endpoint=https://shop.{service}.local" for service in ("Blob", "Queue", "Table"))
CONNECTIONS = [
    f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net",
    f"{ENDPOINTS};SharedAccessSignature={SIGNATURE}",
]


@pytest.mark.parametrize("value", CONNECTIONS)
def test_what_is_shown_of_a_connection(value):
    connection = resolve_connection("Storage", {"Storage": value})
    shown = f"{connection!r} {connection}"
    assert KEY not in shown
    assert "very" not in shown


@pytest.mark.parametrize(
    "value",
    [
        f"AccountName=shop;AccountKey={KEY[:-3]};EndpointSuffix=core.windows.net",
        f"AccountKey={KEY}",
        f"AccountName=shop;AccountKey={KEY};BlobEndpoint=nonsense",
        f"nonsense {KEY}",
        f"SharedAccessSignature={SIGNATURE}",
    ],
)
def test_what_is_said_of_a_connection_that_makes_no_sense(value):
    with pytest.raises(PerdureError) as caught:
        resolve_connection("Storage", {"Storage": value})
    assert KEY[:20] not in str(caught.value)
    assert "very" not in str(caught.value)
    assert "Storage" in str(caught.value)


@pytest.mark.azurite
@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")  # the SDK's own
@pytest.mark.parametrize("key", [KEY, "d3Jvbmcta2V5"])
async def test_what_is_logged_and_raised_when_a_key_is_wrong(azurite, key, caplog):
    parts = dict(part.split("=", 1) for part in azurite.connection_string.strip(";").split(";"))
    parts["AccountKey"] = key
    connection = resolve_connection("Storage", {"Storage": ";".join(f"{k}={v}" for k, v in parts.items())})
    storage = open_storage(connection, "SecretHub")
    with caplog.at_level(logging.DEBUG), pytest.raises(PerdureError) as caught:
        await Client(storage).get_status("one")
    await storage.close()
    assert key not in str(caught.value)
    assert key not in caplog.text
    assert "SharedKey" not in caplog.text.replace("SharedKey ***", "")
