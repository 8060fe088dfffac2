"""Plain JSON for people and programs outside, made of what the codec writes: the same data without their types."""

from __future__ import annotations

from typing import Any

from perdure.agents.workflows.codec import TYPE


def plain(data: Any) -> Any:
    """Return coded data without types: objects as their fields, sets and tuples as lists, enums as their values."""
    if isinstance(data, list):
        return [plain(item) for item in data]
    if not isinstance(data, dict):
        return data
    if TYPE not in data:
        return {key: plain(value) for key, value in data.items()}
    if "fields" in data:
        return {name: plain(value) for name, value in (data["fields"] | data.get("extra", {})).items()}
    if "dict" in data:
        return data["dict"] | ({"value": plain(data["value"])} if "value" in data else {})
    if "items" in data:
        return _of_items(data)
    return plain(data["value"])


def _of_items(data: dict[str, Any]) -> Any:
    if data[TYPE] in ("dict", "OrderedDict", "Counter", "defaultdict"):
        return {str(plain(key)): plain(value) for key, value in data["items"]}
    return plain(data["items"])
