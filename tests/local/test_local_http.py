"""HTTP-triggered functions and /admin, through the ASGI application."""

import asyncio
import logging
import threading
from contextlib import asynccontextmanager

import azure.functions as func
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from perdure.local import http_triggers
from perdure.local.admin import host_application
from perdure.local.catalog import read_functions
from perdure.local.errors import HostError
from perdure.local.host import FunctionsHost
from perdure.local.options import HostOptions
from perdure.local.settings import HostJson, LocalHostOptions
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_queues

STORE = "AzureWebJobsStorage"


def environ(tmp_path):
    return {STORE: f"sqlite:///{(tmp_path / 'store.db').as_posix().lstrip('/')}"}


def new_host(app, tmp_path, *, host_json=None, settings=None):
    settings = {**environ(tmp_path), **(settings or {})}
    functions = read_functions(app, tmp_path, settings)
    options = HostOptions(app_dir=tmp_path, drain_timeout=2)
    return FunctionsHost(app, functions, HostJson.model_validate(host_json or {}), options, settings), functions


@asynccontextmanager
async def serving(app, tmp_path, *, cors="", **kwargs):
    host, functions = new_host(app, tmp_path, **kwargs)
    application = host_application(host, functions, "1.2.3", LocalHostOptions(CORS=cors))
    transport = httpx.ASGITransport(application)
    try:
        await host.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7071") as client:
            client.host = host
            yield client
        await host.stop()
    finally:
        await host.close()


def echo_app(route="echo/{id?}", **kwargs):
    app = func.FunctionApp()

    @app.route(route=route, **kwargs)
    def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        parts = {
            "method": req.method,
            "url": req.url,
            "agent": req.headers.get("User-Agent"),
            "params": dict(req.params),
            "route": dict(req.route_params),
            "body": req.get_body().decode(),
            "function": context.function_name,
            "thread": threading.current_thread().name,
            "trace": context.trace_context.trace_parent,
            "retries": context.retry_context.retry_count,
        }
        return func.HttpResponse(repr(parts), status_code=201)

    return app


async def parts_of(response):
    assert response.status_code == 201, response.text
    return eval(response.text)  # noqa: S307 - our own repr


async def test_a_request_arrives_whole(tmp_path):
    async with serving(echo_app(), tmp_path) as client:
        url = "/api/ECHO/a%2Fb%20%C3%A4?x=1&x=2&y=%26&empty="
        headers = {"User-Agent": "me", "traceparent": "00-abc-def-01"}
        parts = await parts_of(await client.post(url, content=b"hello", headers=headers))
    assert parts == {
        "method": "POST",
        "url": "http://localhost:7071" + url,
        "agent": "me",
        "params": {"x": "1,2", "y": "&"},
        "route": {"id": "a/b ä"},
        "body": "hello",
        "function": "echo",
        "thread": parts["thread"],
        "trace": "00-abc-def-01",
        "retries": 0,
    }
    assert parts["thread"].startswith("function")


async def test_methods(tmp_path):
    async with serving(echo_app(methods=["GET", "POST"]), tmp_path) as client:
        assert (await client.get("/api/echo")).status_code == 201
        assert (await client.head("/api/echo")).status_code == 201
        refused = await client.put("/api/echo")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
        options = await client.options("/api/echo")
        assert (options.status_code, options.headers["allow"]) == (204, "GET, POST")
        assert (await client.get("/api/nothing")).status_code == 404
        assert (await client.get("/echo")).status_code == 404


async def test_a_function_without_methods_takes_them_all(tmp_path):
    async with serving(echo_app(), tmp_path) as client:
        for method in ("GET", "PATCH", "OPTIONS", "QUERY"):
            assert (await parts_of(await client.request(method, "/api/echo")))["method"] == method


