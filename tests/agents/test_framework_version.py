"""The oldest version of the framework that is promised is the one that is checked."""

import subprocess
import sys
import tomllib
from importlib import metadata

import pytest

from perdure.agents.framework_version import OLDEST, PACKAGE, check_framework
from tests.azurite import ROOT


def test_the_promise():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = f"{PACKAGE}>={'.'.join(map(str, OLDEST))}"
    extras = project["optional-dependencies"]
    assert extras["agents"] == [promised]
    assert promised in extras["dev"]


@pytest.mark.parametrize("installed", ["1.13.0", "1.21.4", "0.9"])
def test_older_versions_are_told_to_be_upgraded(monkeypatch, installed):
    monkeypatch.setattr("perdure.agents.framework_version.version", lambda _: installed)
    with pytest.raises(ImportError, match=rf"needs agent-framework-core 1\.22 or newer, {installed} is installed: pip"):
        check_framework()


@pytest.mark.parametrize("installed", ["1.22.0", "1.23.0rc1", "1.100", "2.0.1"])
def test_newer_versions_are_taken(monkeypatch, installed):
    monkeypatch.setattr("perdure.agents.framework_version.version", lambda _: installed)
    check_framework()


def test_without_the_framework(monkeypatch):
    def is_missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("perdure.agents.framework_version.version", is_missing)
    with pytest.raises(ImportError, match=r"pip install 'perdure\[agents\]'"):
        check_framework()


def test_it_is_checked_before_anything_half_works():
    code = (
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "m.version = lambda name: '1.13.0' if name == 'agent-framework-core' else real(name)\n"
        "import perdure.agents\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: perdure.agents needs agent-framework-core 1.22 or newer" in done.stderr
