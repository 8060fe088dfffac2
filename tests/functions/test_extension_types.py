"""Apps that have imported the extension whose answers can be streamed: all their HTTP functions use its types."""

from __future__ import annotations

import inspect
import json
import sys
import types
import typing

import azure.functions as func
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

import perdure_functions as df
from tests.local.test_local_http import serving


def extension(*, imported=True):
    """What an app sees of azurefunctions.extensions.base, as the extension for FastAPI fills it."""
    labels = types.SimpleNamespace(STREAMING="streaming")
    responses = types.SimpleNamespace(
        get_standard_response_type=lambda: Response,
        get_response_type=lambda label: {"streaming": StreamingResponse}[label],
    )
    return types.SimpleNamespace(
        HttpV2FeatureChecker=types.SimpleNamespace(http_v2_enabled=lambda: imported),
        RequestTrackerMeta=types.SimpleNamespace(get_request_type=lambda: Request),
        ResponseTrackerMeta=responses,
        ResponseLabels=labels,
    )


@pytest.fixture
def with_extension(monkeypatch):
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.base", extension())


def talkative_app():
    app = df.DFApp(http_auth_level="ANONYMOUS")

    @app.orchestration_trigger("context")
    def talk(context):
        yield context.call_activity(say, 5)

    @app.activity_trigger("count")
    async def say(count):
        async with df.activity_context().stream("talk") as stream:
            for number in range(count):
                await stream.write(number)
                await stream.flush()
            await stream.finish("done")

    @app.route(route="talk/{id}", methods=["POST"])
    @app.durable_client_input(client_name="client")
    async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        await client.start_new("talk", req.route_params["id"])
        return client.create_check_status_response(req, req.route_params["id"])

    @app.route(route="echo/{id}")
    def echo(req: func.HttpRequest) -> func.HttpResponse:
        said = {"params": dict(req.params), "body": req.get_body().decode(), "id": req.route_params["id"]}
        return func.HttpResponse(json.dumps(said), status_code=201, headers={"X-One": "1"}, mimetype="application/json")

    @app.route(route="native")
    async def native(req: Request) -> StreamingResponse:
        return StreamingResponse(iter(["a", "b"]))

    return app


def test_an_app_without_the_extension_keeps_its_types(app_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.base", extension(imported=False))
    for function in talkative_app().get_functions():
        hints = typing.get_type_hints(function.get_user_function())
        assert hints.get("req") in (func.HttpRequest, Request, None)
        assert function.get_function_name() == "native" or hints.get("req") is not Request


def test_with_it_every_http_function_takes_the_extensions_request(app_folder, with_extension):
    for function in talkative_app().get_functions():
        if function.get_trigger().type == "httpTrigger":
            written = function.get_user_function()
            name = function.get_trigger().name
            assert typing.get_type_hints(written)[name] is Request
            assert list(inspect.signature(written).parameters) == [name]
            assert inspect.iscoroutinefunction(written)


async def test_functions_of_both_kinds_answer(app_folder, with_extension):
    async with serving(talkative_app(), app_folder) as client:
        response = await client.post("/api/echo/7?a=1&a=2&b=", content=b"body")
        assert (response.status_code, response.headers["x-one"]) == (201, "1")
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.json() == {"params": {"a": "1,2"}, "body": "body", "id": "7"}
        assert (await client.get("/api/native")).text == "ab"
        assert (await client.get("/api/durabletask/instances/nobody")).status_code == 404
        assert (await client.get("/api/durabletask/openapi.json")).json()["openapi"] == "3.1.0"


async def test_a_stream_goes_on_in_one_answer_until_it_ends(app_folder, with_extension):
    async with serving(talkative_app(), app_folder) as client:
        begun = await client.post("/api/talk/one")
        assert begun.status_code == 202
        assert begun.headers["location"].endswith("/instances/one")

        response = await client.get("/api/durabletask/instances/one/streams/talk")

        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        fields = [
            line.split(": ", 1) for line in response.text.splitlines() if line.startswith(("data", "event", "id"))
        ]
        assert [json.loads(value) for name, value in fields if name == "data"] == [
            *range(5),
            {"status": "completed", "result": "done"},
        ]
        last = [value for name, value in fields if name == "id"][-1]
        stopped = await client.get("/api/durabletask/instances/one/streams/talk", headers={"Last-Event-ID": last})
        assert stopped.status_code == 204
