"""host.json and what stands in it: an error names the file and the key."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.errors import PerdureError, SettingsError
from perdure.local.errors import HostError
from perdure.local.settings import read_host_json
from perdure_functions.settings import load_settings


def durable_task(**section):
    return json.dumps({"extensions": {"durableTask": section}})


NAN, INFINITY = float("nan"), float("inf")
UNREADABLE = {
    "nothing": "",
    "null": "null",
    "list": "[]",
    "half": '{"extensions": ',
    "deep list": "[" * 1_000_000,
    "deep object": '{"a":' * 200_000,
    "deep and complete": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "deep where a text belongs": durable_task(hubName=0).replace("0", '{"a":' * 3_000 + "1" + "}" * 3_000),
    "digits": '{"a":' + "9" * 5_000 + "}",
    "backslashes": '"' + "\\" * 100_001,
    "comments": "/*" * 100_000,
    "no UTF-8": b"\xff\xfe\x00\x80",
}
WRONG_FOR_THE_APP = {
    "hubName": [["a"], "a b", "a'", "../a", "\x00", "\ud800", "abc\n", "a" * 46, 5, "%MISSING%"],
    "anchorBudget": [NAN, INFINITY, -1, "x", []],
    "blockedDelay": [NAN, 0],
    "maxDeliveries": [NAN, INFINITY, 0, 1e30, 10**400, "many"],
    "maxConcurrentActivityFunctions": [NAN, INFINITY, 0, 1.5, {}, 10**400],
    "defaultVersion": ["v" * 1_000, "\ud800", 5],
    "storageProvider": [{"controlQueueCount": 10**9}, {"connectionName": ""}, {"connectionName": 5}, "azure"],
}
WRONG_ELSEWHERE = {
    "functionTimeout": ["x", "99999999999.00:00:00", "-00:01:00", "00:00:00", [], True],
    "maxDequeueCount": [NAN, INFINITY, 0, "many", [1]],
    "routePrefix": [{"a": 1}, ["a"], 5, "a\x00", "../../admin", "a?b", "a b", "\ud800"],
}
PLACES = {"maxDequeueCount": ["extensions", "queues"], "routePrefix": ["extensions", "http"]}


def pairs_of(wrong):
    return [(key, value) for key, values in wrong.items() for value in values]


def written(folder, monkeypatch, content):
    monkeypatch.chdir(folder)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "host.json").write_bytes(data)


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_can_not_be_read(tmp_path, monkeypatch, case):
    written(tmp_path, monkeypatch, UNREADABLE[case])
    with pytest.raises(SettingsError, match=r"host\.json") as refused:
        load_settings({})
    assert len(str(refused.value)) < 1_000
    with pytest.raises(HostError, match=r"host\.json"):
        read_host_json(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG_FOR_THE_APP.items() for value in values]
)
def test_a_value_that_makes_no_sense(tmp_path, monkeypatch, key, value):
    written(tmp_path, monkeypatch, durable_task(**{key: value}))
    with pytest.raises(SettingsError, match=key) as refused:
        load_settings({})
    assert len(str(refused.value)) < 2_000


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG_ELSEWHERE.items() for value in values]
)
def test_a_value_that_makes_no_sense_elsewhere(tmp_path, monkeypatch, key, value):
    content = {key: value}
    for section in reversed(PLACES.get(key, [])):
        content = {section: content}
    written(tmp_path, monkeypatch, json.dumps(content))
    with pytest.raises(SettingsError, match=key):
        load_settings({})
    if key in PLACES:
        with pytest.raises(HostError, match=key):
            read_host_json(tmp_path)


@pytest.mark.parametrize(
    "setting",
    [
        "AzureFunctionsJobHost__" + "a__" * 5_000 + "b",
        "AzureFunctionsJobHost:" + "a:" * 30_000 + "b",
        "AzureFunctionsJobHost____",
        "AzureFunctionsJobHost__" + "_" * 1_000,
    ],
)
def test_an_override_of_something_absurd_overrides_nothing(tmp_path, monkeypatch, setting):
    written(tmp_path, monkeypatch, durable_task(hubName="Mine"))
    assert load_settings({setting: "x"}).hub == "Mine"


def test_an_override_that_makes_no_sense_is_named(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "{}")
    for name, value in (("hubName", "a b"), ("anchorBudget", "NaN"), ("hubName__x", "y"), ("maxDeliveries", "\x00")):
        with pytest.raises(SettingsError, match=r"hubName|anchorBudget|maxDeliveries"):
            load_settings({f"AzureFunctionsJobHost__extensions__durableTask__{name}": value})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([NAN, INFINITY]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = [
    *WRONG_FOR_THE_APP,
    "shortTimer",
    "tailTurns",
    "cachedSessions",
    "versionMatchStrategy",
    "httpManagementAuthLevel",
]
_sections = st.dictionaries(st.sampled_from(_KEYS), _json, max_size=3)
_files = st.fixed_dictionaries(
    {},
    optional={
        "extensions": st.fixed_dictionaries(
            {}, optional={"durableTask": _sections | _json, "queues": _json, "http": _json}
        ),
        "functionTimeout": _json,
        "logging": _json,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_files | _json)
def test_any_content_is_taken_or_refused_by_name(tmp_path, content):
    (tmp_path / "host.json").write_text(json.dumps(content))
    for read in (lambda: load_settings({"AzureWebJobsScriptRoot": str(tmp_path)}), lambda: read_host_json(tmp_path)):
        refused = refusal_of(read)
        assert refused is None or "host.json" in refused


def refusal_of(read):
    try:
        read()
    except PerdureError as error:
        return str(error)
    return None
