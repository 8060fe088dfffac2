"""What only the Azure provider has: a network, a transport that retries, requests that are counted."""

import asyncio
import base64
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import AccountSasPermissions, ResourceTypes, Services, generate_account_sas

from perdure.storage.azure import AzureQueues, AzureStorage, Transport
from perdure.storage.azure.account import Account
from perdure.storage.azure.transport import request_kind
from perdure.storage.connection import AccountKey, AzureConnection, Identity, resolve_connection
from perdure.storage.protocol import Conflict, StorageError, StorageUnavailable
from perdure.storage.rows import InstanceQuery, RowUpdate
from tests.storage.providers import NOON, new_hub, new_row

pytestmark = pytest.mark.azurite


class FaultyTransport(Transport):
    """Loses the answers to the first requests of one kind, before or after they took effect; never really sleeps."""

    def __init__(self):
        self.sent = Counter()
        self.pauses = []
        self._faults = []
        super().__init__(self._note)

    def lose(self, kind, *, times=1, delivered=True):
        self._faults += [(kind, delivered)] * times

    def _note(self, kind):
        self.sent[kind] += 1
        self._kind = kind

    async def send(self, request, **options):
        return await self._faultily(
            request.method, request.url, lambda: super(type(self), self).send(request, **options)
        )

    async def exchange(self, method, url, headers, body):
        return await self._faultily(method, url, lambda: super(type(self), self).exchange(method, url, headers, body))

    async def _faultily(self, method, url, sending):
        if self._faults and self._faults[0][0] == request_kind(self._urls, method, url):
            _, delivered = self._faults.pop(0)
            if not delivered:
                raise ServiceRequestError("connection refused")
            await sending()
            raise ServiceResponseError("connection lost")
        return await sending()

    async def sleep(self, duration):
        self.pauses.append(duration)


@pytest.fixture
def connection(azurite):
    return resolve_connection("Storage", {"Storage": azurite.connection_string})


@pytest.fixture
def transport():
    return FaultyTransport()


@pytest.fixture
async def opened():
    """Takes what is opened in a test, to close it afterwards."""
    async with AsyncExitStack() as stack:

        def take(storage):
            stack.push_async_callback(storage.close)
            return storage

        yield take


@pytest.fixture
async def storage(connection, transport, opened):
    storage = opened(AzureStorage(connection, new_hub(), transport=transport))
    await storage.create()
    await storage.create_queue("faulty-queue")
    transport.sent.clear()
    yield storage
    await storage.delete_queue("faulty-queue")


def commit(name, **changes):
    return RowUpdate(updated_at=NOON, commit=name, **changes)


async def test_a_merge_whose_answer_was_lost_is_tried_again_and_found_in_the_row(storage, transport):
    etag = await storage.insert(new_row())
    transport.lose("table:merge")

    with pytest.raises(Conflict):
        await storage.merge("one", etag, commit("mine", turn=b"turn"))

    assert transport.sent["table:merge"] == 2
    row = await storage.read("one")
    assert (row.instance.commit, row.tail) == ("mine", [b"turn"])


async def test_an_insert_whose_answer_was_lost_is_tried_again_and_found_in_the_row(storage, transport):
    transport.lose("table:insert")

    with pytest.raises(Conflict):
        await storage.insert(new_row(commit="mine"))

    assert transport.sent["table:insert"] == 2
    assert (await storage.read_instance("one")).commit == "mine"


async def test_a_replacement_whose_answer_was_lost_is_tried_again_and_found_in_the_row(storage, transport):
    etag = await storage.insert(new_row(tail=[b"old"]))
    transport.lose("table:replace")

    with pytest.raises(Conflict):
        await storage.replace(new_row(commit="mine", etag=etag))

    row = await storage.read("one")
    assert (row.instance.commit, row.tail) == ("mine", [])


async def test_a_write_that_never_arrived_is_tried_again_and_succeeds(storage, transport):
    transport.lose("table:insert", delivered=False)
    etag = await storage.insert(new_row())
    transport.lose("table:merge", times=2, delivered=False)

    await storage.merge("one", etag, commit("mine"))

    assert (await storage.read_instance("one")).commit == "mine"


async def test_an_added_payload_whose_answer_was_lost_is_told_by_what_is_in_it(storage, transport):
    transport.lose("blob:put")

    assert await storage.add_payload("one", "p", b"mine") is False
    assert await storage.get_payload("one", "p") == b"mine"

    transport.lose("blob:put", delivered=False)
    assert await storage.add_payload("one", "q", b"mine") is True


