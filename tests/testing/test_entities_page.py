"""docs/entities.md: what it shows is run, what it names is there."""

from __future__ import annotations

import inspect
import re
import sys
import types
from datetime import timedelta
from pathlib import Path

import pytest

import perdure_functions as df
from perdure.core.entities.admission import REMEMBERED, SHORT_PATIENCE, STREAMS
from perdure.engine.settings import EngineSettings
from perdure.testing import AppHarness, run_entity
from perdure_functions.settings import load_settings
from tests.functions.conftest import write_host_json

PAGE = (Path(__file__).parents[2] / "docs" / "entities.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def page(monkeypatch):
    """The page's code as one module."""
    module = types.ModuleType("entities_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("\n".join(BLOCKS), vars(module))  # noqa: S102 - it is our own page
    return module


def test_the_first_example(page):
    with AppHarness(page.app) as harness:
        assert [harness.wait(harness.start("count_order")).output for _ in range(2)] == [1, 2]
        assert harness.entity_state(df.EntityId("counter", "all orders")) == 2


def test_the_function_form(page):
    run = run_entity(page.stock, [("fill", 9), ("take", 4), ("take", 6)])
    assert [each.result for each in run.operations] == [9, 5, None]
    assert run.error.message == "only 5 are left"
    closed = run_entity(page.stock, "close", state=5)
    assert (closed.result, closed.state) == (5, None)


def test_the_critical_section(page):
    with AppHarness(page.app) as harness:
        harness.signal_entity("@stock@Oslo", "fill", 7)
        assert harness.wait(harness.start("move")).runtime_status == "Completed"
        assert (harness.entity_state("@stock@Oslo"), harness.entity_state("@stock@Turin")) == (2, 5)


def test_expiry_counts_failures_and_not_reading(page):
    with AppHarness(page.app) as harness:
        harness.signal_entity("@session@a", "say", "hello")
        harness.skip(timedelta(minutes=20))
        harness.signal_entity("@session@a", "sing")
        harness.skip(timedelta(minutes=20))
        assert harness.entity_state("@session@a") == ["hello"]
        harness.skip(timedelta(minutes=11))
        assert harness.entity_state("@session@a") is None


def test_empty_rows_go_by_themselves(page):
    with AppHarness(page.app) as harness:
        harness.signal_entity("@counter@a", "delete")
        assert len(harness.run(lambda client: client.list_entities(include_transient=True))) == 1
        harness.skip(timedelta(hours=1, minutes=5))
        assert len(harness.run(lambda client: client.list_entities(include_transient=True))) == 0


def test_a_lock_whose_orchestration_was_deleted_by_hand(page):
    async def delete_the_row(client):
        row = await client.storage.read("held")
        await client.storage.delete("held", row.etag)

    def holder(context):
        with (yield context.lock_entities(["@counter@a"])):
            yield context.wait_for_external_event("never")

    with AppHarness(page.app, orchestrators=[holder]) as harness:
        harness.start(holder, instance_id="held")
        harness.signal_entity("@counter@a", "add", 1)
        cleaned = harness.run(lambda client: client.clean_entity_storage())
        assert (cleaned.empty_entities_removed, cleaned.orphaned_locks_released) == (0, 0)
        assert harness.entity_state("@counter@a") is None
        harness.run(delete_the_row)
        assert harness.run(lambda client: client.clean_entity_storage()).orphaned_locks_released == 1
        assert harness.entity_state("@counter@a") == 1


def test_what_the_page_names_is_there():
    faces = (
        df.DurableOrchestrationContext,
        df.DurableEntityContext,
        df.DurableEntity,
        df.DurableOrchestrationClient,
        df.DFApp,
        df,
    )
    named = set(re.findall(r"(?:`|context\.|client\.|self\.|df\.|app\.)(\w+)\(", PAGE))
    assert {"call_entity", "lock_entities", "clean_entity_storage", "start_new_orchestration"} <= named
    for name in named:
        assert any(hasattr(face, name) for face in faces), name


def test_the_figures(tmp_path, monkeypatch):
    assert (10_000, timedelta(hours=1), timedelta(seconds=30)) == (STREAMS, REMEMBERED, SHORT_PATIENCE)
    defaults = EngineSettings()
    assert (defaults.entity_batch, defaults.reorder_window, defaults.max_deliveries) == (500, 15 * 60, 5)
    assert "max_concurrent_entities: int = 10 * _CORES" in inspect.getsource(EngineSettings)
    with pytest.raises(ValueError, match="254 characters"):
        df.EntityId("n" * 127, "k" * 128)
    df.EntityId("n" * 127, "k" * 127)
    names = set(re.findall(r"`(\w*[eE]ntity\w*(?:Functions|Size|Minutes))`", PAGE))
    assert len(names) == 3
    write_host_json(tmp_path, **dict.fromkeys(names, 7))
    monkeypatch.chdir(tmp_path)
    engine = load_settings({}).engine
    assert (engine.max_concurrent_entities, engine.entity_batch, engine.reorder_window) == (7, 7, 7 * 60)
