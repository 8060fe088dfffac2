"""host.json and the environment."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from perdure.engine.settings import EngineSettings
from perdure.errors import SettingsError
from perdure_functions.host_json import read_host_json, value_at, with_overrides
from perdure_functions.settings import default_hub, load_settings


@pytest.fixture
def given(app_folder):
    """Writes host.json; called with its `extensions.durableTask` and what else there is, returns the settings."""

    def load(durable_task=None, environ=None, *, queues=None, **top):
        extensions = {"durableTask": durable_task} if durable_task is not None else {}
        if queues is not None:
            extensions["queues"] = queues
        (app_folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions, **top}))
        return load_settings(environ or {})

    return load


def test_the_defaults(given):
    settings = given()
    assert (settings.hub, settings.connection, settings.control_queues) == ("TestHubName", "AzureWebJobsStorage", 1)
    assert (settings.default_version, settings.management_auth_level, settings.route_prefix) == (
        None,
        "function",
        "api",
    )
    assert settings.engine == EngineSettings()


def test_durable_functions_own_names(given):
    settings = given(
        {
            "hubName": "MyHub",
            "defaultVersion": "2.1",
            "maxConcurrentActivityFunctions": 3,
            "maxConcurrentOrchestratorFunctions": 4,
            "storageProvider": {"type": "AzureStorage", "connectionName": "Store", "partitionCount": 4},
        }
    )
    assert (settings.hub, settings.connection, settings.control_queues) == ("MyHub", "Store", 4)
    assert settings.default_version == "2.1"
    assert (settings.engine.max_concurrent_activities, settings.engine.max_concurrent_orchestrators) == (3, 4)


def test_our_own_names(given):
    settings = given(
        {
            "cachedSessions": 5,
            "safetyNetDelay": 20.5,
            "anchorBudget": 0,
            "shortTimer": 1,
            "maxDeliveries": 7,
            "failOnNonDeterminism": True,
            "unknownFunctionTimeout": 0,
            "tailTurns": 10,
            "tailBytes": 2048,
            "turnBytes": 1024,
            "httpManagementAuthLevel": "ADMIN",
            "storageProvider": {"partitionCount": 4, "controlQueueCount": 2},
        }
    )
    assert (settings.control_queues, settings.management_auth_level) == (2, "admin")
    assert settings.engine == EngineSettings(
        cached_sessions=5,
        safety_net_delay=20.5,
        anchor_budget=0,
        short_timer=1,
        max_deliveries=7,
        fail_on_non_determinism=True,
        unknown_function_timeout=0,
        tail_turns=10,
        tail_bytes=2048,
        turn_bytes=1024,
    )


def test_every_engine_setting_can_be_set(given):
    named = {"maxConcurrentActivities": "maxConcurrentActivityFunctions"}
    named["maxConcurrentOrchestrators"] = "maxConcurrentOrchestratorFunctions"
    named["maxConcurrentEntities"] = "maxConcurrentEntityFunctions"
    named["entityBatch"] = "maxEntityOperationBatchSize"
    for field in EngineSettings.__dataclass_fields__:
        head, *rest = field.split("_")
        key = head + "".join(word.capitalize() for word in rest)
        value = getattr(EngineSettings(), field)
        if value is None or isinstance(value, str) or field == "reorder_window":
            continue
        different = (not value) if isinstance(value, bool) else type(value)(value / 2)
        assert getattr(given({named.get(key, key): different}).engine, field) == different


def test_the_reorder_window_is_set_in_minutes(given):
    assert given({"entityMessageReorderWindowInMinutes": 30}).engine.reorder_window == 1800


def test_versions_and_what_becomes_of_others(given):
    settings = given({"defaultVersion": "2.1", "versionMatchStrategy": "strict", "versionFailureStrategy": "FAIL"})
    assert (settings.default_version, settings.engine.default_version) == ("2.1", "2.1")
    assert (settings.engine.version_match, settings.engine.version_failure) == ("Strict", "Fail")
    engine = given({}).engine
    assert (engine.default_version, engine.version_match, engine.version_failure) == (None, "CurrentOrOlder", "Reject")
    with pytest.raises(SettingsError, match="versionMatchStrategy: 'newest' can't be used"):
        given({"versionMatchStrategy": "newest"})


def test_keys_regardless_of_case_and_null_as_if_absent(given):
    settings = given({"HUBNAME": "MyHub", "StorageProvider": {"CONNECTIONNAME": "Store"}, "shortTimer": None})
    assert (settings.hub, settings.connection, settings.engine.short_timer) == ("MyHub", "Store", 3.0)


def test_unknown_keys_are_named_and_ignored(given, caplog):
    content = {"hubName": "MyHub", "tracing": {}, "storageProvider": {"cacheSize": 1, "connectionName": "Store"}}
    assert given(content).hub == "MyHub"
    (record,) = caplog.records
    assert record.message.endswith("has no such settings and ignores them: storageProvider.cacheSize, tracing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"maxConcurrentActivityFunctions": 0}, r"durableTask\.maxConcurrentActivityFunctions: 0 can't be used: .*1"),
        ({"maxConcurrentActivityFunctions": "many"}, r"maxConcurrentActivityFunctions: 'many' can't be used"),
        ({"failOnNonDeterminism": "perhaps"}, "failOnNonDeterminism: 'perhaps' can't be used"),
        ({"storageProvider": {"partitionCount": 17}}, r"storageProvider\.partitionCount: 17 can't be used"),
        ({"storageProvider": {"type": "mssql"}}, r"storageProvider\.type: 'mssql' can't be used: Perdure keeps"),
        ({"storageProvider": {"connectionName": ""}}, r"storageProvider\.connectionName: '' can't be used"),
        ({"storageProvider": "mssql"}, "storageProvider: 'mssql' can't be used"),
        ({"httpManagementAuthLevel": "system"}, "httpManagementAuthLevel: 'system' can't be used"),
        ({"hubName": "my-hub"}, "The task hub name 'my-hub' can't be used"),
        ({"hubName": "x" * 46}, "The task hub name"),
        (["hubName"], r"durableTask: \['hubName'\] is no JSON object"),
        ({"tailBytes": 10_000_000}, "tailBytes: 10000000 can't be used"),
    ],
)
def test_values_that_make_no_sense(given, content, message):
    with pytest.raises(SettingsError, match=message):
        given(content)


def test_the_hosts_delivery_count_is_the_engines(given):
    assert given(queues={"maxDequeueCount": 3}).engine.max_deliveries == 3
    assert given({"maxDeliveries": 4}, queues={"maxDequeueCount": 3}).engine.max_deliveries == 4
    with pytest.raises(SettingsError, match=r"host\.json, extensions\.queues\.maxDequeueCount: 'x' can't be used"):
        given(queues={"maxDequeueCount": "x"})


@pytest.mark.parametrize(
    ("queues", "many"),
    [({}, 8), ({"batchSize": 32}, 16), ({"batchSize": 1}, 0), ({"batchSize": 32, "newBatchThreshold": 0}, 0)],
)
def test_with_how_many_messages_in_hand_the_host_still_takes_more_is_the_engines_too(given, queues, many):
    assert given(queues=queues).engine.many_in_hand == many
    assert given({"manyInHand": 5}, queues=queues).engine.many_in_hand == 5
    for key in ("batchSize", "newBatchThreshold"):
        with pytest.raises(SettingsError, match=rf"host\.json, extensions\.queues\.{key}: -1 can't be used"):
            given(queues={key: -1})


@pytest.mark.parametrize(
    ("timeout", "budget"), [("00:10:00", 60), ("00:01:00", 30), ("00:00:30", 15), ("-1", 60), (-1, 60), (None, 60)]
)
def test_anchors_end_well_before_the_function_timeout(given, timeout, budget):
    top = {} if timeout is None else {"functionTimeout": timeout}
    assert given(**top).engine.anchor_budget == budget


@pytest.mark.parametrize(
    ("timeout", "environment", "after"),
    [
        (None, "Production", 60),
        ("00:10:00", "Production", 300),
        ("00:01:00", None, 30),
        ("-1", "Production", 60),
        ("00:10:00", "Development", 60),
    ],
)
def test_functions_that_do_not_come_back_are_told_of_before_the_function_timeout(given, timeout, environment, after):
    top = {} if timeout is None else {"functionTimeout": timeout}
    environ = {} if environment is None else {"AZURE_FUNCTIONS_ENVIRONMENT": environment}
    assert given({}, environ, **top).engine.stuck_after == after
    assert given({"stuckAfter": 7}, environ, **top).engine.stuck_after == 7


@pytest.mark.parametrize("timeout", ["ten minutes", "00:00:00"])
def test_a_function_timeout_that_is_none(given, timeout):
    with pytest.raises(SettingsError, match=r"host\.json, functionTimeout: "):
        given(functionTimeout=timeout)


# ---- the environment ---------------------------------------------------------------------------------------------


def test_expressions_in_texts(given):
    environ = {"HUB": "FromSetting", "STORE": "Other"}
    settings = given({"hubName": "%HUB%V2", "storageProvider": {"connectionName": "%STORE%"}}, environ)
    assert (settings.hub, settings.connection) == ("FromSettingV2", "Other")


def test_an_expression_without_a_setting(given):
    with pytest.raises(SettingsError, match=r"durableTask\.hubName: '%HUB%' needs a setting HUB, but there is none"):
        given({"hubName": "%HUB%"})


def test_the_environment_overrides_host_json(given):
    environ = {
        "AzureFunctionsJobHost__extensions__durableTask__hubName": "FromAzure",
        "azurefunctionsjobhost__Extensions__DurableTask__StorageProvider__ConnectionName": "Store",
        "AzureFunctionsJobHost:extensions:http:routePrefix": "/v1/",
        "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions": "8",
        "AzureFunctionsJobHost__extensions__durableTask__failOnNonDeterminism": "true",
        "AzureFunctionsJobHost__functionTimeout": "00:01:00",
    }
    settings = given({"hubName": "FromFile"}, environ)
    assert (settings.hub, settings.connection, settings.route_prefix) == ("FromAzure", "Store", "v1")
    assert (settings.engine.max_concurrent_activities, settings.engine.fail_on_non_determinism) == (8, True)
    assert settings.engine.anchor_budget == 30


def test_a_wrong_override_names_its_setting(given):
    environ = {"AzureFunctionsJobHost__extensions__durableTask__shortTimer": "soon"}
    with pytest.raises(SettingsError, match="AzureFunctionsJobHost__extensions__durableTask__shortTimer"):
        given({}, environ)


def test_overrides_merge():
    merged = with_overrides({"a": {"B": 1, "c": 2}}, {"AzureFunctionsJobHost__A__b__d": "3", "Other__a": "4"})
    assert merged == {"a": {"B": {"d": "3"}, "c": 2}}
    assert value_at(merged, "A", "B", "D") == "3"
    assert value_at(merged, "a", "c", "x") is None


@pytest.mark.parametrize(
    ("environ", "hub"),
    [
        ({}, "TestHubName"),
        ({"WEBSITE_SITE_NAME": "my-app.1"}, "myapp1"),
        ({"WEBSITE_SITE_NAME": "my-app", "WEBSITE_SLOT_NAME": "Production"}, "myapp"),
        ({"WEBSITE_SITE_NAME": "my-app", "WEBSITE_SLOT_NAME": "staging"}, "myappstaging"),
        ({"WEBSITE_SITE_NAME": "1st"}, "t1st"),
        ({"WEBSITE_SITE_NAME": "-ü-"}, "TestHubName"),
        ({"WEBSITE_SITE_NAME": "x" * 60}, "x" * 45),
    ],
)
def test_the_default_hub_is_named_after_the_site(given, environ, hub):
    assert default_hub(environ) == hub
    assert given({}, environ).hub == hub
    assert given({"hubName": "Mine"}, environ).hub == "Mine"


# ---- where host.json is ------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path_factory, app_folder, monkeypatch):
    """A folder with a host.json of its own, while the current one has none."""
    (app_folder / "host.json").unlink()
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "host.json").write_text('{"found": "elsewhere"} // comments are allowed')
    return folder


@pytest.mark.parametrize("setting", ["AzureWebJobsScriptRoot", "FUNCTIONS_APPLICATION_DIRECTORY"])
def test_settings_say_where_it_is(elsewhere, setting):
    assert read_host_json({setting: str(elsewhere)}) == {"found": "elsewhere"}


@pytest.mark.parametrize(
    ("script", "environ"), [("function_app", {}), ("my_app", {"PYTHON_SCRIPT_FILE_NAME": "my_app.py"})]
)
def test_it_is_found_next_to_the_script(elsewhere, monkeypatch, script, environ):
    module = ModuleType(script)
    module.__file__ = str(elsewhere / f"{script}.py")
    monkeypatch.setitem(sys.modules, script, module)
    assert read_host_json(environ) == {"found": "elsewhere"}


def test_without_one_the_defaults_hold(app_folder):
    (app_folder / "host.json").unlink()
    assert load_settings({}).hub == "TestHubName"


def test_one_that_can_not_be_read(app_folder):
    (app_folder / "host.json").write_text("{")
    with pytest.raises(SettingsError, match=r"host\.json is not valid JSON"):
        load_settings({})
