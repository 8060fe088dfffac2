"""The management API and hostile requests: 4xx with a message that names what is wrong, and nothing left in the hub."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from contextlib import closing
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import perdure_functions as df
from tests.functions.conftest import app_folder, drive  # noqa: F401 - fixtures
from tests.functions.driving import content
from tests.hostile.inputs import INJECTIONS, PATHS
from tests.local.running_host import RunningHost, write_app

SETTING = "AzureWebJobsStorage"
DEEP = b"[" * 1_000_000
BODIES = {
    "deep": DEEP,
    "deep and complete": b"[" * 600 + b"]" * 600,
    "deep objects": b'{"a":' * 100_000,
    "NaN": b"NaN",
    "infinity": b'{"a":-Infinity}',
    "a number beyond floats": b"[1e999]",
    "thousands of digits": b"9" * 5_000,
    "no UTF-8": b'"\xff\xfe"',
    "NUL": b"\x00",
    "half": b'{"a":',
    "two": b"{}{}",
}
QUERIES = {
    "orchestrators/echo/one": ["version=" + "v" * 101, "timeout=NaN", "timeout=-1", "timeout=1e99", "timeout=x"],
    "instances": [
        *("top=0", "top=1001", "top=x", "top=1e3", "top=" + "9" * 5_000, "instanceIdPrefix=" + "x" * 257),
        *("createdTimeFrom=yesterday", "createdTimeTo=9999-12-31T23:59:59-05:00", "runtimeStatus=Running'", "tags=a"),
        *("tags=" + "a" * 1_001 + "=b", "showInput=perhaps", "taskHub=Other", "taskHub=' or true", "connection=Other"),
    ],
    "instances/one": ["showHistory=x", "taskHub=../x", "returnInternalServerErrorOnFailure=%00"],
    "entities": ["top=0", "lastOperationTimeFrom=x", "fetchState=x", "taskHub=Other"],
    "entities/note": ["keyPrefix=" + "x" * 257, "top=-1"],
}
TOKENS = ["x", "x.y", ".", "\u00e9", "=" * 100, "0" * 100_000, "../..", *INJECTIONS[:3]]


@pytest.fixture
async def driver(drive):  # noqa: F811 - a fixture
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def echo(context):
        return context.get_input()

    @app.orchestration_trigger("context")
    def wait(context):
        return (yield context.wait_for_external_event("go"))

    @app.entity_trigger("context")
    def note(context):
        context.set_state(context.get_input())

    driver = await drive(app)
    await driver.request("POST", "durabletask/orchestrators/echo/first", 1)
    await driver.request("POST", "durabletask/orchestrators/wait/waits")
    await driver.ended("durabletask/instances/first")
    return driver


def hub_contents():
    """Return every row of the store's tables but those that only say when something is looked at next."""
    path = f"/{os.environ[SETTING].removeprefix('sqlite:///')}"
    with closing(sqlite3.connect(path)) as connection:
        tables = ["instances", "tail", "blobs", "messages"]
        columns = {"messages": "queue, message_id, body"}
        return [
            sorted(map(repr, connection.execute(f"SELECT {columns.get(table, '*')} FROM {table}")))  # noqa: S608
            for table in tables
        ]


@pytest.fixture
def untouched(driver):
    """Call it to check that the hub holds what it held at first."""
    held = []

    async def check(response, code=400):
        assert response.status_code == code, response.get_body()
        assert content(response)["message"]
        assert len(response.get_body()) < 12_000
        assert hub_contents() == held[0]

    async def begin():
        async with asyncio.timeout(30):
            while True:
                status = content(await driver.request("GET", "durabletask/instances/waits"))
                held[:] = [hub_contents()]
                if status["runtimeStatus"] == "Running" and not held[0][-1]:  # nor any message under way
                    return check
                await asyncio.sleep(0.01)

    return begin


@pytest.mark.parametrize("case", BODIES)
async def test_a_hostile_body(driver, untouched, case):
    check = await untouched()
    for target in ("orchestrators/echo/one", "instances/waits/raiseEvent/go", "entities/note/one?op=set"):
        await check(await driver.request("POST", f"durabletask/{target}", raw=BODIES[case]))


@pytest.mark.parametrize(("target", "query"), [(target, query) for target, each in QUERIES.items() for query in each])
async def test_a_hostile_query(driver, untouched, target, query):
    check = await untouched()
    method = "POST" if target.startswith("orchestrators") else "GET"
    await check(await driver.request(method, f"durabletask/{target}?{query}"))
    if target == "instances" and not query.startswith(("top", "showInput", "instanceIdPrefix")):
        await check(await driver.request("DELETE", f"durabletask/instances?{query}"))


@pytest.mark.parametrize("token", TOKENS)
async def test_a_hostile_continuation(driver, untouched, token):
    check = await untouched()
    for target in ("instances", "entities", "entities/note"):
        await check(await driver.request("GET", f"durabletask/{target}", x_ms_continuation_token=token))


@pytest.mark.parametrize("long", ["x" * 257, "\x00" * 257, "\u9f20" * 300])
async def test_what_is_too_long(driver, untouched, long):
    check, name = await untouched(), quote(long, safe="")
    for target in (
        f"orchestrators/echo/{name}",
        f"instances/{name}/raiseEvent/go",
        f"instances/{name}/terminate",
        f"entities/note/{name}?op=set",
        f"entities/{name}/one?op=set",
    ):
        await check(await driver.request("POST", f"durabletask/{target}"))
    await check(await driver.request("GET", f"durabletask/instances/{name}"))
    await check(await driver.request("DELETE", f"durabletask/instances/{name}"))
    await check(await driver.request("POST", f"durabletask/instances/waits/raiseEvent/{'e' * 1_001}"))
    await check(await driver.request("POST", f"durabletask/entities/note/one?op={'o' * 1_001}"))
    for command in ("terminate", "suspend", "resume"):
        await check(await driver.request("POST", f"durabletask/instances/waits/{command}?reason={'x' * 4_001}"))


