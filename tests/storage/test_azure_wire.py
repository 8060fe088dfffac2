"""Requests that are signed and sent without the SDKs: log-ins, and what a service makes of them."""

import base64
import hashlib
import hmac
import time

import pytest
from azure.core.credentials import AccessToken

from perdure.storage.azure import AzureQueues, AzureStorage, Transport
from perdure.storage.azure.signing import Request, queue_text, table_text
from perdure.storage.azure.transport import Answer
from perdure.storage.connection import AccountKey, AzureConnection, Identity, SharedAccessSignature
from perdure.storage.protocol import StorageError, StorageUnavailable
from perdure.storage.rows import RowUpdate
from tests.storage.providers import NOON, new_row

URLS = {service: f"https://acme.{service}.core.windows.net" for service in ("blob", "queue", "table")}
CREATED = Answer(204, {"ETag": 'W/"1"'}, b"")
REFUSED = Answer(401, {}, b"")
KEY = base64.b64encode(b"top secret key").decode()


class Service(Transport):
    """Gives these answers, and keeps what it was asked."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.asked = []

    async def exchange(self, method, url, headers, body):
        self.asked.append((method, url, dict(headers), body))
        return self.answers.pop(0)

    async def sleep(self, duration):
        raise AssertionError(f"nothing is to be waited for, let alone {duration} s")


class LoggedIn:
    """Gives a new token each time."""

    def __init__(self, lasts=3600):
        self.given = 0
        self.lasts = lasts

    async def get_token(self, *_scopes, **_options):
        self.given += 1
        return AccessToken(f"token{self.given}", int(time.time()) + self.lasts)

    async def close(self):
        return


def storage_of(service, credential):
    return AzureStorage(AzureConnection("Storage", "acme", credential, URLS), "hub", transport=service)


@pytest.fixture
def log_in(monkeypatch):
    def use(credential):
        monkeypatch.setattr("perdure.storage.azure.account._token_credential", lambda _identity: credential)
        return credential

    return use


def tokens(service):
    return [headers["Authorization"] for _, _, headers, _ in service.asked]


async def test_a_token_serves_until_shortly_before_its_end(log_in):
    credential = log_in(LoggedIn(lasts=3600))
    service = Service(CREATED, CREATED)
    storage = storage_of(service, Identity())
    await storage.insert(new_row("a"))
    await storage.insert(new_row("b"))
    assert tokens(service) == ["Bearer token1"] * 2

    credential.lasts = 200
    storage = storage_of(service := Service(CREATED, CREATED), Identity())
    await storage.insert(new_row("a"))
    await storage.insert(new_row("b"))
    assert tokens(service) == ["Bearer token2", "Bearer token3"], "one that ends in three minutes is not used again"


async def test_a_token_that_was_revoked_is_replaced_once(log_in):
    log_in(LoggedIn())
    service = Service(REFUSED, CREATED)
    await storage_of(service, Identity()).insert(new_row())
    assert tokens(service) == ["Bearer token1", "Bearer token2"]

    service = Service(REFUSED, REFUSED)
    with pytest.raises(StorageUnavailable, match=r"refuses us .401"):
        await storage_of(service, Identity()).insert(new_row())
    assert len(service.asked) == 2


async def test_a_token_never_leaves_without_tls(log_in):
    log_in(LoggedIn())
    service = Service()
    queues = AzureQueues(AzureConnection("Storage", "acme", Identity(), {"queue": "http://a.b.c"}), transport=service)
    with pytest.raises(StorageUnavailable, match="without TLS"):
        await queues.send("orders", "x")
    assert not service.asked


async def test_a_shared_access_signature_is_sent_as_it_was_given():
    service = Service(Answer(204, {}, b""))
    storage = storage_of(service, SharedAccessSignature("sv=1&sig=s%3D%2B"))
    assert await storage.delete_message("orders", "id/1", "a+b=")
    ((method, url, headers, body),) = service.asked
    assert (method, body) == ("DELETE", None)
    assert url == f"{URLS['queue']}/orders/messages/id%2F1?popreceipt=a%2Bb%3D&sv=1&sig=s%3D%2B"
    assert "Authorization" not in headers


async def test_a_signature_is_that_of_the_rules():
    """The example of "Authorize with Shared Key" for tables, and its format for queues."""
    insert = Request("POST", f"{URLS['table']}/hubInstances", {}, {})
    assert table_text("acme", insert, "today") == "today\n/acme/hubInstances"
    put = Request(
        "POST",
        f"{URLS['queue']}/orders/messages",
        {"messagettl": "-1", "visibilitytimeout": "7"},
        {"Content-Type": "application/xml", "x-ms-version": "2021-02-12"},
        b"12345",
    )
    text = "POST\n\n\n5\n\napplication/xml\n\n\n\n\n\n\nx-ms-date:today\nx-ms-version:2021-02-12\n"
    assert queue_text("acme", put, "today") == text + "/acme/orders/messages\nmessagettl:-1\nvisibilitytimeout:7"

    service = Service(CREATED)
    await storage_of(service, AccountKey(KEY)).insert(new_row())
    ((_, url, headers, _),) = service.asked
    assert url == insert.url
    told = f"{headers['x-ms-date']}\n/acme/hubInstances"
    expected = base64.b64encode(hmac.new(b"top secret key", told.encode(), hashlib.sha256).digest()).decode()
    assert headers["Authorization"] == f"SharedKeyLite acme:{expected}"


@pytest.mark.parametrize("text", [b"no JSON", b"[]", b'{"Head@odata.type": "Edm.Binary", "Head": "?"}'])
async def test_a_row_that_is_nonsense_is_no_row(text):
    storage = storage_of(Service(Answer(200, {"ETag": "1"}, text)), AccountKey(KEY))
    with pytest.raises(StorageUnavailable, match=r"table service .* gave no usable answer"):
        await storage.read("one")


async def test_messages_that_are_nonsense_are_no_messages():
    storage = storage_of(Service(*[Answer(200, {}, b"<QueueMessagesList><Queue")] * 2), AccountKey(KEY))
    with pytest.raises(StorageUnavailable, match=r"queue service .* gave no usable answer"):
        await storage.receive("orders", count=1, invisibility=1)
    with pytest.raises(StorageUnavailable, match=r"queue service .* gave no usable answer"):
        await storage.send("orders", "x")


@pytest.mark.parametrize("answer", [Answer(200, {}, b"<html/>"), Answer(307, {"Location": "https://log.in"}, b"")])
async def test_a_proxys_own_page_is_no_answer(answer):
    """Of a network that wants a log-in first: nothing has been written."""
    storage = storage_of(Service(*[answer] * 4), AccountKey(KEY))
    update = RowUpdate(updated_at=NOON, commit="c")
    for call in (storage.insert(new_row()), storage.merge("one", "1", update), storage.read("one")):
        with pytest.raises(StorageUnavailable, match=r"table service .* gave no usable answer"):
            await call
    with pytest.raises(StorageUnavailable, match=r"queue service .* gave no usable answer"):
        await storage.send("orders", "x")


@pytest.mark.parametrize(
    "body",
    [
        b'{"odata.error": {"code": "OutOfRange", "message": {"lang": "en", "value": "It is too large.\\nRequest:1"}}}',
        b"<?xml version='1.0'?><Error><Code>OutOfRange</Code><Message>It is too large.\nRequest:1</Message></Error>",
    ],
)
async def test_what_a_service_says_against_a_request_is_told(body):
    storage = storage_of(Service(Answer(400, {}, body)), AccountKey(KEY))
    with pytest.raises(StorageError, match=r"400 OutOfRange.: It is too large"):
        await storage.insert(new_row())
