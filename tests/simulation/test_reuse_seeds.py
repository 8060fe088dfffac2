"""Instance ids used again and again while clients purge, replace and restart them: every seed must come to its end, and
nothing may be left once everything has been purged.

A failing seed is in the test's name; `PERDURE_SEEDS=17:18` runs that one alone.
"""

from __future__ import annotations

import os

import pytest

from perdure.engine import deleting
from perdure.storage.rows import Row
from tests.simulation.reuse_playing import ReusePlay

_FIRST, _, _END = os.environ.get("PERDURE_SEEDS", "0:45").partition(":")


@pytest.mark.parametrize("seed", range(int(_FIRST), int(_END or int(_FIRST) + 1)))
def test_seed(seed: int) -> None:
    assert ReusePlay(seed).run() == []


async def finish_without_a_second_look(storage, row):
    things = await deleting.belongings(storage, row)
    await deleting.delete_belongings(storage, row.instance.instance_id, things)
    try:
        await storage.delete(row.instance.instance_id, row.etag)
    except deleting.Conflict:
        return


async def everything(storage, row: Row):
    """As if an input that has been stored for a start belonged to whatever is there."""
    name = row.instance.instance_id
    return deleting.Belongings(await storage.list_payloads(name), await storage.list_segments(name))


@pytest.mark.parametrize(
    ("name", "broken"), [("finish_deletion", finish_without_a_second_look), ("belongings", everything)]
)
def test_a_broken_deletion_is_found(name, broken, monkeypatch):
    from perdure.client import purging
    from perdure.engine import starting, succession

    for module in (deleting, purging, starting, succession):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, broken)
    assert any(run_fails(seed) for seed in range(60))


def run_fails(seed) -> bool:
    try:
        return bool(ReusePlay(seed).run())
    except Exception:  # noqa: BLE001 - an engine that breaks down is found, too
        return True
