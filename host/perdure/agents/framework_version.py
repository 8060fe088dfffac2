"""Which versions of the Agent Framework durable agents run with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGE = "agent-framework-core"
OLDEST = (1, 22)
"""The oldest version that the tests pass with; before it, contents lack fields that tool calls are told apart by."""


def check_framework() -> None:
    """See that the framework's distribution is there, and new enough.

    Raises:
        ImportError: it is not; the message says what to install.
    """
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError as error:
        raise ImportError("perdure.agents needs the Agent Framework: pip install 'perdure[agents]'") from error
    if tuple(int(part) for part in installed.split(".")[:2]) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ImportError(
            f"perdure.agents needs {PACKAGE} {wanted} or newer, {installed} is installed: pip install --upgrade "
            f"'perdure[agents]'"
        )
