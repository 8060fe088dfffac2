"""`perdure check` as a user runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.checking import RULES

DOCS = Path(__file__).parent.parent.parent / "docs" / "determinism.md"

BAD = "import time\n@app.orchestration_trigger('c')\ndef run(c):\n    time.sleep(1); open('a,b')\n"
GOOD = "@app.orchestration_trigger('c')\ndef run(c):\n    yield c.call_activity('a')\n"


@pytest.fixture
def app(tmp_path):
    (tmp_path / "host.json").write_text("{}", encoding="utf-8")
    (tmp_path / "function_app.py").write_text(BAD, encoding="utf-8")
    return tmp_path


def run(folder, *arguments):
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100 - entries may be relative
    return subprocess.run(
        [sys.executable, "-m", "perdure.cli.main", "check", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_text(app):
    done = run(app)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("function_app.py:4:5: sleep: time.sleep() waits in memory")
    assert lines[1].startswith("function_app.py:4:20: io: open() reaches outside")
    assert len(lines) == 2
    assert done.stderr == "2 findings in 1 file.\n"


def test_nothing_found(app):
    (app / "function_app.py").write_text(GOOD, encoding="utf-8")
    done = run(app)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Nothing found that breaks replay.\n")
    assert run(app, "--format", "json").stdout == "[]\n"


def test_json(app):
    done = run(app, "--format", "json", "function_app.py")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)
    assert {name: first[name] for name in ("file", "line", "column", "rule")} == {
        "file": "function_app.py",
        "line": 4,
        "column": 5,
        "rule": "sleep",
    }
    assert "create_timer" in first["message"]
    assert second["rule"] == "io"
    assert done.stderr == ""


def test_github(app):
    folder = app / "a,b"
    folder.mkdir()
    (app / "function_app.py").rename(folder / "function_app.py")
    done = run(app, "--format", "github", "--select", "io")
    assert done.returncode == 1
    start = "::error file=a%2Cb/function_app.py,line=4,col=20,title=perdure check%3A io::open() reaches outside, "
    assert done.stdout.startswith(start)
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (["--select", "io"], ["io"]),
        (["--select", "io,sleep"], ["sleep", "io"]),
        (["--ignore", "io"], ["sleep"]),
        (["--ignore", "io", "--ignore", "sleep"], []),
        (["--select", "io, sleep", "--ignore", "io"], ["sleep"]),
    ],
)
def test_select_and_ignore(app, options, rules):
    done = run(app, "--format", "json", *options)
    assert [finding["rule"] for finding in json.loads(done.stdout)] == rules
    assert done.returncode == (1 if rules else 0)


def test_an_ignore_comment_for_a_rule_that_is_not_selected_is_not_unused(app):
    (app / "function_app.py").write_text(BAD.rstrip() + "  # perdure: ignore[sleep]\n", encoding="utf-8")
    assert run(app, "--select", "unused-ignore").returncode == 0


def test_a_file_that_is_not_python_is_told_with_its_line_and_cannot_be_deselected(app):
    (app / "broken.py").write_text("x = 1\ndef (\n", encoding="utf-8")
    done = run(app, "--select", "uuid")
    assert done.returncode == 2
    assert done.stdout.startswith("broken.py:2:5: unreadable: this is not valid Python: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere can't be read: No such file or directory. Give files and folders that exist.\n"),
        (["--select", "clock"], "--select: there is no rule 'clock'. There are wall-clock, random, "),
        (["--ignore", "clock"], "--ignore: there is no rule 'clock'. There are wall-clock, random, "),
    ],
)
def test_wrong_usage(app, arguments, told):
    done = run(app, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_rules_are_shown_and_documented(app):
    shown = run(app, "--rules").stdout.splitlines()
    assert [line.partition(":")[0] for line in shown] == list(RULES)
    assert re.findall(r"^\| `([a-z-]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE) == list(RULES)
