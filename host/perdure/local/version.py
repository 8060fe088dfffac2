"""Perdure's version, from the metadata of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Return the version, `0+unknown` where Perdure runs from source without being installed."""
    try:
        return version("perdure")
    except PackageNotFoundError:
        return "0+unknown"
