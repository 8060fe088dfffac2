"""Where a store is and how to log in to it, resolved from settings as the Azure Functions host does.

The rules are those of "Connections" in the Functions documentation: a connection named `X` is the setting
`AzureWebJobsX` or `X`, holding a connection string, or a section `X__accountName`, `X__queueServiceUri` ... for an
identity. Ours besides: `sqlite:///path/to/file.db` and `sqlite://:memory:` select the embedded store.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from perdure.errors import SettingsError

Service = Literal["blob", "queue", "table"]

_SERVICES: tuple[Service, ...] = ("blob", "queue", "table")
_PUBLIC_CLOUD = "core.windows.net"
AZURITE_ACCOUNT = "devstoreaccount1"
# public: Azurite and the old emulator accept only this one
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_AZURITE_PORTS: dict[Service, int] = {"blob": 10000, "queue": 10001, "table": 10002}
_ACCOUNT = re.compile(r"[A-Za-z0-9-]{1,63}")
"""An account has 3 to 24 lower-case letters and digits, and `-secondary` for its copy; in Azurite, what one likes."""
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_PRINTABLE = re.compile(r"[!-~]+")
_SHOWN = 100
_WINDOWS_PATH = re.compile(r"/[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class SqliteConnection:
    """The embedded store in the file `path`, or in this process's memory for None."""

    setting: str
    """Name of the setting that it was read from."""
    path: Path | None


@dataclass(frozen=True)
class AccountKey:
    """A storage account's shared key, base64."""

    key: str = field(repr=False)


@dataclass(frozen=True)
class SharedAccessSignature:
    """A shared access signature, without the leading question mark."""

    signature: str = field(repr=False)


@dataclass(frozen=True)
class Identity:
    """A Microsoft Entra identity, as `azure-identity` finds it.

    `managed` insists on a managed identity (user-assigned if `client_id` says which); otherwise an application's
    secret if there is one, else whatever `DefaultAzureCredential` finds.
    """

    managed: bool = False
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AzureConnection:
    """An Azure Storage account, or Azurite."""

    setting: str
    """Name of the setting, or of the section of settings, that it was read from."""
    account: str
    credential: AccountKey | SharedAccessSignature | Identity
    urls: Mapping[Service, str]
    """Base URL of each service that is known, without a trailing slash."""

    def url(self, service: Service) -> str:
        """Return the base URL of `service`. Raises `SettingsError` if the settings don't tell it."""
        try:
            return self.urls[service]
        except KeyError:
            raise SettingsError(
                f"The connection {self.setting!r} does not say where its {service} service is: "
                f"set {self.setting}__{service}ServiceUri, or {self.setting}__accountName."
            ) from None


Connection = SqliteConnection | AzureConnection


def resolve_connection(name: str, environ: Mapping[str, str]) -> Connection:
    """Return the connection called `name` in host.json or in a binding, from the settings in `environ`.

    Names of settings are compared as .NET does: regardless of case, `__` like `:`. Raises `SettingsError`, which
    names the setting and never shows a key.
    """
    settings = {key.replace("__", ":").lower(): (key, value.strip()) for key, value in environ.items()}
    for candidate in _candidates(name):
        setting, value = settings.get(candidate.lower(), (candidate, ""))
        if value:
            return _from_value(setting, value)
        prefix = f"{candidate}:".lower()
        section = {
            key[len(prefix) :]: value for key, (_, value) in settings.items() if key.startswith(prefix) and value
        }
        if section:
            return _from_section(candidate.replace(":", "__"), section)
    shown = name[:_SHOWN]
    raise SettingsError(
        f"The connection {shown!r} is not set. Set {shown} to a storage account's connection string, to "
        f"UseDevelopmentStorage=true for Azurite, or to sqlite:///path/to/file.db for the embedded store; or set "
        f"{shown}__accountName to use an identity. Locally such settings stand in local.settings.json under Values."
    )


def _candidates(name: str) -> Iterator[str]:
    for key in (f"AzureWebJobs{name}", name):
        yield f"ConnectionStrings:{key}"
        yield f"CustomConnStr_{key}"
        yield key.replace("__", ":")


def _from_value(setting: str, value: str) -> Connection:
    if value.lower().startswith("sqlite:"):
        return SqliteConnection(setting, _sqlite_path(setting, value))
    parts = _split(setting, value)
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        return _azurite(setting, parts.get("developmentstorageproxyuri"))
    urls = {service: url for service in _SERVICES if (url := _endpoint(setting, parts, service)) is not None}
    if not urls:
        raise SettingsError(
            f"The setting {setting} is no storage connection string: it has no AccountName and no endpoint. "
            "Copy it again from the storage account's page 'Access keys'."
        )
    account = _checked_account(setting, parts.get("accountname")) or _account_in(next(iter(urls.values())))
    return AzureConnection(setting, account, _secret(setting, parts), urls)


def _sqlite_path(setting: str, value: str) -> Path | None:
    rest = value[len("sqlite:") :]
    if rest in ("//:memory:", "///:memory:"):
        return None
    if not rest.startswith("///") or not rest.strip("/"):
        raise SettingsError(
            f"The setting {setting} is {value[:_SHOWN]!r}: write sqlite:///absolute/path/to/file.db, or "
            "sqlite://:memory: for a store that ends with the process."
        )
    path = "/" + rest.lstrip("/")
    if "\0" in path or not _is_path(path):
        raise SettingsError(f"The setting {setting} is {value[:_SHOWN]!r}: no file can have this name.")
    return Path(path[1:] if _WINDOWS_PATH.match(path) else path)