@pytest.mark.parametrize("text", [*INJECTIONS, *PATHS])
async def test_paths_that_mean_something_elsewhere(driver, text):
    name = quote(text, safe="")
    response = await driver.request("POST", f"durabletask/orchestrators/echo/{name}", {"of": text})
    url = content(response)["statusQueryGetUri"]
    assert (response.status_code, content(response)["id"]) == (202, text)
    assert (await driver.ended(url))["output"] == {"of": text}
    listed = content(await driver.request("GET", f"durabletask/instances?instanceIdPrefix={name}"))
    assert [each["instanceId"] for each in listed] == [text]
    assert (await driver.request("POST", f"durabletask/orchestrators/{name}/one")).status_code == 400
    assert (await driver.request("POST", f"durabletask/instances/waits/{name}")).status_code == 404
    assert content(await driver.request("DELETE", f"durabletask/instances/{name}")) == {"instancesDeleted": 1}
    assert (await driver.request("GET", "durabletask/instances/first")).status_code == 200


HOSTS = [
    "evil.example/x?",
    "a b",
    "a\r\nSet-Cookie: x",
    "user:password@host",
    "",
    ",",
    "[::1",
    "h\u00f6st",
]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_forwarded_host_that_is_none_is_not_passed_on(driver, host):
    response = await driver.request("POST", "durabletask/orchestrators/echo", x_forwarded_host=host)
    assert response.status_code == 202
    assert response.headers["Location"].startswith("https://app.example/api/durabletask/instances/")
    response = await driver.request("POST", "durabletask/orchestrators/echo", x_forwarded_proto="javascript")
    assert response.headers["Location"].startswith("https://app.example/")


_texts = st.text(st.characters(codec="utf-8"), max_size=40)


_WORDS = ["orchestrators", "instances", "entities", "waits", "first", "terminate", "note", "echo", "raiseEvent"]
_paths = st.tuples(st.sampled_from(_WORDS[:3]), st.lists(st.sampled_from(_WORDS) | _texts, max_size=4))
_parameters = st.sampled_from(["top", "op", "reason", "version", "tags", "showHistory", "signalTime"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=_paths,
    query=st.dictionaries(_parameters, _texts, max_size=3),
    sent=st.tuples(st.binary(max_size=20) | st.just(DEEP), _texts),
)
async def test_no_request_makes_the_app_fail(driver, method, path, query, sent):
    target = "/".join(["durabletask", path[0], *(quote(part, safe="") for part in path[1] if part)])
    assume(driver.answers(method, f"https://app.example/api/{target}") is not None)
    body, token = sent
    response = await driver.request(method, f"{target}?{urlencode(query)}", raw=body, x_ms_continuation_token=token)
    assert response.status_code < 500, response.get_body()
    assert response.status_code < 400 or content(response)["message"]


APP = """
import perdure_functions as df

app = df.DFApp(http_auth_level="ANONYMOUS")

@app.orchestration_trigger("context")
def echo(context):
    return context.get_input()
"""
OK = b"GET /api/durabletask/instances HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
RAW = {
    "a large header": OK + b"X-Large: " + b"x" * 200_000 + b"\r\n\r\n",
    "many headers": OK + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
    "a long URL": b"GET /api/durabletask/instances/" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x00\xa5 hello\r\n\r\n",
    "NUL in a header": OK + b"X-Nul: a\x00b\r\n\r\n",
    "a header without a name": OK + b": y\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "a length and chunks": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "a length of nonsense": OK + b"Content-Length: 1e9\r\n\r\n",
    "a hostile host": b"GET /api/durabletask/instances HTTP/1.1\r\nHost: a b/../\r\nConnection: close\r\n\r\n",
    "half a character": b"GET /api/durabletask/instances/%ff%fe%80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "dots": b"GET /api/durabletask/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an absolute URL": OK.replace(b"GET ", b"GET http://evil.example") + b"\r\n",
}


def test_the_local_host_outlives_what_is_no_request(tmp_path):
    write_app(tmp_path, "")
    (tmp_path / "function_app.py").write_text(APP, encoding="utf-8")
    with RunningHost(tmp_path, "--storage", "embedded", "--no-reload", "--no-check") as host:
        host.wait_ready()
        address, _, port = host.url.removeprefix("http://").partition(":")
        for case, raw in RAW.items():
            answer = answer_to(address, int(port), raw)
            status = answer.split(b" ", 2)[1:2]
            assert not status or status[0][:1] in b"24", (case, answer[:200])
            assert b"evil.example" not in answer, case
            assert b"root:" not in answer, case
            assert host.request("/api/durabletask/instances") == (200, "[]"), case
        assert "Traceback" not in host.text


def answer_to(address: str, port: int, raw: bytes) -> bytes:
    """Send bytes; return what comes back until the connection ends. It may be nothing, or cut off while we write."""
    received = b""
    with closing(socket.create_connection((address, port), timeout=30)) as connection:
        try:
            connection.sendall(raw)
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionError:
            return received
    return received
