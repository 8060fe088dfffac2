"""Settings: host.json's `extensions.durableTask`, with the names that Durable Functions users know and ours beside.

https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-bindings#host-json
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from perdure.client.reuse import ReuseId
from perdure.core.versions import VERSION_LIMIT, VersionFailure, VersionMatch
from perdure.engine.settings import EngineSettings
from perdure.errors import SettingsError
from perdure.local.route_prefix import checked_route_prefix
from perdure.local.timespan import parse_timespan
from perdure.storage.limits import check_hub
from perdure_functions.host_json import read_host_json, value_at

_log = logging.getLogger("perdure.settings")

_SECTION = "extensions.durableTask"
_CONNECTION = "AzureWebJobsStorage"
_LOCAL_HUB = "TestHubName"
_LONGEST_HUB = 45
_LARGEST = 2**31 - 1
"""Largest whole number that host.json takes: .NET's int."""
_WEEK = 7 * 24 * 3600
_ENVIRONMENT = "AZURE_FUNCTIONS_ENVIRONMENT"
_DEVELOPMENT = "Development"
"""What this setting says under hosts on a developer's machine: there nobody waits for half of a time-out."""
_EXPRESSION = re.compile(r"%([^%]+)%")

AuthLevelName = Literal["anonymous", "function", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableSettings:
    """What an app runs with."""

    hub: str
    connection: str
    """Name of the setting, or section of settings, that says where the hub is stored."""
    control_queues: int
    default_version: str | None
    """Version of instances that are started without one."""
    reuse: ReuseId
    """What becomes of starts whose instance id is in use."""
    management_auth_level: AuthLevelName
    """Which key the HTTP management API asks for."""
    route_prefix: str
    """host.json's `extensions.http.routePrefix`, without slashes at its ends."""
    engine: EngineSettings


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore", allow_inf_nan=False)


def _spelt(names: type[StrEnum]) -> Callable[[object], object]:
    """Return what spells a name as the enumeration does, whatever its case."""

    def spelt(value: object) -> object:
        return next((name for name in names if _lower(value) == name.lower()), value)

    return spelt


def _only_azure_storage(value: object) -> object:
    if _lower(value) != "azurestorage":
        raise ValueError(
            "Perdure keeps its state in Azure Storage, or in the embedded store if the connection names one: leave "
            "the key out"
        )
    return value


class _StorageProvider(_Section):
    type: Annotated[str, BeforeValidator(_only_azure_storage)] = "AzureStorage"
    connection_name: str | None = Field(default=None, min_length=1)
    connection_string_name: str | None = Field(default=None, min_length=1)
    """What `connection_name` was called before version 2.7 of the Durable Functions extension."""
    partition_count: int = Field(default=1, ge=1, le=16)
    control_queue_count: int | None = Field(default=None, ge=1, le=16)


class _DurableTask(_Section):
    hub_name: str | None = None
    default_version: str | None = Field(default=None, max_length=VERSION_LIMIT)
    http_management_auth_level: Annotated[AuthLevelName, BeforeValidator(_lower)] = "function"
    storage_provider: _StorageProvider = _StorageProvider()
    # below: EngineSettings' own, absent unless they are set
    max_concurrent_activity_functions: int | None = Field(default=None, ge=1, le=_LARGEST)
    max_concurrent_orchestrator_functions: int | None = Field(default=None, ge=1, le=_LARGEST)
    max_concurrent_entity_functions: int | None = Field(default=None, ge=1, le=_LARGEST)
    max_entity_operation_batch_size: int | None = Field(default=None, ge=1, le=_LARGEST)
    entity_message_reorder_window_in_minutes: float | None = Field(default=None, ge=0, le=7 * 24 * 60)
    cached_sessions: int | None = Field(default=None, ge=0, le=_LARGEST)
    safety_net_delay: float | None = Field(default=None, ge=1, le=_WEEK)
    recovery_delay: float | None = Field(default=None, ge=10, le=_WEEK)
    anchor_budget: float | None = Field(default=None, ge=0)
    many_in_hand: int | None = Field(default=None, ge=0, le=_LARGEST)
    short_timer: float | None = Field(default=None, ge=0, le=60)
    max_deliveries: int | None = Field(default=None, ge=1, le=_LARGEST)
    fail_on_non_determinism: bool | None = None
    unknown_function_timeout: float | None = Field(default=None, ge=0, le=_WEEK)
    stuck_after: float | None = Field(default=None, gt=0, le=_WEEK)
    blocked_delay: float | None = Field(default=None, gt=0, le=300)
    version_match_strategy: Annotated[VersionMatch, BeforeValidator(_spelt(VersionMatch))] | None = None
    overridable_existing_instance_states: Annotated[ReuseId, BeforeValidator(_spelt(ReuseId))] = ReuseId.ENDED
    version_failure_strategy: Annotated[VersionFailure, BeforeValidator(_spelt(VersionFailure))] | None = None
    tail_turns: int | None = Field(default=None, ge=1, le=200)
    tail_bytes: int | None = Field(default=None, ge=1024, le=512 * 1024)
    turn_bytes: int | None = Field(default=None, ge=256, le=60 * 1024)


_OTHER_NAMES = {
    "max_concurrent_activity_functions": "max_concurrent_activities",
    "max_concurrent_orchestrator_functions": "max_concurrent_orchestrators",
    "max_concurrent_entity_functions": "max_concurrent_entities",
    "max_entity_operation_batch_size": "entity_batch",
    "version_match_strategy": "version_match",
    "version_failure_strategy": "version_failure",
}
"""Fields that are called otherwise in `EngineSettings`."""
_NOT_THE_ENGINES = {
    "entity_message_reorder_window_in_minutes",
    "hub_name",
    "http_management_auth_level",
    "storage_provider",
    "overridable_existing_instance_states",
}


def load_settings(environ: Mapping[str, str]) -> DurableSettings:
    """Read the app's settings from its host.json and the environment.

    Keys that Perdure does not know are named in a warning and ignored.

    Raises:
        SettingsError: a value makes no sense; it names the key and the value.
    """
    host_json = read_host_json(environ)
    section = value_at(host_json, "extensions", "durableTask")
    task = _validated({} if section is None else section, environ)
    provider = task.storage_provider
    prefix = value_at(host_json, "extensions", "http", "routePrefix")
    hub = task.hub_name or default_hub(environ)
    check_hub(hub)
    return DurableSettings(
        hub=hub,
        connection=provider.connection_name or provider.connection_string_name or _CONNECTION,
        control_queues=provider.control_queue_count or provider.partition_count,
        default_version=task.default_version,
        reuse=task.overridable_existing_instance_states,
        management_auth_level=task.http_management_auth_level,
        route_prefix="api" if prefix is None else _route_prefix(prefix),
        engine=_engine_settings(task, host_json, environ),
    )


def default_hub(environ: Mapping[str, str]) -> str:
    """Return the hub of an app that names none: after its site and deployment slot, as Durable Functions does."""
    slot = environ.get("WEBSITE_SLOT_NAME", "")
    site = environ.get("WEBSITE_SITE_NAME", "") + ("" if slot.casefold() == "production" else slot)
    name = "".join(character for character in site if character.isascii() and character.isalnum())
    if not name:
        return _LOCAL_HUB
    if not name[0].isalpha():
        name = f"t{name}"
    return name[:_LONGEST_HUB]


def _validated(section: Any, environ: Mapping[str, str]) -> _DurableTask:
    if not isinstance(section, Mapping):
        raise SettingsError(f"host.json, {_SECTION}: {section!r} is no JSON object, that is {{...}}")
    unknown: list[str] = []
    content = _known(section, _DurableTask, "", unknown)
    if unknown:
        _log.warning(
            "host.json, %s: Perdure has no such settings and ignores them: %s", _SECTION, ", ".join(sorted(unknown))
        )
    try:
        return _DurableTask.model_validate(_expanded(content, _SECTION, environ))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([_SECTION, *map(str, first["loc"])])
        why = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            f"host.json, {key}: {first['input']!r} can't be used: {why}. Correct it there, or in the setting "
            f"AzureFunctionsJobHost__{key.replace('.', '__')} if the environment has one."
        ) from error


