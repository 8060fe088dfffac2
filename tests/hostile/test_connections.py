"""Connection settings and what stands in them: an error names the setting, and never shows a key."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perdure.client import Client
from perdure.errors import SettingsError
from perdure.storage.connection import AZURITE_KEY, resolve_connection
from perdure.storage.opening import open_storage

SECRET = AZURITE_KEY
ACCOUNT = f"AccountName=acc;AccountKey={SECRET}"
HOSTILE = [
    "sqlite:",
    "sqlite:///",
    "sqlite:relative.db",
    "sqlite:///tmp/a\x00b.db",
    "sqlite:///tmp/\ud800.db",
    "\x00",
    "\ud800",
    ";;;",
    "=",
    "a=b",
    "x" * 100_000,
    "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://[",
    "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=junk",
    "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=file:///etc/passwd",
    f"AccountName=;AccountKey={SECRET}",
    f"AccountName=a b;AccountKey={SECRET}",
    f"AccountName=a/b@evil.example;AccountKey={SECRET}",
    f"AccountName=evil.example/;AccountKey={SECRET}",
    f"AccountName=x\x00y;AccountKey={SECRET}",
    f"AccountName=acc\ud800;AccountKey={SECRET}",
    "AccountName=acc;AccountKey=\u00e9",
    "AccountName=acc;AccountKey=A",
    "AccountName=acc;AccountKey=",
    "AccountName=acc;SharedAccessSignature=sv=1\r\nX-Header: y",
    f"BlobEndpoint=http://[;AccountKey={SECRET}",
    f"{ACCOUNT};BlobEndpoint=http://host:99999999",
    f"{ACCOUNT};BlobEndpoint=http://host:abc",
    f"{ACCOUNT};BlobEndpoint=http://user:password@host",
    f"{ACCOUNT};BlobEndpoint=http://host/?x=y",
    f"{ACCOUNT};BlobEndpoint=http://ho st/",
    f"{ACCOUNT};QueueEndpoint=file:///etc/passwd",
    f"{ACCOUNT};EndpointSuffix=[",
    f"{ACCOUNT};EndpointSuffix=a\r\nb",
    f"{ACCOUNT};DefaultEndpointsProtocol=javascript",
]
HOSTILE_SECTIONS = [
    {"Hub__accountName": "a/b"},
    {"Hub__accountName": "\x00"},
    {"Hub__accountName": "evil.example/"},
    {"Hub__blobServiceUri": "https://["},
    {"Hub__queueServiceUri": "https://acc.queue.core.windows.net:bad"},
    {"Hub__tableServiceUri": "http://acc.table.core.windows.net"},
    {"Hub__accountName": "acc", "Hub__credential": "password"},
    {"Hub__": "x"},
    {"Hub__clientId": "x"},
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_connection_is_refused_by_the_name_of_its_setting(value):
    with pytest.raises(SettingsError, match="Hub") as refused:
        resolve_connection("Hub", {"Hub": value})
    assert SECRET not in str(refused.value)
    assert "password" not in str(refused.value)
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize("section", HOSTILE_SECTIONS)
def test_a_hostile_section_is_refused_by_its_name(section):
    with pytest.raises(SettingsError, match="Hub"):
        resolve_connection("Hub", section)


@pytest.mark.parametrize("name", ["", "\x00", "\ud800", "a" * 10_000, "../../etc/passwd", "__", ":"])
def test_a_hostile_name_of_a_connection(name):
    with pytest.raises(SettingsError, match="connection") as refused:
        resolve_connection(name, {"Hub": "UseDevelopmentStorage=true"})
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize(
    "hub", ["", "1a", "a b", "a'", "../a", "a/b", "\x00", "\ud800", "h\u00fcb", "a\n", "a" * 46, 5, None]
)
@pytest.mark.parametrize("value", ["sqlite://:memory:", "UseDevelopmentStorage=true"])
def test_a_hostile_name_of_a_hub(hub, value):
    with pytest.raises(SettingsError, match="task hub name"):
        Client.open(hub, "Hub", environ={"Hub": value})


_words = st.sampled_from(
    [
        *("AccountName", "AccountKey", "BlobEndpoint", "QueueEndpoint", "TableEndpoint", "SharedAccessSignature"),
        *(
            "EndpointSuffix",
            "DefaultEndpointsProtocol",
            "UseDevelopmentStorage",
            "true",
            "https",
            "http://",
            "sqlite:///",
        ),
        *("=", ";", ":", "/", "//", "[", "]", "@", "acc", SECRET, "\x00", " ", "%", "?", "#", "1"),
    ]
)


async def opened_or_refused(settings):
    """Open the connection, or return why that is refused."""
    try:
        storage = open_storage(resolve_connection("Hub", settings), "Tests")
    except SettingsError as error:
        return str(error)
    await storage.close()
    return None


@settings(deadline=None)
@given(st.lists(_words | st.text(max_size=5), max_size=20).map("".join))
@example("AccountName=acc;AccountKey=;BlobEndpoint=http://[::1")
async def test_any_text_is_a_connection_or_a_clear_error(value):
    refused = await opened_or_refused({"Hub": value})
    assert refused is None or ("Hub" in refused and SECRET not in refused)


@settings(deadline=None)
@given(st.dictionaries(st.lists(_words, max_size=4).map(lambda words: "Hub__" + "".join(words)), st.text(max_size=9)))
async def test_any_section_is_a_connection_or_a_clear_error(section):
    refused = await opened_or_refused(section)
    assert refused is None or "Hub" in refused
