"""docs/limits.md says what the code says."""

from __future__ import annotations

import re

import pytest

from perdure.client import telling
from perdure.core import data, naming, versions
from perdure.local import http_triggers, json_files
from perdure.storage import limits
from tests.azurite import ROOT
from tests.limits.loads import LOADS

PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
STATED = {
    r"1 to ([\d,]+) characters of any kind": naming.INSTANCE_ID_LIMIT,
    r"([\d,]+) characters together; no `@`": naming.INSTANCE_ID_LIMIT - 2,
    r"version \| ([\d,]+) characters": versions.VERSION_LIMIT,
    r"reason of a command \| ([\d,]+) characters": telling._REASON_LIMIT,
    r"tags \| ([\d,]+), and": naming.MOST_TAGS,
    r"tags \| [\d,]+, and ([\d,]+) characters in all": naming.TAGS_LIMIT,
    r"([\d,]+) Mi characters of JSON": data.SIZE_LIMIT // 2**20,
    r"in one another \| ([\d,]+);": data.DEPTH_LIMIT,
    r"any time from ([\d,]+) to": limits.MIN_YEAR,
    r"a page of a query \| ([\d,]+)": limits.MAX_PAGE,
    r"nested ([\d,]+) deep": json_files._DEPTH_LIMIT,
    r"([\d,]+) MiB of body": http_triggers.MAX_BODY_BYTES // 2**20,
    r"larger than ([\d,]+) KiB is stored as a payload": data.INLINE_LIMIT // 1024,
    r"history of ([\d,]+) events": LOADS["history"].limit,
    r"fan-out of ([\d,]+) activities": LOADS["fan_out"].limit,
    r"([\d,]+) MiB as input": LOADS["large_data"].limit // 2**20,
    r"([\d,]+) external events": LOADS["external_events"].limit,
    r"([\d,]+) generations": LOADS["generations"].limit,
    r"([\d,]+) instances: started": LOADS["hub_of_many"].limit,
}


@pytest.mark.parametrize("pattern", STATED)
def test_a_number_on_the_page(pattern):
    found = re.search(pattern, PAGE)
    assert found is not None, pattern
    assert int(found[1].replace(",", "")) == STATED[pattern]
