"""A storage account: credentials, retries and the clients of its tables, queues and containers."""

from __future__ import annotations

from typing import Any

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient, ExponentialRetry
from azure.storage.queue.aio import QueueClient

from perdure.jitter import jittered
from perdure.storage.azure.signing import KeySigner, SasSigner, Signer, TokenSigner, queue_text, table_text
from perdure.storage.azure.transport import Observer, Transport
from perdure.storage.connection import AccountKey, AzureConnection, Identity, Service, SharedAccessSignature

RETRIES = 5
"""How often a request is tried again."""
_RETRIES: dict[str, Any] = dict.fromkeys(("retry_total", "retry_connect", "retry_read", "retry_status"), RETRIES)
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 20.0
_MIB = 1024 * 1024
_API_VERSION = "2021-02-12"
"""Of blobs and queues: old enough that nobody's Azurite refuses it as unknown."""

RETRY_ANY_METHOD: dict[str, Any] = {"retry_on_methods": frozenset({"GET", "PUT", "DELETE", "POST", "PATCH"})}
"""For each call of a table client.

Without it the SDK does not repeat an insert or a merge whose answer was lost; with it the repetition fails on its
condition, and the row's commit id tells why.
"""


class Account:
    """What all clients of one account share. Close it when they are done."""

    def __init__(
        self, connection: AzureConnection, *, observer: Observer | None = None, transport: Transport | None = None
    ) -> None:
        self.connection = connection
        self.transport = transport or Transport(observer)
        self.transport.observe(connection.urls)
        self._token: AsyncTokenCredential | None = None
        self._signers: dict[Service, Signer] = {}

    def table(self, name: str) -> TableClient:
        return TableClient(
            self.connection.url("table"),
            name,
            credential=self._table_credential(),
            transport=self.transport,
            **_RETRIES,
            retry_backoff_factor=_FIRST_PAUSE_SECONDS,
            retry_backoff_max=_LONGEST_PAUSE_SECONDS,
        )

    def container(self, name: str) -> ContainerClient:
        return ContainerClient(
            self.connection.url("blob"),
            name,
            credential=self._storage_credential(),
            api_version=_API_VERSION,
            transport=self.transport,
            retry_policy=_Retry(self.transport),
            max_single_put_size=16 * _MIB,
            max_block_size=8 * _MIB,
            # in one request, whatever its size
            max_single_get_size=128 * _MIB,
        )

    def queue(self, name: str) -> QueueClient:
        return QueueClient(
            self.connection.url("queue"),
            name,
            credential=self._storage_credential(),
            api_version=_API_VERSION,
            transport=self.transport,
            retry_policy=_Retry(self.transport),
        )

    def signer(self, service: Service) -> Signer:
        """Return what signs our own requests to the table or the queue service."""
        signer = self._signers.get(service)
        if signer is None:
            signer = self._signers[service] = self._new_signer(service)
        return signer

    def _new_signer(self, service: Service) -> Signer:
        credential = self.connection.credential
        if isinstance(credential, AccountKey):
            if service == "table":
                return KeySigner(self.connection.account, credential, table_text, "SharedKeyLite")
            return KeySigner(self.connection.account, credential, queue_text, "SharedKey")
        if isinstance(credential, SharedAccessSignature):
            return SasSigner(credential)
        return TokenSigner(self._identity(credential))

    def host(self, service: Service) -> str:
        """Return where a service is, for people."""
        return self.connection.urls.get(service, "unknown").partition("://")[2]

    async def close(self) -> None:
        await self.transport.close()
        if self._token is not None:
            await self._token.close()

    def _table_credential(self) -> AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential:
        credential = self.connection.credential
        if isinstance(credential, AccountKey):
            return AzureNamedKeyCredential(self.connection.account, credential.key)
        return self._other_credential(credential)

    def _storage_credential(self) -> dict[str, str] | AzureSasCredential | AsyncTokenCredential:
        credential = self.connection.credential
        if isinstance(credential, AccountKey):
            return {"account_name": self.connection.account, "account_key": credential.key}
        return self._other_credential(credential)

    def _other_credential(
        self, credential: SharedAccessSignature | Identity
    ) -> AzureSasCredential | AsyncTokenCredential:
        if isinstance(credential, SharedAccessSignature):
            return AzureSasCredential(credential.signature)
        return self._identity(credential)

    def _identity(self, identity: Identity) -> AsyncTokenCredential:
        if self._token is None:
            self._token = _token_credential(identity)
        return self._token


class _Retry(ExponentialRetry):
    """Pauses between tries: as long as the service asks for, else short ones that grow.

    Serves queues too, for which the SDK exports no asynchronous policy.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(**_RETRIES)
        self._transport = transport

    async def sleep(self, settings: dict[str, Any], transport: Any) -> None:  # noqa: ARG002 - one of the SDK's wrappers
        await self._transport.sleep(self.get_backoff_time(settings))

    def increment(self, settings: dict[str, Any], request: Any, response: Any = None, error: Any = None) -> bool:
        settings["pause"] = None if response is None else response.headers.get("Retry-After")
        return bool(super().increment(settings, request, response, error))

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        return pause_before_try(settings["count"], settings["pause"])


def pause_before_try(tries: int, asked: str | None) -> float:
    """Return the seconds until the next try: what the service asks for, else little, and more each time.

    Args:
        tries: how many there have been besides the first.
        asked: the answer's `Retry-After`, None if it has none.
    """
    pause = float(asked) if asked is not None and asked.isdigit() else _FIRST_PAUSE_SECONDS * 2**tries
    return min(jittered(pause, 1, 1.25), _LONGEST_PAUSE_SECONDS)


def _token_credential(identity: Identity) -> AsyncTokenCredential:
    from azure.identity import aio

    if identity.managed:
        return aio.ManagedIdentityCredential(client_id=identity.client_id)
    if identity.client_id and identity.tenant_id and identity.client_secret:
        return aio.ClientSecretCredential(identity.tenant_id, identity.client_id, identity.client_secret)
    if identity.client_id:
        return aio.DefaultAzureCredential(managed_identity_client_id=identity.client_id)
    return aio.DefaultAzureCredential()