async def test_deletes_and_reads_whose_answers_were_lost_succeed(storage, transport):
    etag = await storage.insert(new_row())
    await storage.put_payload("one", "p", b"x")
    await storage.put_segment("one", "s", b"x")
    for kind in ("table:read", "table:query", "blob:get"):
        transport.lose(kind)
    assert await storage.read("one") is not None
    assert len((await storage.query(InstanceQuery())).instances) == 1
    assert await storage.get_payload("one", "p") == b"x"

    transport.lose("blob:delete")
    await storage.delete_payloads("one", ["p"])
    transport.lose("table:delete")
    await storage.delete_segments("one", ["s"])
    transport.lose("table:delete")
    await storage.delete("one", etag)

    assert transport.sent["table:delete"] == 4
    assert await storage.read("one") is None


async def test_a_message_whose_answer_was_lost_may_be_there_twice_but_is_there(storage, transport):
    transport.lose("queue:put")

    sent = await storage.send("faulty-queue", "x")

    received = await storage.receive("faulty-queue", count=32, invisibility=30)
    assert sent.message_id in {message.message_id for message in received}
    assert {message.body for message in received} == {"x"}


async def test_a_deletion_of_a_message_whose_answer_was_lost_says_that_it_is_gone(storage, transport):
    sent = await storage.send("faulty-queue", "x")
    transport.lose("queue:delete")

    assert not await storage.delete_message("faulty-queue", sent.message_id, sent.receipt)
    assert await storage.queue_length("faulty-queue") == 0


@pytest.mark.parametrize(
    ("kind", "service"), [("table:read", "table"), ("queue:delete", "queue"), ("blob:delete", "blob")]
)
async def test_when_all_tries_fail_the_store_is_unavailable(storage, transport, kind, service):
    transport.lose(kind, times=20)

    with pytest.raises(StorageUnavailable, match=rf"{service} service .*'devstoreaccount1'.*127\.0\.0\.1.*Storage"):
        await call(storage, service)

    assert transport.sent[kind] == 6
    assert 0 < sum(transport.pauses) < 10


@asynccontextmanager
async def service_that_answers(*answers):
    """An HTTP server that gives these answers, one a connection; yields its connection string."""
    answers = list(answers)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        status, headers = answers.pop(0)
        length = [] if "" in headers else ["Content-Length: 0"]
        lines = [f"HTTP/1.1 {status}", *length, "Connection: close", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/acme"
    urls = {service: address + service for service in ("blob", "queue", "table")}
    async with server:
        yield AzureConnection("MyStorage", "acme", AccountKey(base64.b64encode(b"top secret key").decode()), urls)


BUSY = ("503 Server Busy", ["Retry-After: 7", "x-ms-error-code: ServerBusy"])
MISSING = {
    "table": ("404 Not Found", ["x-ms-error-code: ResourceNotFound"]),
    "queue": ("404 Not Found", ["x-ms-error-code: MessageNotFound"]),
    "blob": ("404 Not Found", ["x-ms-error-code: BlobNotFound"]),
}


async def call(storage, service):
    match service:
        case "table":
            await storage.read("one")
        case "queue":
            await storage.delete_message("some-queue", "id", "receipt")
        case _:
            await storage.delete_payloads("one", ["p"])


@pytest.mark.parametrize("service", ["table", "queue", "blob"])
async def test_a_throttled_request_waits_as_long_as_the_service_asks(transport, service, opened):
    async with service_that_answers(BUSY, BUSY, MISSING[service]) as connection:
        storage = opened(AzureStorage(connection, "hub", transport=transport))

        await call(storage, service)
    assert len(transport.pauses) == 2
    assert all(7 <= pause <= 9 for pause in transport.pauses)
    assert sum(transport.sent.values()) == 3


@pytest.mark.parametrize("service", ["table", "queue", "blob"])
@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (BUSY, "busy or failing .503"),
        (("500 Internal Server Error", ["x-ms-error-code: InternalError"]), "busy or failing .500"),
        (
            ("403 Forbidden", ["x-ms-error-code: AuthenticationFailed"]),
            r"refuses us .403 AuthenticationFailed.*MyStorage",
        ),
        (("401 Unauthorized", []), "refuses us .401"),
    ],
    ids=["503", "500", "403", "401"],
)
async def test_a_service_that_does_not_serve_is_unavailable_and_no_key_is_shown(
    transport, service, answer, hint, opened
):
    async with service_that_answers(*[answer] * 6) as connection:
        storage = opened(AzureStorage(connection, "hub", transport=transport))

        with pytest.raises(StorageUnavailable, match=hint) as caught:
            await call(storage, service)
    assert f"{service} service of the storage account 'acme' (127.0.0.1:" in str(caught.value)
    assert connection.credential.key not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("service", "code"),
    [("table", "TableBeingDeleted"), ("blob", "ContainerBeingDeleted"), ("queue", "QueueBeingDeleted")],
)
async def test_what_is_still_being_deleted_is_unavailable(transport, opened, service, code):
    async with service_that_answers(*[("409 Conflict", [f"x-ms-error-code: {code}"])] * 3) as connection:
        storage = opened(AzureStorage(connection, "hub", transport=transport))
        create = {
            "table": partial(storage._create_table, storage._table),
            "blob": storage._create_container,
            "queue": partial(storage.create_queue, "some-queue"),
        }[service]

        with pytest.raises(StorageUnavailable, match=rf"still deleting.*{code}.*wait"):
            await create()


