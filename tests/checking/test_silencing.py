"""`# perdure: ignore[...]`."""

import pytest

from perdure.checking import check_paths, check_source
from tests.checking.marking import found, marked, orchestrator

SILENT = {
    "one rule": "x = time.time()  # perdure: ignore[wall-clock]",
    "every rule": "x = time.time(), uuid.uuid4()  # perdure: ignore",
    "several rules": "x = time.time(), uuid.uuid4()  # perdure: ignore[wall-clock, uuid]",
    "with a reason": "x = time.time()  # perdure: ignore[wall-clock]: only logged",
    "behind another comment": "x = time.time()  # noqa: X1 # perdure:ignore[wall-clock]",
    "at the end of a long expression": "x = open(\n    'a',\n)  # perdure: ignore[io]",
    "at its beginning": "x = open(  # perdure: ignore[io]\n    'a',\n)",
}


@pytest.mark.parametrize("body", SILENT.values(), ids=SILENT)
def test_a_comment_silences_its_line(body):
    assert check_source(orchestrator(body, before="import time, uuid"), "app.py") == []


LOUD = {
    "another rule": "x = time.time()  # perdure: ignore[uuid] # <- wall-clock, unused-ignore",
    "one of two": "x = time.time()  # perdure: ignore[wall-clock, uuid] # <- unused-ignore",
    "the next line": "# perdure: ignore  # <- unused-ignore\nx = time.time()  # <- wall-clock",
    "no such rule": "x = 1  # perdure: ignore[clock]  # <- unused-ignore",
    "no rule": "x = time.time()  # perdure: ignore[]  # <- wall-clock, unused-ignore",
    "nothing to silence": "x = 1  # perdure: ignore  # <- unused-ignore",
    "text, not a comment": "x = time.time(), '# perdure: ignore'  # <- wall-clock",
    "unused-ignore itself": "x = 1  # perdure: ignore[unused-ignore]  # <- unused-ignore",
}


@pytest.mark.parametrize("body", LOUD.values(), ids=LOUD)
def test_a_comment_that_silences_nothing_is_reported(body):
    source = orchestrator(body, before="import time, uuid")
    assert found(check_source(source, "app.py")) == marked(source)


def test_what_an_unused_ignore_says():
    source = orchestrator("x = 1  # perdure: ignore[uuid]\ny = 1  # perdure: ignore\nz = 1  # perdure: ignore[no]")
    messages = [finding.message for finding in check_source(source, "app.py")]
    assert messages[:2] == [
        "this ignore of 'uuid' silences nothing: remove it.",
        "this ignore silences nothing: remove it.",
    ]
    assert messages[2].startswith("there is no rule 'no' to silence; there are wall-clock, random")


def test_an_ignore_outside_of_orchestrators_is_unused():
    source = "import time\ndef anybody():\n    time.sleep(1)  # perdure: ignore[sleep]\n"
    assert [finding.rule for finding in check_source(source, "app.py")] == ["unused-ignore"]


def test_a_file_given_alone_may_have_ignores_for_orchestrators_that_were_not_given(tmp_path):
    (tmp_path / "host.json").write_text("{}", encoding="utf-8")
    helper = tmp_path / "steps.py"
    helper.write_text("import time\ndef now(): return time.time()  # perdure: ignore\n", encoding="utf-8")
    app = tmp_path / "function_app.py"
    source = "from steps import now\n@app.orchestration_trigger('c')\ndef run(c):\n    now()  # perdure: ignore\n"
    app.write_text(source, encoding="utf-8")
    assert check_paths([helper]) == []
    assert [finding.line for finding in check_paths([app])] == [4]
    assert [finding.line for finding in check_paths([tmp_path])] == [4]
    app.write_text("", encoding="utf-8")
    assert [finding.file.endswith("steps.py") for finding in check_paths([tmp_path])] == [True]
