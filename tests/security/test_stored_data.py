"""Stored data never become code."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from perdure.core.codec import decode_message, decode_record, decode_turns
from perdure.core.typed import read_as
from perdure.errors import DataError

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "host").rglob("*.py"), *(ROOT / "bindings").rglob("*.py")]
DANGEROUS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "code", "codeop"}
CALLS = {"eval", "exec", "compile", "__import__"}
IMPORTERS = {
    "host/perdure/local/app_loading.py": "the app's own function_app.py",
    "host/perdure/testing/__init__.py": "its own modules, by the names that it exports",
}
"""Modules that import by name, and what."""


def of(kind: type[ast.AST]):
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from ((path.relative_to(ROOT).as_posix(), node) for node in ast.walk(tree) if isinstance(node, kind))


def test_nothing_is_unpickled():
    imported = {alias.name.partition(".")[0] for _, node in of(ast.Import) for alias in node.names}
    imported |= {(node.module or "").partition(".")[0] for _, node in of(ast.ImportFrom)}
    assert not imported & DANGEROUS


def test_nothing_is_evaluated():
    named = [(path, node.func.id) for path, node in of(ast.Call) if isinstance(node.func, ast.Name)]
    assert not [each for each in named if each[1] in CALLS]


def test_only_what_the_code_itself_names_is_imported():
    calls = {path for path, node in of(ast.Attribute) if node.attr == "import_module"}
    assert calls == set(IMPORTERS)


@pytest.mark.parametrize("hint", [None, dict, object])
def test_a_stored_class_name_is_only_text(hint):
    stored = json.dumps({"__class__": "Popen", "__module__": "subprocess", "__data__": ["true"]})
    assert read_as(stored, hint, "it") == json.loads(stored)


@pytest.mark.parametrize("data", [b"\x80\x04\x95", b"cos\nsystem\n(S'true'\ntR.", b"\x00\xc7\x05\x01hello"])
def test_what_is_none_of_ours_is_refused(data):
    for read in (decode_turns, decode_record):
        with pytest.raises(DataError):
            read(data)
    with pytest.raises(DataError):
        decode_message(data.decode("latin-1"))