def _known(section: Mapping[str, Any], model: type[BaseModel], path: str, unknown: list[str]) -> dict[str, Any]:
    """Return the section with its keys spelt as the model's, without nulls; add the names of others to `unknown`."""
    spelling = {str(field.alias).casefold(): (str(field.alias), field) for field in model.model_fields.values()}
    content: dict[str, Any] = {}
    for key, value in section.items():
        alias, field = spelling.get(key.casefold(), (None, None))
        if alias is None or field is None:
            unknown.append(path + key)
        elif value is None:  # null means: as if absent
            continue
        elif (
            isinstance(value, Mapping) and isinstance(field.annotation, type) and issubclass(field.annotation, _Section)
        ):
            content[alias] = _known(value, field.annotation, f"{path}{alias}.", unknown)
        else:
            content[alias] = value
    return content


def _expanded(value: Any, path: str, environ: Mapping[str, str]) -> Any:
    """Replace each `%SETTING%` in texts by its value, as the Functions host does."""

    def value_of(match: re.Match[str]) -> str:
        found = environ.get(match[1])
        if found is None:
            raise SettingsError(
                f"host.json, {path}: {value!r} needs a setting {match[1]}, but there is none. Add it to the app's "
                f"settings, or to Values in local.settings.json."
            )
        return found

    if isinstance(value, Mapping):
        return {key: _expanded(item, f"{path}.{key}", environ) for key, item in value.items()}
    return _EXPRESSION.sub(value_of, value) if isinstance(value, str) else value


