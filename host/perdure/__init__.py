"""Perdure: durable execution for Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure.client import Client

__all__ = ["Client", "PerdureError"]


def __getattr__(name: str) -> Any:
    """Import the client when it is asked for: `import perdure` alone costs nothing."""
    if name == "Client":
        from perdure.client import Client

        return Client
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
