"""host.json and local.settings.json, as far as the local host obeys them.

https://learn.microsoft.com/azure/azure-functions/functions-host-json and
https://learn.microsoft.com/azure/azure-functions/functions-develop-local#local-settings-file
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from perdure.local.app_folder import HOST_JSON, LOCAL_SETTINGS
from perdure.local.errors import HostError
from perdure.local.json_files import read_json_object
from perdure.local.route_prefix import checked_route_prefix
from perdure.local.timespan import parse_timespan

_LARGEST = 2**31 - 1
"""Largest whole number that host.json takes: .NET's int."""


def _timespan(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not a duration such as "00:00:30"')  # noqa: TRY004 - pydantic wants it
    return parse_timespan(value)


def _setting_text(value: object) -> str:
    match value:
        case str():
            return _checked(value, "a setting")
        case bool() | int() | float():
            return json.dumps(value)
        case _:
            raise ValueError("a setting must be a string, not an object or a list")


Timespan = Annotated[timedelta, BeforeValidator(_timespan)]


def _setting_name(name: str) -> str:
    if not name or "=" in name:
        raise ValueError("a setting's name can't be empty, nor have an '='")
    return _checked(name, "a setting's name")


def _checked(text: str, what: str) -> str:
    """Return the text if it can stand in the environment."""
    if "\0" in text:
        raise ValueError(f"{what} can't have a NUL character")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError(f"{what} holds a lone surrogate, which is no character") from None
    return text


SettingText = Annotated[str, BeforeValidator(_setting_text)]
SettingName = Annotated[str, AfterValidator(_setting_name)]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, allow_inf_nan=False)


class QueueOptions(_Section):
    """`extensions.queues`. Names, limits and defaults are those of the Storage Queues extension."""

    batch_size: int = Field(default=16, ge=1, le=32)
    new_batch_threshold: int | None = Field(default=None, ge=0, le=_LARGEST)
    max_polling_interval: Timespan = timedelta(minutes=1)
    visibility_timeout: Timespan = timedelta(0)
    max_dequeue_count: int = Field(default=5, ge=1, le=_LARGEST)
    message_encoding: Literal["base64", "none"] = "base64"


class HttpOptions(_Section):
    """`extensions.http`."""

    route_prefix: Annotated[str, BeforeValidator(checked_route_prefix)] = "api"


class Extensions(_Section):
    """`extensions`."""

    queues: QueueOptions = QueueOptions()
    http: HttpOptions = HttpOptions()


class LoggingOptions(_Section):
    """`logging`."""

    log_level: dict[str, str] = {}


class HostJson(_Section):
    """What the local host reads of host.json."""

    extensions: Extensions = Extensions()
    logging: LoggingOptions = LoggingOptions()


class LocalHostOptions(BaseModel):
    """`Host` of local.settings.json."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    port: int | None = Field(default=None, alias="LocalHttpPort", ge=0, le=65535)
    cors: str = Field(default="", alias="CORS")
    cors_credentials: bool = Field(default=False, alias="CORSCredentials")


class LocalSettings(BaseModel):
    """local.settings.json."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    is_encrypted: bool = Field(default=False, alias="IsEncrypted")
    values: dict[SettingName, SettingText] = Field(default={}, alias="Values")
    host: LocalHostOptions = Field(default=LocalHostOptions(), alias="Host")


def read_host_json(app_dir: Path) -> HostJson:
    """Read the app's host.json.

    Raises:
        HostError: It can't be read or makes no sense.
    """
    content = _without_nulls(read_json_object(app_dir / HOST_JSON))  # null means: as if absent
    return _validated(HostJson, content, HOST_JSON)


def read_local_settings(app_dir: Path) -> LocalSettings:
    """Read the app's local.settings.json; one that is missing is empty.

    Raises:
        HostError: It makes no sense, or is encrypted.
    """
    path = app_dir / LOCAL_SETTINGS
    if not path.is_file():
        return LocalSettings()
    settings = _validated(LocalSettings, _without_nulls(read_json_object(path)), LOCAL_SETTINGS)
    if settings.is_encrypted:
        raise HostError(
            "local.settings.json is encrypted. Run `func settings decrypt`, or set IsEncrypted to false "
            "and write the values in clear."
        )
    return settings


def apply_values(settings: LocalSettings, environ: MutableMapping[str, str]) -> list[str]:
    """Add the settings' values to the environment; what is there already wins.

    Returns:
        The keys whose value in local.settings.json lost against a different one in the environment.
    """
    lost = []
    for key, text in settings.values.items():
        if environ.setdefault(key, text) != text:
            lost.append(key)
    return lost


_EXPRESSION = re.compile(r"%([^%]+)%")


def resolve_expressions(text: str, environ: Mapping[str, str], where: str) -> str:
    """Replace each `%SETTING%` by its value, as binding expressions do.

    Args:
        text: The text with or without expressions.
        environ: Where settings live.
        where: What the text is, for the error.

    Raises:
        HostError: A setting does not exist.
    """

    def value_of(match: re.Match[str]) -> str:
        value = environ.get(match[1])
        if value is None:
            raise HostError(
                f"{where} says {match[0]}, but there is no setting {match[1]}. Add it to Values in "
                "local.settings.json or to the environment."
            )
        return value

    return _EXPRESSION.sub(value_of, text)


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(model: type[_Model], content: Mapping[str, Any], name: str) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        complaint = first["msg"].removeprefix("Value error, ")
        raise HostError(f"{name}: {place}: {complaint}.") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value
