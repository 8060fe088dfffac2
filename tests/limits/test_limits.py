"""The limits that docs/limits.md names, a small part of each; `make limits` runs them in full, on Azurite too."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.azurite import ROOT
from tests.limits.loads import LOADS

FULL = os.environ.get("PERDURE_LIMITS") == "full"
STORES = ["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)] if FULL else ["sqlite"]
ENDS_WITHIN = 7_200 if FULL else 100


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("store", STORES)
def test_it_works_within_its_memory(request, tmp_path, store, name):
    load = LOADS[name]
    size = load.limit if FULL else load.sample
    connection = f"sqlite:///{tmp_path / 'hub.db'}"
    if store == "azurite":
        connection = request.getfixturevalue("azurite").connection_string
    run = subprocess.run(
        [sys.executable, "-m", "tests.limits.measure", name, str(size), connection],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-5_000:]
    figures = json.loads(run.stdout)
    sys.stdout.write(f"\n{name} of {size:,} on {store}: {figures}\n")
    assert figures["mib_peak"] - figures["mib_before"] <= load.most_mib
