"""Tokens of the app's identity."""

from __future__ import annotations

from typing import Any, Protocol


class Credential(Protocol):
    """What gets tokens: azure-identity's async credentials do."""

    async def get_token(self, *scopes: str) -> Any:
        """Return an object whose `token` is the token; credentials keep tokens until they expire."""


def default_credential() -> Credential:
    """Return azure-identity's default: the managed identity in Azure, whoever is signed in on a laptop."""
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()
