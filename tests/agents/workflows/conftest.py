import logging

import pytest

from tests.functions.conftest import app_folder, drive

__all__ = ["app_folder", "drive"]


@pytest.fixture(autouse=True)
def _quiet():
    """The framework warns of much that these workflows do on purpose."""
    logging.getLogger("agent_framework").setLevel(logging.CRITICAL)
