"""docs/guarantees.md names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


def test_every_promise_names_a_test():
    rows = [line for line in PAGE.partition("## Not promised")[0].splitlines() if line.startswith("| **")]
    assert len(rows) > 10
    assert all("`tests/" in row.rsplit("|", 2)[1] for row in rows)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_it_is_there(path, name):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not name or re.search(rf"^(async )?(def|class) {name}\b", text, re.MULTILINE)
