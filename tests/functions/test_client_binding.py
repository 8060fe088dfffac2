"""The durable client as a parameter."""

import asyncio
import inspect
import json
import typing

import azure.functions as func
import pytest

import perdure_functions as df
from perdure.errors import PerdureError
from tests.functions.conftest import write_host_json
from tests.functions.deferred_annotations import define
from tests.functions.driving import content


@pytest.fixture
def app(app_folder):
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def echo(context):
        return context.get_input()

    @app.orchestration_trigger("context")
    def wait(context):
        return (yield context.wait_for_external_event("go"))

    return app


def user_functions(app):
    return {function.get_function_name(): function.get_user_function() for function in app.get_functions()}


async def test_an_async_function_receives_a_client(app, drive):
    @app.route("go")
    @app.durable_client_input(client_name="client")
    async def go(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        assert isinstance(client, df.DurableOrchestrationClient)
        instance_id = await client.start_new("echo", client_input=req.get_json())
        return func.HttpResponse((await client.wait_for_completion(instance_id, 10)).output)

    response = await (await drive(app)).request("POST", "go", "hello")
    assert response.get_body() == b"hello"


async def test_a_sync_function_receives_the_sync_twin(app, drive):
    @app.route("go")
    @app.durable_client_input(client_name="client")
    def go(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
        instance_id = client.start_new("wait", client_input=req.get_json())
        client.raise_event(instance_id, "go", "hello")
        client.wait_for_completion(instance_id, 10)
        links = client.create_http_management_payload(instance_id)
        assert links["id"] == instance_id
        assert client.create_http_management_payload(req, instance_id) == client.get_client_response_links(
            req, instance_id
        )
        assert client.wait_for_completion_or_create_check_status_response(req, instance_id).status_code == 200
        return client.create_check_status_response(req, instance_id)

    driver = await drive(app)
    await app.on_host_start()
    response = await driver.request("POST", "go", "hello")
    assert (await driver.ended(content(response)["statusQueryGetUri"]))["output"] == "hello"


async def test_indexing_on_the_loop_is_enough_for_sync_functions(app, drive):
    """Azure's workers index apps on the very loop that runs async functions, and have no start hook."""

    @app.route("go")
    @app.durable_client_input(client_name="client")
    def go(req: func.HttpRequest, client) -> func.HttpResponse:
        return func.HttpResponse(client.task_hub_name)

    assert (await (await drive(app)).request("POST", "go")).get_body() == b"TestHub"


def test_without_a_host_a_sync_function_says_so(app):
    @app.route("go")
    @app.durable_client_input(client_name="client")
    def go(req: func.HttpRequest, client) -> func.HttpResponse: ...

    with pytest.raises(PerdureError, match="no event loop is known"):
        user_functions(app)["go"](req=None)


def test_a_unit_test_may_pass_a_client_of_its_own(app):
    @app.route("go")
    @app.durable_client_input(client_name="client")
    async def go(req, client):
        return [req, client]

    @app.route("slowly")
    @app.durable_client_input(client_name="client")
    def slowly(req, client):
        return [req, client]

    functions = user_functions(app)
    assert asyncio.run(functions["go"](req=1, client=2)) == [1, 2]
    assert functions["slowly"](1, client=2) == [1, 2]
    assert asyncio.run(functions["go"].client_function(1, 2)) == [1, 2]
    assert functions["slowly"].client_function(1, 2) == [1, 2]


@pytest.mark.parametrize("above", [True, False])
def test_the_order_of_decorators_does_not_matter(app, above):
    async def go(req: func.HttpRequest, client, context: func.Context) -> func.HttpResponse: ...

    route, client = app.route("go/{id}"), app.durable_client_input(client_name="client")
    named = app.function_name("Named")
    _ = named(route(client(go))) if above else client(route(named(go)))
    (function,) = [each for each in app.get_functions() if each.get_function_name() == "Named"]
    assert [json.loads(binding)["name"] for binding in function.get_raw_bindings()] == ["req", "$return"]
    shown = function.get_user_function()
    assert list(inspect.signature(shown).parameters) == ["req", "context"]
    assert inspect.iscoroutinefunction(shown)
    assert typing.get_type_hints(shown) == {
        "req": func.HttpRequest,
        "context": func.Context,
        "return": func.HttpResponse,
    }


async def test_annotations_that_are_texts(app, drive):
    define(app)
    driver = await drive(app)
    hints = typing.get_type_hints(driver.functions["deferred"].call)
    assert hints == {"req": func.HttpRequest, "return": func.HttpResponse}
    assert (await driver.request("GET", "deferred")).get_body() == b"TestHub"


def test_the_parameter_must_exist(app):
    with pytest.raises(TypeError, match=r"function 'go' has no parameter 'client', which durable_client_input"):

        @app.durable_client_input(client_name="client")
        async def go(req, starter): ...


def test_orchestrators_have_no_client(app):
    def order(context, client): ...

    trigger, client = app.orchestration_trigger("context"), app.durable_client_input("client")
    with pytest.raises(TypeError, match="orchestrator 'order' can't have a durable client"):
        client(trigger(order))
    with pytest.raises(TypeError, match="orchestrator 'order' can't have a durable client"):
        trigger(client(order))


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
async def test_activities_may_have_one(app, drive, above, is_async):
    def hub_of(value, client=None):
        return f"{value} {client.task_hub_name}"

    async def hub_of_async(value, client=None):
        return f"{value} {client.task_hub_name}"

    trigger, client = app.activity_trigger("value", "hub_of"), app.durable_client_input("client")
    function = hub_of_async if is_async else hub_of
    _ = client(trigger(function)) if above else trigger(client(function))

    @app.orchestration_trigger("context")
    def ask(context):
        return (yield context.call_activity("hub_of", "it is"))

    driver = await drive(app)
    response = await driver.request("POST", "durabletask/orchestrators/ask?timeout=10")
    assert content(response) == "it is TestHub"


async def test_blueprints_share_the_apps_client(app, drive):
    blueprint = df.Blueprint()

    @blueprint.route("go")
    @blueprint.durable_client_input(client_name="client")
    async def go(req: func.HttpRequest, client) -> func.HttpResponse:
        return func.HttpResponse(client.task_hub_name)

    with pytest.raises(PerdureError, match="this function's blueprint is not registered in an app"):
        await blueprint._function_builders[0]._function.get_user_function()(req=None)
    app.register_functions(blueprint)
    assert (await (await drive(app)).request("GET", "go")).get_body() == b"TestHub"


# ---- other hubs --------------------------------------------------------------------------------------------------


async def test_a_client_of_another_hub(app, drive, app_folder, monkeypatch):
    """What it starts is carried by the other app; this one's worker and registry have no part in it."""
    write_host_json(app_folder, hubName="OtherHub")
    other = df.DFApp()

    @other.orchestration_trigger("context")
    def elsewhere(context):
        return (yield context.wait_for_external_event("go"))

    await drive(other)
    write_host_json(app_folder, hubName="TestHub")
    monkeypatch.setenv("OtherStore", f"sqlite:///{app_folder.as_posix().lstrip('/')}/store.db")

    @app.route("go")
    @app.durable_client_input(client_name="client", task_hub="OtherHub", connection_name="OtherStore")
    async def go(req: func.HttpRequest, client) -> func.HttpResponse:
        return client.create_check_status_response(req, await client.start_new("elsewhere", "one"))

    @app.route("raise")
    @app.durable_client_input(client_name="client")
    async def send(req: func.HttpRequest, client) -> func.HttpResponse:
        await client.raise_event("one", "go", 7, "OtherHub", connection_name="OtherStore")
        return func.HttpResponse("")

    driver = await drive(app)
    url = content(await driver.request("POST", "go"))["statusQueryGetUri"]
    assert url.endswith("?taskHub=OtherHub&connection=OtherStore")
    await driver.request("POST", "raise")
    assert (await driver.ended(url))["output"] == 7
    assert (await driver.request("GET", "durabletask/instances/one")).status_code == 404


async def test_a_hub_with_fewer_control_queues_gets_all_messages_from_an_app_with_more(
    app, drive, app_folder, monkeypatch
):
    """Nobody serves a queue of another hub that only this app's settings speak of."""
    write_host_json(app_folder, hubName="OtherHub")
    other = df.DFApp()

    @other.orchestration_trigger("context")
    def elsewhere(context):
        return context.get_input()

    await drive(other)
    write_host_json(app_folder, hubName="TestHub", storageProvider={"controlQueueCount": 16})
    monkeypatch.setenv("OtherStore", f"sqlite:///{app_folder.as_posix().lstrip('/')}/store.db")

    @app.route("go")
    @app.durable_client_input(client_name="client", task_hub="OtherHub", connection_name="OtherStore")
    async def go(req: func.HttpRequest, client) -> func.HttpResponse:
        started = [await client.start_new("elsewhere", client_input=number) for number in range(5)]
        wait = client.wait_for_completion_or_create_check_status_response
        ended = [await wait(req, each, 10_000) for each in started]
        return func.HttpResponse(" ".join(each.get_body().decode() for each in ended))

    driver = await drive(app)
    response = await driver.request("POST", "go")
    assert response.get_body().decode() == "0 1 2 3 4"


async def test_the_management_api_manages_no_other_hub(app, drive):
    driver = await drive(app)
    response = await driver.request("GET", "durabletask/instances/one?taskHub=Strange")
    assert (response.status_code, content(response)) == (
        400,
        {"message": "this app does not manage task hub 'Strange'"},
    )
    response = await driver.request("GET", "durabletask/instances/one?connection=Elsewhere")
    assert content(response)["message"] == "this app does not manage task hub 'TestHub' at connection 'Elsewhere'"
    assert (await driver.request("GET", "durabletask/instances/one?taskHub=TestHub")).status_code == 404