def _engine_settings(task: _DurableTask, host_json: Mapping[str, Any], environ: Mapping[str, str]) -> EngineSettings:
    given = {
        _OTHER_NAMES.get(name, name): value
        for name, value in task.model_dump(exclude_none=True).items()
        if name not in _NOT_THE_ENGINES
    }
    if task.entity_message_reorder_window_in_minutes is not None:
        given["reorder_window"] = task.entity_message_reorder_window_in_minutes * 60
    deliveries = value_at(host_json, "extensions", "queues", "maxDequeueCount")
    if deliveries is not None:
        given.setdefault("max_deliveries", _whole(deliveries, "extensions.queues.maxDequeueCount"))
    threshold = _threshold(host_json)
    if threshold is not None:
        given.setdefault("many_in_hand", threshold)
    timeout = _function_timeout(host_json)
    if timeout is not None and environ.get(_ENVIRONMENT) != _DEVELOPMENT:
        given.setdefault("stuck_after", timeout / 2)
    settings = EngineSettings(**given)
    if timeout is None or settings.anchor_budget <= timeout / 2:
        return settings
    return EngineSettings(**{**given, "anchor_budget": timeout / 2})  # the host kills whoever holds an anchor longer


def _threshold(host_json: Mapping[str, Any]) -> int | None:
    """Return with how many messages in hand the host still takes more; None if host.json leaves that to the host."""
    threshold = value_at(host_json, "extensions", "queues", "newBatchThreshold")
    if threshold is not None:
        return _whole(threshold, "extensions.queues.newBatchThreshold", least=0)
    size = value_at(host_json, "extensions", "queues", "batchSize")
    return None if size is None else _whole(size, "extensions.queues.batchSize") // 2


def _route_prefix(value: Any) -> str:
    try:
        return checked_route_prefix(value).strip("/")
    except ValueError as error:
        raise SettingsError(f"host.json, extensions.http.routePrefix: {error}") from error


def _whole(value: Any, key: str, *, least: int = 1) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = least - 1
    if not least <= number <= _LARGEST:
        raise SettingsError(
            f"host.json, {key}: {value!r} can't be used: it must be a whole number from {least} to {_LARGEST}"
        )
    return number


def _function_timeout(host_json: Mapping[str, Any]) -> float | None:
    """Return host.json's functionTimeout in seconds; None if it names none, or -1 for none at all."""
    text = value_at(host_json, "functionTimeout")
    if text is None or str(text) == "-1":
        return None
    try:
        timeout = parse_timespan(str(text))
    except ValueError as error:
        raise SettingsError(f"host.json, functionTimeout: {error}") from error
    if timeout <= timedelta(0):
        raise SettingsError(f"host.json, functionTimeout: {text!r} can't be used: it must be more than nothing")
    return timeout.total_seconds()
