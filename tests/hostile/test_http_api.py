"""The management API and hostile requests: 4xx with a message that names what is wrong, and nothing left in the hub."""

from __future__ import annotations

import asyncio
import gzip
import os
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
    "half a character, raw": b'"\xed\xa0\x80"',
    "UTF-16": '"x"'.encode("utf-16"),
    "UTF-32": '"x"'.encode("utf-32"),
    "a key twice": b'{"a":{"b":1,"c":2,"b":3}}',
    "compressed": gzip.compress(b"1"),
    "a form": b"a=1&b=2",
    "XML": b"<?xml version='1.0'?><a/>",
}
QUERIES = {
    "orchestrators/echo/one": [
        "version=1&version=2",
        "version=" + "v" * 101,
        "timeout=NaN",
        "timeout=-1",
        "timeout=1e99",
        "timeout=x",
    ],
    "instances": [
        *("top=0", "top=1001", "top=x", "top=1e3", "top=" + "9" * 5_000, "instanceIdPrefix=" + "x" * 257),
        *("createdTimeFrom=yesterday", "createdTimeTo=9999-12-31T23:59:59-05:00", "runtimeStatus=Running'", "tags=a"),
        *(
            "top=1&top=2",
            "top=1&tOP=2",
            "top=-1",
            "top=%00",
            "top=" + "1," * 20_000,
            "instanceIdPrefix=" + "x" * 100_000,
        ),
        *(
            "instanceIdPrefix=a&instanceidprefix=a",
            "instanceIdPrefix=%",
            "instanceIdPrefix=%zz",
            "instanceIdPrefix=%ff",
        ),
        *("taskHub=TestHub&taskHub=TestHub", "createdTimeFrom=2026-02-30", "createdTimeFrom=NaN", "tags=%ed%a0%80=x"),
        *("x=%4", "createdTimeTo=0001-01-01T00:00:00%2b14:00", "runtimeStatus=%c0%af"),
        *("tags=" + "a" * 1_001 + "=b", "showInput=perhaps", "taskHub=Other", "taskHub=' or true", "connection=Other"),
    ],
    "instances/%ff": [""],
    "instances/%C0%AF": [""],
    "instances/%zz": [""],
    "orchestrators/echo/%ff": [""],
    "orchestrators/echo/50%": [""],
    "entities/note/%ed%a0%80": [""],
    "entities/%80": [""],
    "instances/one": ["showHistory=x", "taskHub=../x", "returnInternalServerErrorOnFailure=%00"],
    "entities": ["top=0", "lastOperationTimeFrom=x", "fetchState=x", "taskHub=Other"],
    "entities/note/one": ["taskHub=%F0%9F"],
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
        for content_type in ("application/json", "text/xml; charset=utf-16", "multipart/form-data"):
            sent = {"raw": BODIES[case], "content_type": content_type}
            await check(await driver.request("POST", f"durabletask/{target}", **sent))


@pytest.mark.parametrize("text", ["\ud800", "\udfff\ud800", "\x00"])
async def test_half_a_character_that_is_escaped_is_data(driver, text):
    response = await driver.request("POST", "durabletask/orchestrators/echo", {text: [text]})
    assert (await driver.ended(content(response)["statusQueryGetUri"]))["output"] == {text: [text]}


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
