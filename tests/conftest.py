import pytest

from perdure.local.azurite import start_azurite
from tests.azurite import require_azurite


@pytest.fixture(scope="session")
def azurite():
    """An Azurite of this test process, in memory: give each test a hub name of its own."""
    with start_azurite(require_azurite()) as azurite:
        yield azurite