async def test_a_literal_route_wins_over_a_parameter_and_methods_decide_between_equals(tmp_path):
    app = func.FunctionApp()

    def answering(text):
        def answer(req) -> str:
            return text

        return answer

    for number, (route, methods) in enumerate(
        [("a/{*rest}", None), ("a/{id}", None), ("a/{id:int}", None), ("a/me", ["POST"]), ("a/me", ["PUT"])]
    ):
        app.function_name(f"f{number}")(app.route(route=route, methods=methods)(answering(f"{route} {methods}")))
    async with serving(app, tmp_path) as client:
        assert (await client.get("/api/a/1")).text == "a/{id:int} None"
        assert (await client.get("/api/a/x")).text == "a/{id} None"
        assert (await client.get("/api/a/x/y")).text == "a/{*rest} None"
        assert (await client.post("/api/a/me")).text == "a/me ['POST']"
        assert (await client.put("/api/a/ME")).text == "a/me ['PUT']"
        assert (await client.get("/api/a/me")).text == "a/{id} None"


async def test_two_functions_with_one_route_are_worth_a_warning(tmp_path, caplog):
    app = func.FunctionApp()
    for name, route, methods in [("a", "x/{id}", ["GET"]), ("b", "X/{key}", None), ("c", "x/{id:int}", None)]:

        @app.function_name(name)
        @app.route(route=route, methods=methods)
        def answer(req, context) -> str:
            return context.function_name

    async with serving(app, tmp_path) as client:
        assert (await client.get("/api/x/y")).text == "a"
        assert (await client.post("/api/x/y")).text == "b"
        assert (await client.get("/api/x/1")).text == "c"
    warnings = [record.getMessage() for record in caplog.records if "same route" in record.getMessage()]
    assert warnings == [
        "Functions a and b have the same route X/{key}: the second gets no request that the first takes."
    ]


@pytest.mark.parametrize(("prefix", "path"), [("", "/echo/1"), ("v1/x", "/V1/x/echo/1")])
async def test_the_route_prefix_is_a_setting(tmp_path, prefix, path):
    host_json = {"extensions": {"http": {"routePrefix": prefix}}}
    async with serving(echo_app(), tmp_path, host_json=host_json) as client:
        assert (await parts_of(await client.get(path)))["route"] == {"id": "1"}


async def test_the_webhook_address_of_durable_functions_is_an_alias(tmp_path):
    async with serving(echo_app("durabletask/instances/{id}"), tmp_path) as client:
        address = "/runtime/webhooks/durabletask/instances/a%2Fb"
        parts = await parts_of(await client.get(address))
        assert parts["route"] == {"id": "a/b"}
        assert parts["url"] == f"http://localhost:7071{address}"
        assert (await client.get("/api/durabletask/instances/a%2Fb")).status_code == 201
        assert (await client.get("/runtime/webhooks/other")).status_code == 404


async def test_settings_in_routes_are_resolved(tmp_path):
    async with serving(echo_app("%WHERE%/x"), tmp_path, settings={"WHERE": "there"}) as client:
        assert (await client.get("/api/there/x")).status_code == 201


def returning(value, *, is_async=False):
    app = func.FunctionApp()

    if is_async:

        @app.route(route="f")
        async def f(req):
            return value

    else:

        @app.route(route="f")
        def f(req):
            return value

    return app


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_text_is_a_response(tmp_path, is_async):
    async with serving(returning("hällo", is_async=is_async), tmp_path) as client:
        response = await client.get("/api/f")
    assert (response.status_code, response.text) == (200, "hällo")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_none_is_no_content_and_a_warning(tmp_path, caplog):
    async with serving(returning(None), tmp_path) as client:
        response = await client.get("/api/f")
    assert (response.status_code, response.content) == (204, b"")
    assert "Azure answers 500" in caplog.text


async def test_headers_and_bytes_are_kept(tmp_path):
    response = func.HttpResponse(bytes(range(256)), status_code=418, headers={"X-A": "b", "Content-Type": "a/b"})
    async with serving(returning(response), tmp_path) as client:
        answer = await client.get("/api/f")
    assert (answer.status_code, answer.content, answer.headers["x-a"]) == (418, bytes(range(256)), "b")
    assert answer.headers["content-type"] == "a/b"
    assert answer.headers["content-length"] == "256"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"a": 1}, "the http output can't take a value of type dict"),
        (func.HttpResponse("", headers={"x": "漢"}), "UnicodeEncodeError"),
    ],
    ids=["dict", "header"],
)
async def test_what_can_not_be_sent_is_a_failure_with_an_empty_answer(tmp_path, caplog, value, complaint):
    async with serving(returning(value), tmp_path) as client:
        response = await client.get("/api/f")
    assert (response.status_code, response.content) == (500, b"")
    assert complaint in caplog.text


