import base64
from pathlib import Path

import pytest

from perdure.errors import SettingsError
from perdure.storage.connection import (
    AccountKey,
    AzureConnection,
    Identity,
    SharedAccessSignature,
    SqliteConnection,
    resolve_connection,
)

KEY = base64.b64encode(b"a key that nobody may see").decode()
ACCOUNT = f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={KEY};EndpointSuffix=core.windows.net"
URLS = {service: f"https://acme.{service}.core.windows.net" for service in ("blob", "queue", "table")}
LOCAL = {
    "blob": "http://127.0.0.1:10000/devstoreaccount1",
    "queue": "http://127.0.0.1:10001/devstoreaccount1",
    "table": "http://127.0.0.1:10002/devstoreaccount1",
}


def resolve(*, name="Storage", **settings):
    return resolve_connection(name, settings)


def test_a_connection_string_names_account_key_and_services():
    connection = resolve(Storage=ACCOUNT)

    assert connection == AzureConnection("Storage", "acme", AccountKey(KEY), URLS)


def test_other_clouds_have_another_suffix():
    connection = resolve(Storage=ACCOUNT.replace("core.windows.net", "core.chinacloudapi.cn"))

    assert connection.url("table") == "https://acme.table.core.chinacloudapi.cn"


@pytest.mark.parametrize("setting", ["AzureWebJobsStorage", "azurewebjobsstorage", "ConnectionStrings__Storage"])
def test_the_setting_may_have_the_hosts_prefixes_in_any_case(setting):
    connection = resolve_connection("Storage", {setting: ACCOUNT, "Other": "x"})

    assert (connection.setting, connection.account) == (setting, "acme")


def test_the_prefixed_setting_comes_first_as_in_the_host():
    connection = resolve(AzureWebJobsStorage=ACCOUNT, Storage="sqlite://:memory:")

    assert connection.account == "acme"


def test_an_empty_setting_counts_as_missing():
    assert resolve(AzureWebJobsStorage=" ", Storage=ACCOUNT).setting == "Storage"


def test_development_storage_is_azurite_on_its_usual_ports():
    connection = resolve(Storage="UseDevelopmentStorage=true")

    assert (connection.account, connection.urls) == ("devstoreaccount1", LOCAL)
    assert isinstance(connection.credential, AccountKey)


def test_development_storage_may_be_on_another_machine():
    connection = resolve(Storage="UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite")

    assert connection.url("queue") == "http://azurite:10001/devstoreaccount1"


def test_endpoints_in_the_connection_string_win():
    connection = resolve(
        Storage=f"AccountName=acme;AccountKey={KEY};TableEndpoint=http://127.0.0.1:9/acme/;BlobEndpoint=https://b.acme.io"
    )

    assert connection.url("table") == "http://127.0.0.1:9/acme"
    assert connection.url("blob") == "https://b.acme.io"
    assert connection.url("queue") == "https://acme.queue.core.windows.net"


def test_a_shared_access_signature_instead_of_a_key():
    connection = resolve(
        Storage="QueueEndpoint=https://acme.queue.core.windows.net;SharedAccessSignature=?sv=1&sig=s%3D"
    )

    assert connection.account == "acme"
    assert connection.credential == SharedAccessSignature("sv=1&sig=s%3D")
    with pytest.raises(SettingsError, match="Storage__tableServiceUri"):
        connection.url("table")


@pytest.mark.parametrize("separator", ["__", ":"])
def test_an_identity_by_account_name(separator):
    connection = resolve_connection(
        "Storage",
        {
            f"AzureWebJobsStorage{separator}accountName": "acme",
            f"AzureWebJobsStorage{separator}credential": "managedidentity",
            f"AzureWebJobsStorage{separator}clientId": "1234",
        },
    )

    assert connection == AzureConnection("AzureWebJobsStorage", "acme", Identity(managed=True, client_id="1234"), URLS)


def test_an_identity_by_addresses_of_services():
    connection = resolve(
        Storage__queueServiceUri="https://q.example.org/",
        Storage__blobServiceUri="https://b.example.org",
        Storage__tableServiceUri="https://t.example.org",
    )

    assert connection.urls == {
        "queue": "https://q.example.org",
        "blob": "https://b.example.org",
        "table": "https://t.example.org",
    }
    assert connection.credential == Identity()


def test_addresses_that_follow_azures_pattern_tell_the_others():
    connection = resolve(Storage__queueServiceUri="https://acme.queue.core.usgovcloudapi.net")

    assert connection.account == "acme"
    assert connection.url("table") == "https://acme.table.core.usgovcloudapi.net"


def test_an_address_that_follows_no_pattern_tells_only_itself():
    connection = resolve(Storage__queueServiceUri="https://q.example.org")

    with pytest.raises(SettingsError, match="Storage__blobServiceUri"):
        connection.url("blob")


def test_an_applications_secret_is_an_identity_too():
    connection = resolve(
        Storage__accountName="acme", Storage__tenantId="tenant", Storage__clientId="client", Storage__clientSecret=KEY
    )

    assert connection.credential == Identity(client_id="client", tenant_id="tenant", client_secret=KEY)
    assert KEY not in repr(connection)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("sqlite:///var/data/app.db", Path("/var/data/app.db")),
        ("sqlite:////var/data/app.db", Path("/var/data/app.db")),
        ("sqlite:///C:/data/app.db", Path("C:/data/app.db")),
        ("SQLite:///var/my data/a%20b.db", Path("/var/my data/a%20b.db")),
        ("sqlite://:memory:", None),
    ],
)
def test_sqlite_addresses(value, path):
    assert resolve(Storage=value) == SqliteConnection("Storage", path)


def test_a_missing_connection_says_what_to_set():
    with pytest.raises(SettingsError, match=r"'Orders' is not set.*UseDevelopmentStorage.*Orders__accountName"):
        resolve_connection("Orders", {"AzureWebJobsStorage": ACCOUNT})


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"Storage": "nonsense"}, "'Access keys'"),
        ({"Storage": "a=b;c=d"}, "no AccountName"),
        ({"Storage": "AccountName=acme"}, "neither AccountKey nor"),
        ({"Storage": f"AccountName=acme;AccountKey={KEY[:-1]}"}, "cut off"),
        ({"Storage": f"AccountName=acme;AccountKey={KEY};BlobEndpoint=acme"}, "blob endpoint in Storage"),
        ({"Storage": "sqlite://relative.db"}, "sqlite:///absolute"),
        ({"Storage": "sqlite:///"}, "sqlite:///absolute"),
        ({"Storage__credential": "managedidentity"}, "Storage__accountName"),
        ({"Storage__accountName": "acme", "Storage__credential": "magic"}, "'managedidentity'"),
        ({"Storage__queueServiceUri": "http://acme.queue.core.windows.net"}, "https"),
        ({"Storage__queueServiceUri": "acme"}, "Storage__queueServiceUri"),
    ],
    ids=str,
)
def test_a_malformed_setting_is_explained_without_its_key(settings, hint):
    with pytest.raises(SettingsError, match=hint) as caught:
        resolve_connection("Storage", settings)

    assert "Storage" in str(caught.value)
    assert KEY[:-1] not in str(caught.value)


def test_a_connections_text_does_not_show_its_key():
    assert KEY not in repr(resolve(Storage=ACCOUNT))
    assert "sig" not in repr(resolve(Storage="QueueEndpoint=https://a.b.c;SharedAccessSignature=sig=1"))
