"""The OpenAPI document of the management API, and the API held to it by a fuzzer."""

from __future__ import annotations

import os
from http import HTTPStatus

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

import perdure_functions as df
from perdure_functions.http_api.operations import OPERATIONS
from tests.functions.driving import content
from tests.local.running_host import RunningHost

APP = """
from datetime import timedelta
import perdure_functions as df

app = df.DFApp(http_auth_level="ANONYMOUS")

@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()

@app.orchestration_trigger(context_name="context")
def wait(context):
    context.set_custom_status({"waits": True})
    return (yield context.wait_for_external_event("go", timeout=timedelta(days=1)))

@app.entity_trigger(context_name="context")
def last(context):
    context.set_state([context.operation_name, context.get_input()])
"""
EXAMPLES = int(os.environ.get("PERDURE_FUZZ_EXAMPLES", "10"))
"""Requests an operation; more by hand."""


NEVER_CHECKED = [ignored_auth]
"""The local host asks for no keys."""
LENIENT = [*NEVER_CHECKED, negative_data_rejection]
"""Parameters that nobody knows are ignored, as Durable Functions does."""


@pytest.fixture
async def driver(drive):
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def echo(context):
        return context.get_input()

    return await drive(app)


async def test_the_document(driver):
    response = await driver.request("GET", "durabletask/openapi.json", x_forwarded_host="public.example")
    document = content(response)
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "https://public.example/api/durabletask"}]
    assert {(path, method) for path, item in document["paths"].items() for method in item} == {
        ("/orchestrators/{functionName}", "post"),
        ("/orchestrators/{functionName}/{instanceId}", "post"),
        ("/instances", "get"),
        ("/instances", "delete"),
        ("/instances/{instanceId}", "get"),
        ("/instances/{instanceId}", "delete"),
        ("/instances/{instanceId}/raiseEvent/{eventName}", "post"),
        *((f"/instances/{{instanceId}}/{name}", "post") for name in ("terminate", "suspend", "resume")),
        *((f"/instances/{{instanceId}}/{name}", "post") for name in ("rewind", "restart")),
        ("/instances/{instanceId}/streams/{streamName}", "get"),
        ("/entities", "get"),
        ("/entities/{entityName}", "get"),
        *(("/entities/{entityName}/{entityKey}", method) for method in ("get", "post", "delete")),
        ("/poison", "get"),
        ("/poison/{messageId}", "get"),
        ("/poison/{messageId}", "delete"),
        ("/poison/{messageId}/retry", "post"),
    }
    listing = {each["name"]: each for each in document["paths"]["/instances"]["get"]["parameters"]}
    assert listing["top"]["schema"] == {"default": 100, "maximum": 1000, "minimum": 1, "type": "integer"}
    assert (listing["runtimeStatus"]["style"], listing["runtimeStatus"]["explode"]) == ("form", False)
    assert set(document["components"]["schemas"]["Status"]["required"]) >= {"name", "instanceId", "runtimeStatus"}


async def test_it_names_only_what_it_defines(driver):
    text = (await driver.request("GET", "durabletask/openapi.json")).get_body().decode()
    document = content(await driver.request("GET", "durabletask/openapi.json"))
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0", "extensions": {"durableTask": {"hubName": "Fuzzed"}}}')
    connection = f"sqlite://{(folder / 'store.db').as_posix()}"
    with RunningHost(folder, "--no-reload", environ={"AzureWebJobsStorage": connection}) as host:
        host.wait_ready()
        yield host.url


@pytest.fixture(scope="module")
def api(host):
    return schemathesis.openapi.from_url(f"{host}/api/durabletask/openapi.json")


FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("name", [operation.id for operation in OPERATIONS])
def test_whatever_is_asked_the_answer_is_a_documented_one(api, name, mode):
    """Schemas, status codes, content types and headers as the document says, and never a server error."""
    operation = api.find_operation_by_id(name)

    @FUZZ
    @given(case=operation.as_strategy(generation_mode=mode), function=st.sampled_from(["echo", "wait"]))
    def fuzz(case, function):
        for parameter in ("taskHub", "connection", "code"):  # of which only the app's own are any good
            (case.query or {}).pop(parameter, None)
        if "functionName" in (case.path_parameters or {}):
            case.path_parameters["functionName"] = function
        if "entityKey" in (case.path_parameters or {}):
            case.path_parameters["entityName"] = {"echo": "last", "wait": "nobody"}[function]
        if (case.query or {}).get("timeout"):
            case.query["timeout"] = 0.01  # what waits would be waited for
        if name == "stream" and not mode.is_negative:
            case.query = {**(case.query or {}), "wait": 0.01}
        for header in ("x-ms-continuation-token", "Last-Event-ID"):
            (case.headers or {}).pop(header, None)  # of which only the server's own are any good
        response = case.call()
        gone = [positive_data_acceptance] if response.status_code == HTTPStatus.GONE else []
        case.validate_response(response, excluded_checks=[*(LENIENT if mode.is_negative else NEVER_CHECKED), *gone])

    fuzz()
