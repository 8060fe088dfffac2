"""Durable HTTP against real servers of this machine: one exchange, and whole orchestrations over every provider."""

from __future__ import annotations

import base64
from datetime import timedelta
from types import SimpleNamespace

import pytest

from perdure.core.http_calls import HTTP_ACTIVITY, ManagedIdentityTokenSource, http_request
from perdure.durable_http import HttpCallError, HttpExchange, HttpStatusError, exchange
from perdure.engine.registry import ActivityContext, current_activity
from tests.durable_http.server import Server


class Credential:
    def __init__(self):
        self.scopes = []

    async def get_token(self, *scopes):
        self.scopes += scopes
        return SimpleNamespace(token="secret-token")  # noqa: S106 - it opens nothing


@pytest.fixture
async def server():
    server, other = Server(), Server()
    await server.start()
    await other.start()
    server.other = other.url
    server.away = other
    yield server
    await server.stop()
    await other.stop()


@pytest.fixture(autouse=True)
def activity():
    token = current_activity.set(ActivityContext("one", "x.0", 3, HTTP_ACTIVITY))
    yield
    current_activity.reset(token)


def request(server, method, path, content=None, headers=None, *, source=None, **more):
    options = {"is_raw_str": False, "timeout": more.pop("timeout", exchange_timeout()), "retries": False} | more
    return http_request(method, f"{server.url}/{path}", content, headers, source, **options)


def exchange_timeout(seconds=10.0):
    return timedelta(seconds=seconds)


async def call(*args, **more):
    return await HttpExchange(Credential).run(request(*args, **more))


async def test_a_body_and_its_answer(server):
    answer = await call(server, "POST", "echo?code=secret", {"a": "ü"}, {"X-Mine": "1"})
    assert answer["statusCode"] == 200
    assert answer["content"] == '{"body": "{\\"a\\": \\"\\\\u00fc\\"}", "method": "POST"}'
    [(method, _, headers, body)] = server.asked
    assert (method, body, headers["X-Mine"], headers["Content-Type"]) == (
        "POST",
        '{"a": "\\u00fc"}',
        "1",
        "application/json",
    )


async def test_what_is_not_idempotent_carries_the_steps_key(server):
    await call(server, "POST", "echo")
    await call(server, "POST", "echo", headers={"idempotency-key": "mine"})
    await call(server, "GET", "echo")
    keys = [{name.lower(): value for name, value in asked[2].items()}.get("idempotency-key") for asked in server.asked]
    assert keys == ["one/x.0/3", "mine", None]


@pytest.mark.parametrize("status", [200, 204, 404, 500, 503])
async def test_every_status_is_an_answer(server, status):
    assert (await call(server, "GET", f"status/{status}"))["statusCode"] == status


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_statuses_that_pass_are_failures_of_calls_that_are_retried(server, status):
    with pytest.raises(HttpStatusError, match=f"GET {server.url}/status/{status} was answered with {status}") as caught:
        await call(server, "GET", f"status/{status}?code=secret", retries=True)
    assert caught.value.status_code == status
    assert "secret" not in str(caught.value)
    assert (await call(server, "GET", "status/404", retries=True))["statusCode"] == 404


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT"),
        (302, "GET", "GET"), (301, "HEAD", "HEAD"),
    ],
)  # fmt: skip
async def test_redirects(server, status, method, then):
    body = None if method in ("GET", "HEAD") else {"a": 1}
    answer = await call(server, method, f"redirect/{status}", body, {"Authorization": "mine"})
    assert answer["statusCode"] == 200
    second = server.asked[1]
    assert (second[0], second[1], second[2]["Authorization"]) == (then, "echo", "mine")
    assert second[3] == ('{"a": 1}' if then == method and body else "")


async def test_credentials_do_not_follow_to_another_origin(server):
    headers = {"Authorization": "mine", "Cookie": "c=1", "x-functions-key": "k", "Accept": "text/plain"}
    await call(server, "GET", "away", None, headers)
    [(_, _, got, _)] = server.away.asked
    assert "Authorization" in server.asked[0][2]
    assert not {"authorization", "cookie", "x-functions-key"} & {name.lower() for name in got}
    assert got["Accept"] == "text/plain"


async def test_tokens_are_got_when_they_are_needed_and_stay_with_their_origin(server):
    credential = Credential()
    calls = HttpExchange(lambda: credential)
    source = ManagedIdentityTokenSource("https://r.example")
    await calls.run(request(server, "GET", "echo", source=source))
    await calls.run(request(server, "GET", "away", source=source))
    assert server.asked[0][2]["Authorization"] == "Bearer secret-token"
    assert "Authorization" not in server.away.asked[0][2]
    assert credential.scopes == ["https://r.example/.default"] * 2


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("loop", "more than 10 redirects"),
        ("nowhere", "redirects to what is no address: 'mailto:you@example'"),
        ("cut", "ClientPayloadError"),
        ("slow", "no answer within 0.2 s"),
        ("large", "the answer has more than 1,000 bytes"),
    ],
)
async def test_no_answer(server, path, told, monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 1_000)
    with pytest.raises(HttpCallError) as caught:
        await call(server, "GET", f"{path}?code=secret", timeout=exchange_timeout(0.2))
    assert told in str(caught.value)
    assert f"GET {server.url}/{path}" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_nobody_listens(server):
    await server.away.stop()
    with pytest.raises(HttpCallError, match="ClientConnectorError"):
        await call(server.away, "GET", "echo")


async def test_content_that_is_no_text(server):
    answer = await call(server, "GET", "binary")
    assert (answer["contentEncoding"], base64.b64decode(answer["content"])) == ("base64", b"\xff\x00")
    assert (await call(server, "GET", "latin"))["content"] == "ü"
    assert (await call(server, "GET", "twice"))["headers"]["X-Two"] == "a, b"
