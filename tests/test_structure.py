"""The layout is the architecture: dependencies run one way, and the core is pure."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    "errors": set(),
    "jitter": set(),
    "core": {"errors"},
    "checking": {"errors"},
    "storage": {"errors", "jitter", "core"},
    "streaming": {"errors", "core", "storage"},
    "engine": {"errors", "core", "storage", "streaming"},
    "client": {"errors", "jitter", "core", "storage", "streaming", "engine"},
    "agents": {"errors", "core", "storage", "streaming", "engine", "client"},
    "durable_http": {"errors", "core", "storage", "engine"},
    "testing": {"errors", "jitter", "core", "storage", "streaming", "engine", "client"},
    "local": {"errors", "jitter", "core", "checking", "storage", "engine", "client"},
    "cli": {"errors", "core", "checking", "storage", "engine", "client", "local", "testing"},
}
IMPURE = {"asyncio", "azure", "logging", "os", "pathlib", "socket", "sqlite3", "threading", "time", "secrets"}


def modules(folder: Path):
    return sorted(folder.rglob("*.py"))


def imports(path: Path):
    """Full names of what a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("layer", LAYERS)
def test_dependencies_run_one_way(layer):
    place = ROOT / "host" / "perdure" / layer
    allowed = LAYERS[layer] | {layer}
    for path in modules(place) if place.is_dir() else [place.with_suffix(".py")]:
        for name in imports(path):
            assert not name.startswith("perdure_functions"), f"{path} imports {name}"
            if name.startswith("perdure."):
                assert name.split(".")[1] in allowed, f"{path} imports {name}"


def test_every_module_has_a_layer():
    places = {path.relative_to(ROOT / "host" / "perdure").parts[0] for path in modules(ROOT / "host" / "perdure")}
    assert {place.removesuffix(".py") for place in places} - {"__init__"} == set(LAYERS)


def test_the_core_is_pure():
    for path in modules(ROOT / "host" / "perdure" / "core"):
        assert not {name.split(".")[0] for name in imports(path)} & IMPURE, path


@pytest.mark.parametrize("folder", ["host/perdure/core", "host/perdure/engine"])
def test_core_and_engine_know_no_functions(folder):
    for path in modules(ROOT / folder):
        assert not [name for name in imports(path) if name.startswith("azure")], path


def test_nothing_draws_from_the_generator_that_is_the_apps():
    """The functions of `random` share one, which the app may have seeded."""
    for path in [*modules(ROOT / "host"), *modules(ROOT / "bindings")]:
        drawn = [
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
        ]
        assert set(drawn) <= {"Random"}, f"{path} uses {drawn}"


def test_only_the_azure_provider_imports_the_storage_sdks():
    for path in [*modules(ROOT / "host"), *modules(ROOT / "bindings")]:
        if "storage/azure" not in path.as_posix():
            sdks = [name for name in imports(path) if name.startswith(("azure.data", "azure.storage", "azure.core"))]
            assert not sdks, f"{path} imports {sdks}"


@pytest.mark.parametrize("package", ["perdure", "perdure_functions", "perdure.engine.worker"])
def test_importing_stays_light(package):
    heavy = ["azure.storage", "azure.data", "azure.identity", "aiohttp", "starlette", "uvicorn", "sqlite3", "typer"]
    code = f"import sys, {package}; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_an_app_that_is_only_looked_at_does_not_import_what_runs_it():
    """The Functions host indexes an app at every cold start, before anything is to be run."""
    code = "import sys, perdure_functions; print([name for name in sys.modules if name.startswith('perdure.engine')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "perdure.engine.worker" not in shown.stdout
    assert "perdure.engine.session" not in shown.stdout


def test_every_package_is_distributed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    roots = [ROOT / "host", ROOT / "bindings"]
    found = {path.parent.relative_to(root).as_posix().replace("/", ".") for root in roots for path in modules(root)}
    assert sorted(found) == project["tool"]["setuptools"]["packages"]