async def test_an_error_is_answered_with_an_empty_500_and_logged_without_our_frames(tmp_path, caplog):
    app = func.FunctionApp()

    @app.route(route="f")
    def broken(req):
        raise KeyError("nope")

    with caplog.at_level(logging.INFO):
        async with serving(app, tmp_path) as client:
            response = await client.get("/api/f")
    assert (response.status_code, response.content) == (500, b"")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Executed 'Functions.broken' (Failed, Id=" in record.getMessage()
    assert "KeyError: 'nope'" in record.getMessage()
    assert "invocation.py" not in record.getMessage()


async def test_a_run_is_logged_like_the_functions_host_does(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        async with serving(returning("x"), tmp_path) as client:
            await client.get("/api/f")
    begun, ended = [record.getMessage() for record in caplog.records if "Functions.f" in record.getMessage()]
    reason = "This function was programmatically called via the host APIs."
    assert begun.startswith(f"Executing 'Functions.f' (Reason='{reason}', Id=")
    assert ended.startswith("Executed 'Functions.f' (Succeeded, Id=")
    assert ended.endswith("ms)")


async def test_internal_functions_run_quietly(tmp_path, caplog):
    app = returning("x")
    app.internal_functions = frozenset({"f"})
    with caplog.at_level(logging.INFO):
        async with serving(app, tmp_path) as client:
            assert (await client.get("/api/f")).text == "x"
    assert "Functions.f" not in caplog.text


async def test_large_bodies_pass_up_to_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(http_triggers, "MAX_BODY_BYTES", 3_000_000)
    app = func.FunctionApp()

    @app.route(route="size")
    def size(req: func.HttpRequest) -> str:
        return str(len(req.get_body()))

    async with serving(app, tmp_path) as client:
        assert (await client.post("/api/size", content=b"x" * 3_000_000)).text == "3000000"
        assert (await client.post("/api/size", content=b"x" * 3_000_001)).status_code == 413


async def test_many_requests_run_at_once(tmp_path):
    app = func.FunctionApp()
    meeting = asyncio.Barrier(20)

    @app.route(route="meet")
    async def meet(req) -> str:
        async with asyncio.timeout(30):
            await meeting.wait()
        return "met"

    async with serving(app, tmp_path) as client:
        responses = await asyncio.gather(*(client.get("/api/meet") for _ in range(20)))
    assert {response.text for response in responses} == {"met"}


async def test_outputs_of_a_function(tmp_path):
    app = func.FunctionApp()

    @app.route(route="order", binding_arg_name="answer")
    @app.queue_output(arg_name="orders", queue_name="%ORDERS%", connection=STORE)
    def order(req: func.HttpRequest, answer: func.Out[func.HttpResponse], orders: func.Out[list[str]]) -> None:
        orders.set(["a", "b"])
        answer.set(func.HttpResponse("taken", status_code=202))

    async with serving(app, tmp_path, settings={"ORDERS": "My-Orders"}) as client:
        response = await client.post("/api/order")
        assert (response.status_code, response.text) == (202, "taken")
        queues = open_queues(resolve_connection(STORE, environ(tmp_path)))
        messages = await queues.receive("my-orders", count=10, invisibility=30)
        await queues.close()
    assert [message.body for message in messages] == ["a", "b"]


async def test_a_value_without_a_return_binding_is_a_failure(tmp_path, caplog):
    app = func.FunctionApp()

    @app.route(route="f", binding_arg_name="answer")
    def f(req, answer: func.Out[str]):
        return "x"

    async with serving(app, tmp_path) as client:
        assert (await client.get("/api/f")).status_code == 500
    assert "has no $return binding but returned str" in caplog.text


async def test_an_asgi_app_can_be_the_function_app(tmp_path):
    async def answer(request):
        return PlainTextResponse(f"asgi {request.url.path}")

    asgi = Starlette(routes=[Route("/", answer), Route("/any/{rest:path}", answer)])
    app = func.AsgiFunctionApp(asgi, http_auth_level=func.AuthLevel.ANONYMOUS)
    async with serving(app, tmp_path, host_json={"extensions": {"http": {"routePrefix": ""}}}) as client:
        assert (await client.get("/any/where")).text == "asgi /any/where"
        assert (await client.get("/")).text == "asgi /"
    app.startup_task_done = False  # else the library starts an event loop of its own when the app is collected


async def test_functions_on_starlette_types_stream(tmp_path):
    app = func.FunctionApp()

    @app.route(route="stream/{id}")
    async def stream(req: Request) -> StreamingResponse:
        body = await req.body()

        async def chunks():
            yield req.path_params["id"]
            yield body.decode()

        return StreamingResponse(chunks())

    async with serving(app, tmp_path) as client:
        assert (await client.post("/api/stream/7", content=b"-body")).text == "7-body"


async def test_cors_of_the_local_settings(tmp_path):
    origin = {"Origin": "http://example.com"}
    async with serving(returning("x"), tmp_path, cors="http://example.com") as client:
        response = await client.get("/api/f", headers=origin)
        assert response.headers["access-control-allow-origin"] == "http://example.com"
    async with serving(returning("x"), tmp_path) as client:
        assert "access-control-allow-origin" not in (await client.get("/api/f", headers=origin)).headers


async def test_a_request_that_runs_too_long_is_given_up_when_the_host_stops(tmp_path, caplog):
    app = func.FunctionApp()
    begun = asyncio.Event()

    @app.route(route="slow")
    async def slow(req) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    async with serving(app, tmp_path) as client:
        request = asyncio.create_task(client.get("/api/slow"))
        await begun.wait()
        await client.host.stop()
        assert (await request).status_code == 500
    assert "Giving up what still runs after 2 s (1)." in caplog.text


async def test_the_apps_hooks_frame_the_run(tmp_path):
    heard = []

    class App(func.FunctionApp):
        async def on_host_start(self):
            heard.append("start")

        async def on_host_drain(self):
            heard.append("drain")
            release.set()

        async def on_host_stop(self):
            heard.append("stop")

    app = App()
    release = asyncio.Event()

    @app.route(route="wait")
    async def wait(req) -> str:
        heard.append("running")
        await release.wait()
        heard.append("done")
        return "x"

    async with serving(app, tmp_path) as client:
        request = asyncio.create_task(client.get("/api/wait"))
        while "running" not in heard:
            await asyncio.sleep(0)
        await client.host.stop()
        await request
        assert heard == ["start", "running", "drain", "done", "stop"]


async def test_a_failing_start_hook_stops_the_start(tmp_path):
    class App(func.FunctionApp):
        async def on_host_start(self):
            raise ValueError("no hub")

    with pytest.raises(HostError, match="on_host_start failed: ValueError: no hub"):
        async with serving(App(), tmp_path):
            pass


async def test_admin_lists_and_describes_functions(tmp_path):
    async with serving(echo_app(), tmp_path) as client:
        status = (await client.get("/admin/host/status")).json()
        assert (status["state"], status["version"]) == ("Running", "1.2.3")
        [listed] = (await client.get("/admin/functions")).json()
        one = (await client.get("/admin/functions/ECHO")).json()
        assert listed == one
        assert one["name"] == "echo"
        assert one["href"] == "http://localhost:7071/admin/functions/echo"
        trigger = next(binding for binding in one["config"]["bindings"] if binding["type"] == "httpTrigger")
        assert (trigger["route"], trigger["direction"]) == ("echo/{id?}", "in")
        assert (await client.get("/admin/functions/other")).status_code == 404
        assert (await client.get("/admin/host/ping")).status_code == 200
        assert "up and running" in (await client.get("/")).text


async def test_admin_runs_functions_by_hand(tmp_path):
    app = func.FunctionApp()
    ran = asyncio.Queue()

    @app.queue_trigger(arg_name="msg", queue_name="q-1", connection=STORE)
    async def work(msg: func.QueueMessage):
        await ran.put(("work", msg.get_body().decode()))

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    async def yearly(timer: func.TimerRequest):
        await ran.put(("yearly", timer.past_due))

    @app.route(route="http")
    async def http(req) -> str:
        return ""

    @app.blob_trigger(arg_name="blob", path="a/b", connection=STORE)
    async def blob(blob): ...

    async with serving(app, tmp_path) as client, asyncio.timeout(30):
        assert (await client.post("/admin/functions/work", json={"input": "hi"})).status_code == 202
        assert await ran.get() == ("work", "hi")
        assert (await client.post("/admin/functions/work", json={"input": {"a": 1}})).status_code == 202
        assert await ran.get() == ("work", '{"a": 1}')
        assert (await client.post("/admin/functions/yearly")).status_code == 202
        assert await ran.get() == ("yearly", False)
        assert (await client.post("/admin/functions/http", json={"input": ""})).status_code == 400
        assert (await client.post("/admin/functions/blob", json={"input": ""})).status_code == 400
        assert (await client.post("/admin/functions/work", content=b"{")).status_code == 400
        assert (await client.post("/admin/functions/work", content=b"[]")).status_code == 400
        assert (await client.post("/admin/functions/other", json={"input": ""})).status_code == 404


async def test_a_warm_up_function_runs_once_at_start(tmp_path):
    app = func.FunctionApp()
    ran = asyncio.Queue()

    @app.warm_up_trigger("warm")
    async def warmed(warm):
        await ran.put(type(warm).__name__)

    async with serving(app, tmp_path), asyncio.timeout(30):
        assert await ran.get() == "WarmUpContext"
    assert ran.empty()


def with_binding(decorate):
    app = func.FunctionApp()

    def f(req, extra): ...

    decorate(app)(app.route(route="f")(f))
    return app


def queue_named(name, connection=STORE):
    return with_binding(lambda app: app.queue_output(arg_name="extra", queue_name=name, connection=connection))


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        (echo_app("Admin/x"), "begins with admin or runtime"),
        (echo_app("runtimes"), "begins with admin or runtime"),
        (echo_app("a/{b"), "route 'a/{b' of function echo can't be read: a { has no partner"),
        (echo_app("%NOPE%/x"), "there is no setting NOPE"),
        (
            with_binding(lambda app: app.blob_input(arg_name="extra", path="a/b", connection=STORE)),
            "input binding extra of type blob, which this host does not serve",
        ),
        (
            with_binding(lambda app: app.blob_output(arg_name="extra", path="a/b", connection=STORE)),
            "output binding extra of type blob",
        ),
        (queue_named("A_B"), "'a_b' is no queue name"),
        (queue_named("abc", "Elsewhere"), "The connection 'Elsewhere' is not set"),
    ],
    ids=["admin", "runtime", "route", "setting", "input", "output", "queue", "connection"],
)
def test_what_can_not_be_served_is_told_at_the_start(tmp_path, app, complaint):
    with pytest.raises(HostError, match=complaint) as raised:
        new_host(app, tmp_path)
    assert "\n" not in str(raised.value)


def test_without_storage_the_embedded_one_is_suggested(tmp_path):
    app = queue_named("abc")
    with pytest.raises(HostError, match="run `perdure start --storage embedded`"):
        FunctionsHost(app, read_functions(app, tmp_path, {}), HostJson(), HostOptions(app_dir=tmp_path), {})


async def test_a_path_may_hold_a_line_break(tmp_path):
    async with serving(echo_app(), tmp_path) as client:
        response = await client.get("/api/echo/a%0Ab")
    assert response.status_code == 201
    assert "'route': {'id': 'a\\nb'}" in response.text
