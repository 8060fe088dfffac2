"""The SDKs' errors as the storage's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from perdure.storage.azure.account import Account
from perdure.storage.connection import Identity, Service
from perdure.storage.protocol import StorageError, StorageUnavailable

_REFUSED = (401, 403)
_BUSY = (408, 429)
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_BEING_DELETED = ("TableBeingDeleted", "ContainerBeingDeleted", "QueueBeingDeleted")
_MISSING = ("TableNotFound", "ContainerNotFound")


def error_code(error: HttpResponseError) -> str:
    """Return the service's code for what went wrong, e.g. `EntityAlreadyExists`; empty if there is none."""
    code = getattr(error, "error_code", None)
    if code is not None:
        return str(getattr(code, "value", code))
    # the tables SDK does not read the code of a failed insert
    response: Any = error.response
    if response is None:
        return ""
    try:
        return str(json.loads(response.text())["odata.error"]["code"])
    except (LookupError, TypeError, ValueError):
        return str(response.headers.get("x-ms-error-code", ""))


@contextmanager
def translated(account: Account, service: Service) -> Iterator[None]:
    """Raise `StorageUnavailable` or `StorageError` for the SDK's errors; no message shows a key."""
    try:
        yield
    except AzureError as error:
        raise _translate(error, account, service) from error


def _translate(error: AzureError, account: Account, service: Service) -> StorageError:
    place = f"The {service} service of the storage account {account.connection.account!r} ({account.host(service)})"
    setting = account.connection.setting
    said = str(error.message).splitlines()[0] if error.message else type(error).__name__
    if isinstance(error, HttpResponseError) and (error.status_code or 0) >= _CLIENT_ERROR:
        code, status = error_code(error), error.status_code or 0
        answer = f"{status} {code}".strip()
        if status in _REFUSED:
            return StorageUnavailable(f"{place} refuses us ({answer}): {_how_to_log_in(account, setting)}")
        if code in _BEING_DELETED:
            return StorageUnavailable(f"{place} is still deleting what is to be created ({answer}): wait a minute.")
        if status in _BUSY or status >= _SERVER_ERROR:
            return StorageUnavailable(f"{place} is busy or failing ({answer}): try again later.")
        if code in _MISSING:
            return StorageError(f"{place} has no such task hub ({answer}): was it deleted? Restart to create it.")
        return StorageError(f"{place} does not accept a request ({answer}): {said}")
    if isinstance(error, ClientAuthenticationError):
        return StorageUnavailable(f"There is no log-in for {place}: {said}. {_how_to_log_in(account, setting)}")
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return StorageUnavailable(f"{place} can't be reached: {said}. Check the network, and the setting {setting}.")
    return StorageUnavailable(f"{place} gave no usable answer: {said}")


def _how_to_log_in(account: Account, setting: str) -> str:
    if isinstance(account.connection.credential, Identity):
        return (
            "give the identity the roles Storage Table Data Contributor, Storage Queue Data Contributor and Storage "
            f"Blob Data Contributor on the account, and check the settings {setting}__*."
        )
    return f"check the key in the setting {setting}, and whether the account allows access by key from this network."