def _is_path(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _split(setting: str, value: str) -> dict[str, str]:
    parts = {}
    for part in filter(None, (part.strip() for part in value.split(";"))):
        key, separator, text = part.partition("=")
        if not separator:
            raise SettingsError(
                f"The setting {setting} is no storage connection string: it should read "
                "'DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;EndpointSuffix=...'. "
                "Copy it again from the storage account's page 'Access keys'."
            )
        parts[key.strip().lower()] = text.strip()
    return parts


def _azurite(setting: str, proxy: str | None) -> AzureConnection:
    base = _checked_url(f"DevelopmentStorageProxyUri in {setting}", proxy or "http://127.0.0.1")
    urls = {service: f"{base}:{port}/{AZURITE_ACCOUNT}" for service, port in _AZURITE_PORTS.items()}
    return AzureConnection(setting, AZURITE_ACCOUNT, AccountKey(AZURITE_KEY), urls)


def _endpoint(setting: str, parts: Mapping[str, str], service: Service) -> str | None:
    url = parts.get(f"{service}endpoint")
    if url is None and "accountname" in parts:
        _checked_account(setting, parts["accountname"])
        protocol = parts.get("defaultendpointsprotocol") or "https"
        suffix = parts.get("endpointsuffix") or _PUBLIC_CLOUD
        url = f"{protocol}://{parts['accountname']}.{service}.{suffix}"
    return None if url is None else _checked_url(f"{service} endpoint in {setting}", url)


def _checked_url(what: str, url: str) -> str:
    if not _is_address(url):
        raise SettingsError(f"The {what} is no http:// or https:// address without a query: correct it.")
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    if not _PRINTABLE.fullmatch(url):
        return False
    try:
        parsed = urlsplit(url)
        parsed.port  # noqa: B018 - checked when it is read
    except ValueError:
        return False
    named = parsed.hostname is not None and _HOST.fullmatch(parsed.hostname) is not None
    return parsed.scheme in ("http", "https") and named and "@" not in parsed.netloc and not parsed.query


def _checked_account(setting: str, account: str | None) -> str | None:
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise SettingsError(
            f"The account name {account[:_SHOWN]!r} in {setting} is none: use the storage account's name alone."
        )
    return account


def _secret(setting: str, parts: Mapping[str, str]) -> AccountKey | SharedAccessSignature:
    if signature := parts.get("sharedaccesssignature"):
        if not _PRINTABLE.fullmatch(signature):
            raise SettingsError(
                f"The SharedAccessSignature in {setting} has characters that no signature has: copy it again."
            )
        return SharedAccessSignature(signature.lstrip("?"))
    key = parts.get("accountkey")
    if not key:
        raise SettingsError(
            f"The connection string in {setting} has neither AccountKey nor SharedAccessSignature: add one, or use an "
            "identity instead (settings of the form NAME__accountName)."
        )
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"The AccountKey in {setting} is not valid base64. Was it cut off when copied?") from None
    return AccountKey(key)


def _from_section(setting: str, section: Mapping[str, str]) -> AzureConnection:
    urls = {
        service: _checked_url(f"address {setting}__{service}ServiceUri", section[f"{service}serviceuri"])
        for service in _SERVICES
        if f"{service}serviceuri" in section
    }
    account = _checked_account(f"{setting}__accountName", section.get("accountname"))
    if account is None and not urls:
        raise SettingsError(
            f"The settings {setting}__* name no storage account: set {setting}__accountName, or "
            f"{setting}__blobServiceUri, {setting}__queueServiceUri and {setting}__tableServiceUri."
        )
    if account is None:
        known = next(iter(urls.values()))
        account = _account_in(known)
        derived = {service: _sibling(known, service) for service in _SERVICES}
        urls = {**{service: url for service, url in derived.items() if url is not None}, **urls}
    else:
        urls = {**{service: f"https://{account}.{service}.{_PUBLIC_CLOUD}" for service in _SERVICES}, **urls}
    if any(not url.startswith("https://") for url in urls.values()):
        raise SettingsError(f"The addresses in {setting}__* must begin with https://: identities work over TLS only.")
    return AzureConnection(setting, account, _identity(setting, section), urls)


def _identity(setting: str, section: Mapping[str, str]) -> Identity:
    credential = section.get("credential", "").lower()
    if credential not in ("", "managedidentity"):
        raise SettingsError(
            f"The setting {setting}__credential is {section['credential']!r}: set it to 'managedidentity', or leave "
            "it out to use whatever identity the environment offers."
        )
    return Identity(
        managed=credential == "managedidentity",
        client_id=section.get("clientid"),
        tenant_id=section.get("tenantid"),
        client_secret=section.get("clientsecret"),
    )


def _account_in(url: str) -> str:
    parsed = urlsplit(url)
    return parsed.path.strip("/").split("/")[0] or (parsed.hostname or "").split(".")[0]


def _sibling(url: str, service: Service) -> str | None:
    """Return the URL of another service of the account whose service's `url` follows Azure's pattern."""
    matched = re.fullmatch(r"(https?://[^./]+)\.(blob|queue|table)\.([^/]+)", url)
    return f"{matched[1]}.{service}.{matched[3]}" if matched else None
