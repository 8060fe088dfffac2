"""Reading the JSON files that people edit by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from perdure.local.errors import HostError

_COMMENT_OR_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)

_DEPTH_LIMIT = 100


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file. `//` and `/* */` comments are allowed, as in the Functions host.

    Raises:
        HostError: The file can't be read, is not JSON (the message gives line and column), is nested more than 100
            deep, or holds no object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"{path.name} can't be read: {error}.") from error
    try:
        value = json.loads(_COMMENT_OR_STRING.sub(_blank_comment, text))
    except json.JSONDecodeError as error:
        raise HostError(
            f"{path.name} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise HostError(_too_deep(path)) from error
    except ValueError as error:  # a number of thousands of digits
        raise HostError(f"{path.name} can't be read: {error}.") from error
    if not isinstance(value, dict):
        raise HostError(f"{path.name} must hold a JSON object, that is {{...}}.")
    if not _is_shallow(value):
        raise HostError(_too_deep(path))
    return value


def _too_deep(path: Path) -> str:
    return f"{path.name} is nested too deep: {_DEPTH_LIMIT} objects and lists inside one another are allowed."


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_DEPTH_LIMIT):
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
        level = [inner for inner in level if isinstance(inner, dict | list)]
        if not level:
            return True
    return False


def _blank_comment(match: re.Match[str]) -> str:
    text = match[0]
    # line breaks stay, so that error positions are those of the file
    return text if text.startswith('"') else re.sub(r"[^\n]", " ", text)
