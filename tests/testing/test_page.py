"""docs/testing.md: what it shows is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from perdure.testing import run_orchestrator

PAGE = (Path(__file__).parent.parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
CONSOLE = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
HOST_JSON = '{"version": "2.0"}'
PATH = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100 - entries may be relative


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's files, as a reader would have them."""
    folder = tmp_path_factory.mktemp("page")
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "host.json").write_text(HOST_JSON, encoding="utf-8")
    (folder / "histories").mkdir()
    namespace: dict = {}
    exec(FILES["function_app.py"], namespace)  # noqa: S102 - it is our own page
    order = run_orchestrator(
        namespace["place_order"],
        {"item": "tea"},
        activities={"pay": "receipt", "ship": None},
        events=[("approval", True)],
        instance_id="order-1",
    )
    order.history.save(folder / "histories" / "order-1.json")
    return folder


def run(folder, *command):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_has_its_files():
    tests = {name for name in FILES if name.startswith("test_")}
    assert tests == {"test_orchestrator.py", "test_bank.py", "test_app.py", "test_deployment.py"}
    assert set(FILES) - tests == {"function_app.py", "bank.py"}


def test_the_examples_pass(folder):
    """All in one process, which imports Perdure once; and each of them is there."""
    names = [name for name in FILES if name.startswith("test_")]
    done = run(folder, "pytest", "-vv", "-p", "no:cacheprovider", *names)
    assert done.returncode == 0, done.stdout
    passed = Counter(re.findall(r"(?m)^(\w+\.py)::\S+ PASSED", done.stdout))
    assert passed == {name: len(re.findall(r"(?m)^def test_", FILES[name])) for name in names}


def test_the_command_shows_what_the_page_shows(folder):
    command, *expected = CONSOLE[1].splitlines()[1:]
    assert command == "$ perdure replay histories/*.json"
    done = run(folder, "perdure.cli.main", "replay", "histories/order-1.json")
    assert (done.stdout + done.stderr).splitlines() == expected
    changed = FILES["function_app.py"].replace("call_activity(pay", 'call_activity("reserve"')
    (folder / "function_app.py").write_text(changed, encoding="utf-8")
    done = run(folder, "perdure.cli.main", "replay", "histories/order-1.json")
    said = "history records activity 'pay' (#1), but the code now asks for activity 'reserve' (#1)"
    assert said in done.stdout
    assert said in CONSOLE[0]
    assert done.returncode == 1


def test_the_page_names_what_there_is():
    import perdure.testing

    for name in (
        "run_orchestrator",
        "run_entity",
        "AppHarness",
        "assert_replays",
        "outcomes",
        "StuckError",
        "HistoryDiffers",
    ):
        assert f"`{name}" in PAGE
        assert name in perdure.testing.__all__
    for name in perdure.testing.__all__:
        assert getattr(perdure.testing, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = perdure.testing.nothing


def test_importing_it_is_light():
    code = (
        "import sys, perdure.testing;"
        "print([name for name in sys.modules if name.startswith(('perdure.', 'pydantic', 'msgspec', 'asyncio'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": PATH}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['perdure.errors', 'perdure.testing']"
