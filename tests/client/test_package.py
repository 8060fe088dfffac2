"""What `import perdure` offers."""

import subprocess
import sys

import pytest

import perdure
from perdure.client import Client


def test_public_names():
    assert perdure.__all__ == ["Client", "PerdureError"]
    assert perdure.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Clients'"):
        _ = perdure.Clients


def test_importing_it_costs_nothing():
    code = "import sys, perdure; print([name for name in ('asyncio', 'msgspec', 'pydantic') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