async def test_a_row_that_can_not_be_inserted_yet_is_no_conflict(transport, opened):
    async with service_that_answers(("409 Conflict", ["x-ms-error-code: TableBeingDeleted"])) as connection:
        storage = opened(AzureStorage(connection, "hub", transport=transport))

        with pytest.raises(StorageUnavailable):
            await storage.insert(new_row())


@pytest.mark.parametrize("service", ["table", "queue", "blob"])
async def test_a_request_that_is_not_accepted_is_an_error_of_another_kind(transport, opened, service):
    async with service_that_answers(("400 Bad Request", ["x-ms-error-code: InvalidInput"])) as connection:
        storage = opened(AzureStorage(connection, "hub", transport=transport))

        with pytest.raises(StorageError, match=r"does not accept a request .400") as caught:
            await call(storage, service)

    assert type(caught.value) is StorageError


async def test_an_answer_that_is_nonsense_means_unavailable(transport, opened):
    answer = ("200 OK", ["Content-Type: application/json", "Transfer-Encoding: chunked", "", "4", "{[}]", "0", ""])
    async with service_that_answers(*[answer] * 6) as connection:
        storage = opened(AzureStorage(connection, "hub", transport=transport))

        with pytest.raises(StorageUnavailable, match="table service"):
            await storage.read("one")


class NobodyLoggedIn:
    async def get_token(self, *scopes, **options):
        raise ClientAuthenticationError("no managed identity here")

    async def close(self):
        return


@pytest.mark.parametrize("service", ["table", "queue", "blob"])
async def test_an_identity_that_can_not_log_in_is_explained(monkeypatch, transport, opened, service):
    monkeypatch.setattr("perdure.storage.azure.account._token_credential", lambda _: NobodyLoggedIn())
    urls = dict.fromkeys(("table", "queue", "blob"), "https://acme.example.org")
    storage = opened(AzureStorage(AzureConnection("MyStorage", "acme", Identity(), urls), "hub", transport=transport))

    with pytest.raises(StorageUnavailable, match=r"no managed identity here.*Data Contributor.*MyStorage__"):
        await call(storage, service)


# the tables SDK, reading an error that is XML
@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
async def test_a_wrong_key_is_explained(connection, opened):
    wrong = replace(connection, credential=AccountKey(base64.b64encode(b"wrong").decode()))
    storage = opened(AzureStorage(wrong, "hub"))

    with pytest.raises(StorageUnavailable, match="check the key in the setting Storage"):
        await storage.create()


async def test_an_address_where_nothing_listens_is_explained(connection, transport, unused_tcp_port, opened):
    nowhere = replace(connection, urls=dict.fromkeys(connection.urls, f"http://127.0.0.1:{unused_tcp_port}/x"))
    storage = opened(AzureStorage(nowhere, "hub", transport=transport))

    for service in ("table", "queue", "blob"):
        with pytest.raises(StorageUnavailable, match=rf"{service} service .*127\.0\.0\.1:{unused_tcp_port}/x.*reached"):
            await call(storage, service)


