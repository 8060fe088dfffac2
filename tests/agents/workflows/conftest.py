from tests.scenarios.conftest import hub, open_hub

__all__ = ["hub", "open_hub"]
