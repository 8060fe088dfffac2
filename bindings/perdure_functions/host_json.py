"""host.json as the Functions host sees it: the file, and over it the settings that begin with AzureFunctionsJobHost.

https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perdure.errors import PerdureError, SettingsError
from perdure.local.json_files import read_json_object

HOST_JSON = "host.json"

_OVERRIDE = re.compile(r"AzureFunctionsJobHost(?:__|:)(.+)", re.IGNORECASE)
_DEEPEST = 100
"""Keys on the way to a setting, at most: nobody reads any that stands deeper."""
_SCRIPT_SETTING = "PYTHON_SCRIPT_FILE_NAME"


def read_host_json(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the app's host.json with the environment's overrides; without a file only those.

    Raises:
        SettingsError: it can't be read.
    """
    path = next((path for folder in _folders(environ) if (path := folder / HOST_JSON).is_file()), None)
    content: dict[str, Any] = {}
    if path is not None:
        try:
            content = read_json_object(path)
        except PerdureError as error:
            raise SettingsError(str(error)) from error
    return with_overrides(content, environ)


def with_overrides(content: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return host.json's content with each `AzureFunctionsJobHost__a__b=c` of the environment put in its place.

    Keys are compared regardless of case, as .NET does.
    """
    merged = dict(content)
    for setting, value in environ.items():
        match = _OVERRIDE.fullmatch(setting)
        path = re.split("__|:", match[1]) if match is not None else []
        if 0 < len(path) <= _DEEPEST:
            merged = _with(merged, path, value)
    return merged


def value_at(content: Any, *path: str) -> Any:
    """Return what stands at a path of keys, whatever their case; None if nothing does."""
    for key in path:
        if not isinstance(content, Mapping):
            return None
        content = next((value for name, value in content.items() if name.casefold() == key.casefold()), None)
    return content


def _with(content: Mapping[str, Any], path: list[str], value: str) -> dict[str, Any]:
    key = next((name for name in content if name.casefold() == path[0].casefold()), path[0])
    if len(path) == 1:
        return {**content, key: value}
    inner = content.get(key)
    return {**content, key: _with(inner if isinstance(inner, Mapping) else {}, path[1:], value)}


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    for setting in ("AzureWebJobsScriptRoot", "FUNCTIONS_APPLICATION_DIRECTORY"):
        if folder := environ.get(setting):
            yield Path(folder)
    yield Path.cwd()
    script = sys.modules.get(Path(environ.get(_SCRIPT_SETTING) or "function_app.py").stem)
    if script is not None and script.__file__ is not None:
        yield Path(os.path.abspath(script.__file__)).parent  # noqa: PTH100 - links stay what they are