async def test_a_hub_that_was_never_created_is_explained(connection, opened):
    storage = opened(AzureStorage(connection, new_hub()))

    calls = [
        storage.insert(new_row()),
        storage.read("one"),
        storage.merge("one", "W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"", commit("c")),
        storage.query(InstanceQuery()),
        storage.put_payload("one", "p", b"x"),
        storage.add_payload("one", "p", b"x"),
        storage.get_payload("one", "p"),
        storage.list_payloads("one"),
        storage.put_segment("one", "s", b"x"),
        storage.get_segments("one", ["s"]),
    ]
    for each in calls:
        with pytest.raises(StorageError, match="no such task hub") as caught:
            await each
        assert type(caught.value) is StorageError


async def test_each_operation_costs_the_requests_it_should(storage, transport):
    etag = await storage.insert(new_row())
    etag = await storage.merge("one", etag, commit("c", turn=b"turn"))
    row = await storage.read("one")
    await storage.replace(row)
    await storage.read_instance("one")
    await storage.query(InstanceQuery())
    await storage.delete("one", (await storage.read("one")).etag)
    assert transport.sent == {
        "table:insert": 1,
        "table:merge": 1,
        "table:replace": 1,
        "table:read": 3,
        "table:query": 1,
        "table:delete": 1,
    }
    transport.sent.clear()

    await storage.send("faulty-queue", "x")
    (message,) = await storage.receive("faulty-queue", count=32, invisibility=30)
    receipt = await storage.extend("faulty-queue", message.message_id, message.receipt, invisibility=30)
    await storage.delete_message("faulty-queue", message.message_id, receipt)
    assert await storage.receive("faulty-queue", count=32, invisibility=30) == []
    await storage.queue_length("faulty-queue")
    assert transport.sent == {
        "queue:put": 1,
        "queue:get": 2,
        "queue:update": 1,
        "queue:delete": 1,
        "queue:length": 1,
    }
    transport.sent.clear()

    await storage.put_payload("one", "p", b"x" * 1024**2)
    await storage.get_payload("one", "p")
    await storage.list_payloads("one")
    await storage.delete_payloads("one", ["p"])
    assert transport.sent == {"blob:put": 1, "blob:get": 1, "blob:list": 1, "blob:delete": 1}
    transport.sent.clear()

    await storage.put_segment("one", "s", b"x" * 500_000)
    await storage.get_segments("one", ["s"])
    await storage.delete_segments("one", ["s"])
    assert transport.sent == {"table:replace": 1, "table:read": 1, "table:query": 1, "table:delete": 1}


async def test_a_hub_is_made_of_two_tables_and_a_container(connection, opened):
    kinds = []
    storage = opened(AzureStorage(connection, new_hub(), observer=kinds.append))

    await storage.create()
    await storage.destroy()

    assert Counter(kinds) == {
        "table:create": 2,
        "blob:create": 1,
        "table:drop": 2,
        "blob:drop": 1,
    }


async def test_a_compressible_payload_is_stored_as_gzip(storage):
    await storage.put_payload("a/b.", "p", b"x" * 100_000)
    await storage.put_payload("a/b.", "tiny", b"x")

    blobs = {blob.name: blob async for blob in storage._container.list_blobs()}
    assert blobs["a~sb~d/p"].size < 1000
    assert blobs["a~sb~d/p"].content_settings.content_encoding == "gzip"
    assert blobs["a~sb~d/tiny"].content_settings.content_encoding is None


async def test_a_row_reads_well_in_a_storage_browser(storage):
    await storage.insert(new_row("a/b", tail=[b"t"], head=b"h", segments=["0-0-c", "0-1-c"], tags={"k": "v"}))

    (entity,) = [entity async for entity in storage._table.list_entities()]

    times = {name: str(entity.pop(name)) for name in ("CreatedAt", "UpdatedAt")}
    assert set(times.values()) == {"2026-05-17 12:00:00.123456+00:00"}
    assert entity == {
        "PartitionKey": "a~sb",
        "RowKey": "",
        "Kind": "orchestration",
        "Name": "order",
        "Status": "Running",
        "ExecutionId": "e1",
        "Generation": 0,
        "Commit": "c0",
        "Deleting": False,
        "Tags": '{"k":"v"}',
        "Head": b"h",
        "Segments0": "0-0-c 0-1-c",
        "T0000": b"t",
    }


@pytest.mark.parametrize("encoding", ["base64", "none"])
async def test_queues_speak_the_encoding_of_the_functions_host(connection, encoding, opened):
    queues = opened(AzureQueues(connection, encoding))
    queue = new_hub().lower()
    await queues.create_queue(queue)

    for body in ("plain", "<ünï & co>", '{"id": 1}', ""):
        await queues.send(queue, body)
        (message,) = await queues.receive(queue, count=1, invisibility=30)
        assert message.body == body
        await queues.delete_message(queue, message.message_id, message.receipt)
    await queues.send(queue, "x" * queues.max_message_bytes)
    assert queues.max_message_bytes == {"base64": 48 * 1024, "none": 64 * 1024}[encoding]

    await queues.delete_queue(queue)


async def test_a_message_that_is_not_base64_is_passed_on_as_it_stands(connection, opened):
    plain, encoded = opened(AzureQueues(connection, "none")), opened(AzureQueues(connection))
    queue = new_hub().lower()
    await plain.create_queue(queue)

    for body in ("not base64!", "abc", "/////w=="):
        await plain.send(queue, body)
        (message,) = await encoded.receive(queue, count=1, invisibility=30)
        assert message.body == body

    await plain.delete_queue(queue)
    await encoded.close()


@pytest.mark.parametrize(
    ("identity", "kind"),
    [
        (Identity(), DefaultAzureCredential),
        (Identity(client_id="client"), DefaultAzureCredential),
        (Identity(managed=True), ManagedIdentityCredential),
        (Identity(managed=True, client_id="client"), ManagedIdentityCredential),
        (Identity(client_id="client", tenant_id="tenant", client_secret="hush"), ClientSecretCredential),  # noqa: S106
    ],
    ids=["any", "any by client id", "managed", "user-assigned", "application"],
)
async def test_identities_log_in_through_azure_identity(identity, kind):
    urls = {service: f"https://acme.{service}.core.windows.net" for service in ("blob", "queue", "table")}
    account = Account(AzureConnection("Storage", "acme", identity, urls))

    clients = [account.table("T"), account.container("container"), account.queue("queue")]

    assert {type(client.credential) for client in clients} == {kind}
    assert len({id(client.credential) for client in clients}) == 1
    await account.close()


async def test_a_shared_access_signature_is_enough(azurite, connection, opened):
    signature = generate_account_sas(
        connection.account,
        connection.credential.key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(
            read=True, write=True, delete=True, list=True, add=True, create=True, update=True, process=True
        ),
        datetime.now(UTC) + timedelta(hours=1),
        services=Services.from_string("btq"),
    )
    endpoints = azurite.connection_string.split(";")[3:]
    given = ";".join([*endpoints, f"SharedAccessSignature={signature}"])
    storage = opened(AzureStorage(resolve_connection("Storage", {"Storage": given}), new_hub()))

    await storage.create()
    etag = await storage.insert(new_row())
    await storage.merge("one", etag, commit("c", turn=b"turn"))
    await storage.put_payload("one", "p", b"x")
    assert (await storage.read("one")).tail == [b"turn"]
    assert await storage.list_payloads("one") == ["p"]

    await storage.destroy()


@pytest.mark.parametrize(
    ("method", "url", "kind"),
    [
        ("POST", "https://t/acct/Tables", "table:create"),
        ("DELETE", "https://t/acct/Tables('x')", "table:drop"),
        ("GET", "https://t/acct/XInstances(PartitionKey='a',RowKey='')", "table:read"),
        ("GET", "https://t/acct/XInstances()?$filter=x", "table:query"),
        ("PATCH", "https://t/acct/XInstances(PartitionKey='a',RowKey='')", "table:merge"),
        ("PUT", "https://q/acct/hub-control", "queue:create"),
        ("GET", "https://q/acct/hub-control?comp=metadata", "queue:length"),
        ("POST", "https://q/acct/hub-control/messages?visibilitytimeout=1", "queue:put"),
        ("PUT", "https://q/acct/hub-control/messages/1?popreceipt=x", "queue:update"),
        ("DELETE", "https://q/acct/hub-control/messages", "queue:clear"),
        ("PUT", "https://b/acct/c?restype=container", "blob:create"),
        ("GET", "https://b/acct/c?restype=container&comp=list", "blob:list"),
        ("PUT", "https://b/acct/c/f/p", "blob:put"),
        ("POST", "https://login/token", "other:post"),
    ],
)
def test_requests_are_named_by_service_and_operation(method, url, kind):
    urls = {"table": "https://t/acct", "queue": "https://q/acct", "blob": "https://b/acct"}
    assert request_kind(urls, method, url) == kind
