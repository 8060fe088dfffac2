"""docs/migrating.md names everything that Durable Functions 1.x had, and what it says is there is there."""

from __future__ import annotations

import inspect
import json
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import perdure.core.histories
import perdure.core.tasks
import perdure_functions as df
from perdure.core.frame import Frame
from perdure_functions.settings import load_settings
from tests.functions.conftest import write_host_json

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
OLD: dict[str, list[list[str]] | None] = json.loads((ROOT / "tests/compat/old_api.json").read_text())["names"]
HOST_JSON: list[str] = json.loads((ROOT / "tests/compat/old_host_json.json").read_text())
STATUSES = {"same", "better", "not there"}
HERE = {"same", "better"}

ELSEWHERE = {
    "TaskBase": perdure.core.tasks.Task,
    "TimerTask": perdure.core.tasks.TimerTask,
    "CompoundTask": perdure.core.tasks.WhenAll,
    "TaskState": perdure.core.tasks.TaskState,
    "HistoryEvent": perdure.core.histories.HistoryEvent,
    "HistoryEventType": perdure.core.histories.HistoryEventType,
}
"""Classes that users meet without importing them."""
OTHER_DEFAULTS = {"Blueprint": "None means the app's level, and that is FUNCTION by default"}


class Row(NamedTuple):
    name: str
    signature: str
    status: str


def rows(text: str) -> list[Row]:
    """Read the tables; names in them belong to the class that the heading names."""
    found: list[Row] = []
    owner = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = re.search(r"`(\w+)`", line)
            owner = heading[1] if heading else ""
        if not line.startswith("| `"):
            continue
        names, status, _ = (cell.strip() for cell in line.strip().strip("|").split("|"))
        for signature in re.findall(r"`([^`]+)`", names):
            name = signature.partition("(")[0]
            own = name == owner or "." in name or not owner
            found.append(Row(name if own else f"{owner}.{name}", signature, status))
    return found


API = rows(PAGE.partition("## Each name")[2].partition("## host.json")[0])
SETTINGS = [Row(row.signature, "", row.status) for row in rows(PAGE.partition("## host.json")[2].partition("\n")[2])]


def old_signature(name: str) -> str:
    parameters = OLD[name]
    short = name.rpartition(".")[2]
    return short if parameters is None else f"{short}({', '.join('='.join(each) for each in parameters)})"


def ours(name: str) -> Any:
    """Return what we have of this name. Raises AttributeError if we have nothing."""
    owner, _, member = name.partition(".")
    found = ELSEWHERE[owner] if owner in ELSEWHERE else getattr(df, owner)
    if not member:
        return found
    try:
        return getattr(found, member)
    except AttributeError:
        return getattr(example(owner), member)


def example(owner: str) -> Any:
    """Return an object with the attributes that only objects have."""
    frame = Frame(instance_id="one", execution="e", input_=None)
    make = {
        "TaskBase": lambda: perdure.core.tasks.Task(0),
        "TimerTask": lambda: perdure.core.tasks.TimerTask(0, lambda _: None),
        "CompoundTask": lambda: perdure.core.tasks.WhenAll([]),
        "DurableOrchestrationContext": lambda: df.DurableOrchestrationContext(
            frame, name="f", version=None, parent_instance_id=None
        ),
        "DurableOrchestrationStatus": df.DurableOrchestrationStatus,
        "PurgeHistoryResult": lambda: df.PurgeHistoryResult(1),
        "ManagedIdentityTokenSource": lambda: df.ManagedIdentityTokenSource("resource"),
    }
    if owner not in make:
        raise AttributeError(f"{owner} has nothing that only its objects have")
    return make[owner]()


def calls(parameters: list[list[str]]) -> list[tuple[list[str], dict[str, str]]]:
    """Return every way to call with these: by position and by name, with and without what may be left out."""
    plain = [each for each in parameters if not each[0].startswith("*")]
    required = sum(len(each) == 1 for each in plain)
    names = [each[0] for each in plain]
    return [
        (names[:position], {name: name for name in names[position:number]})
        for number in range(required, len(names) + 1)
        for position in range(number + 1)
    ]


def test_no_name_of_the_old_api_is_missing():
    assert {row.name for row in API} == set(OLD)
    assert [row.name for row in SETTINGS] == HOST_JSON


def test_each_name_stands_there_once_with_a_status():
    assert len({row.name for row in API}) == len(API)
    assert {row.status for row in [*API, *SETTINGS]} == STATUSES


@pytest.mark.parametrize("row", API, ids=lambda row: row.name)
def test_parameters_are_told_as_they_were(row):
    expected = old_signature(row.name)
    assert row.signature in (expected, f"{row.name.partition('.')[0]}.{expected}")


@pytest.mark.parametrize("name", [row.name for row in API if row.status in HERE])
def test_what_is_here_takes_what_it_took(name):
    found = ours(name)
    parameters = OLD[name]
    if parameters is None:
        return
    signature = inspect.signature(found)
    method = "." in name and not inspect.ismethod(found) and "self" in signature.parameters
    for args, kwargs in calls(parameters):
        signature.bind(*([object()] if method else []), *args, **kwargs)
    given = {each[0]: each[1] for each in parameters if len(each) > 1 and name not in OTHER_DEFAULTS}
    assert {key: shown(signature.parameters[key].default) for key in given} == given


def shown(value: Any) -> str:
    return f"{type(value).__name__}.{value.name}" if hasattr(value, "name") else repr(value)


@pytest.mark.parametrize("name", [row.name for row in API if row.status == "not there" and "." in row.name])
def test_what_is_said_to_be_missing_is(name):
    with pytest.raises(AttributeError):
        ours(name)


VALUES = {
    "hubName": "MyHub",
    "defaultVersion": "1.0",
    "versionMatchStrategy": "CurrentOrOlder",
    "versionFailureStrategy": "Reject",
    "overridableExistingInstanceStates": "AnyState",
    "storageProvider.type": "AzureStorage",
    "storageProvider.connectionName": "Store",
    "storageProvider.connectionStringName": "Store",
}


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_settings(row, tmp_path, monkeypatch, caplog):
    """Those that are here are read without a complaint; the others are named in a warning."""
    section, _, key = row.name.rpartition(".")
    content: Any = {key: VALUES.get(row.name, 4)}
    for part in reversed(section.split(".") if section else []):
        content = {part: content}
    monkeypatch.chdir(tmp_path)
    write_host_json(tmp_path, **content)
    with caplog.at_level(logging.WARNING):
        load_settings({})
    complaint = row.name.partition(".")[0] in caplog.text
    assert complaint == (row.status not in HERE)


def test_the_older_name_of_the_connection(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_host_json(tmp_path, storageProvider={"connectionStringName": "Store"})
    assert load_settings({}).connection == "Store"
    write_host_json(tmp_path, storageProvider={"connectionStringName": "Store", "connectionName": "Newer"})
    assert load_settings({}).connection == "Newer"
