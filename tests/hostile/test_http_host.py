"""The local host and what arrives at its port: every answer is a clear one, nothing is begun, and it goes on."""

from __future__ import annotations

import json
import socket
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.running_host import RunningHost

APP = """
import azure.functions as func
import perdure_functions as df

app = df.DFApp(http_auth_level="ANONYMOUS")

@app.orchestration_trigger("context")
def echo(context):
    return context.get_input()

@app.entity_trigger("context")
def note(context):
    context.set_state(context.get_input())

@app.queue_trigger("msg", "jobs", "AzureWebJobsStorage")
def job(msg: str):
    pass
"""
LIST = "/api/durabletask/instances"
START = "/api/durabletask/orchestrators/echo"
KIB = 1024


def request(method, target, *headers, body=None, host="localhost", version="1.1"):
    """Return the bytes of a request; it says how long its body is, unless a header of it does."""
    given = [header if isinstance(header, bytes) else header.encode() for header in headers]
    if body is not None and not any(header.lower().startswith((b"content-l", b"transfer")) for header in given):
        given.append(b"Content-Length: %d" % len(body))
    target = target if isinstance(target, bytes) else target.encode()
    lines = [b"%s %s HTTP/%s" % (method.encode(), target, version.encode()), b"Connection: close", *given]
    return b"\r\n".join([*lines, *([f"Host: {host}".encode()] if host is not None else []), b"", body or b""])


def post(*headers, body=b"1", **more):
    return request("POST", START, *headers, body=body, **more)


def chunks(size=b"1"):
    return post("Transfer-Encoding: chunked", body=size + b"\r\n1\r\n0\r\n\r\n")


NO_HTTP = b"Invalid HTTP request"
REFUSED = {
    "a header of 100 KiB": (post("X-Large: " + "x" * 100 * KIB), 431, b"the largest is x-large"),
    "1,000 headers": (post(*(f"X-{number}: y" for number in range(1_000))), 431, b"headers, 100 are allowed"),
    "headers of 33 KiB": (
        post(*(f"X-{number}: {'y' * KIB}" for number in range(33))),
        431,
        b"bytes, 32768 are allowed",
    ),
    "a header of 1 MiB": (post("X-Large: " + "x" * KIB * KIB), 400, NO_HTTP),
    "a query of 100 KiB": (request("GET", f"{LIST}?top={'1' * 100 * KIB}"), 414, b"the URL has 102"),
    "a path of 100 KiB": (request("GET", f"{LIST}/{'x' * 100 * KIB}"), 414, b"the URL has 102"),
    "a segment of 1,000": (request("GET", f"{LIST}/{'x' * 1_000}"), 400, b"1 to 256 characters, not 1000"),
    "a header's name that is no ASCII": (post("X-\u00e9: y"), 400, NO_HTTP),
    "a header without a name": (post(": y"), 400, NO_HTTP),
    "NUL in a header": (post(b"X-Nul: a\x00b"), 400, NO_HTTP),
    "a line break in a header": (post(b"X-Forwarded-Host: a\rSet-Cookie: b"), 400, NO_HTTP),
    "a host that is none": (post(host="evil.example/x?"), 400, b"is no host"),
    "a host with markup": (post(host='"><script>'), 400, b"is no host"),
    "a host with a user": (post(host="user:password@evil.example"), 400, b"is no host"),
    "half of an address": (post(host="[::1"), 400, b"is no host"),
    "a host that is no ASCII": (post(host="h\u00f6st"), 400, b"is no host"),
    "no host": (post(host=None), 400, NO_HTTP),
    "two hosts": (post("Host: a"), 400, NO_HTTP),
    "no HTTP": (b"\x16\x03\x01\x00\xa5 hello\r\n\r\n", 400, NO_HTTP),
    "a space in the path": (request("GET", f"{LIST}/a b"), 400, NO_HTTP),
    "a path that is no ASCII": (request("GET", LIST.encode() + b"/\xff"), 400, NO_HTTP),
    "two lengths": (post("Content-Length: 1", "Content-Length: 2"), 400, NO_HTTP),
    "a length and chunks": (post("Content-Length: 1", "Transfer-Encoding: chunked", body=b"\r\n1\r\n"), 400, NO_HTTP),
    "a negative length": (post("Content-Length: -1"), 400, NO_HTTP),
    "a length of nonsense": (post("Content-Length: 1e9"), 400, NO_HTTP),
    "a length that is too short": (post("Content-Length: 3", body=b'"abcdef"'), 400, b"the body is no JSON"),
    "chunks of nonsense": (chunks(b"zz"), 400, NO_HTTP),
    "chunks of less than nothing": (chunks(b"-1"), 400, NO_HTTP),
    "chunks that are compressed": (post("Transfer-Encoding: gzip, chunked", body=b""), 400, NO_HTTP),
    "a body of 101 MiB": (post(body=b" " * (101 * KIB * KIB)), 413, b"larger than 100 MB"),
    "a body that is compressed": (post("Content-Encoding: gzip", body=b"\x1f\x8b\x08\x00"), 400, b"no UTF-8"),
    "a body that is deep": (post(body=b"[" * 1_000_000), 400, b"too deep"),
    "half a character in a body": (post(body=b'"\xed\xa0\x80"'), 400, b"no UTF-8"),
    "a deep body for /admin": (request("POST", "/admin/functions/job", body=b"[" * 1_000_000), 400, b"JSON object"),
    "half a character": (request("GET", f"{LIST}/%ff%fe%80"), 400, b"no percent-encoded UTF-8"),
    "half an escape": (request("POST", f"{START}/50%", body=b"1"), 400, b"not percent-encoded"),
    "half an escape in a query": (request("GET", f"{LIST}?top=%"), 400, b"not percent-encoded"),
    "a parameter twice": (request("GET", f"{LIST}?top=1&top=2"), 400, b"top is given 2 times"),
    "a parameter 9,000 times": (request("GET", f"{LIST}?{'&'.join(['top=1'] * 9_000)}"), 400, b"given 9000 times"),
    "a token that is no ASCII": (request("GET", LIST, "X-MS-Continuation-Token: \u20ac"), 400, b"no token"),
    "an instance that climbs": (request("GET", f"{LIST}/..%2F..%2Fetc%2Fpasswd"), 404, b"no instance"),
    "dots": (request("GET", f"{LIST}/../../../../etc/passwd"), 404, b""),
    "an absolute URL": (request("GET", f"http://evil.example{LIST}"), 404, b""),
    "a method that nobody knows": (request("FROB", LIST), 405, b""),
}
TAKEN = {
    "what it would rather have": (
        "Accept: image/png;q=x, \u20ac",
        "Prefer: respond-async, wait=-9",
        "Accept-Encoding: *;q=0",
    ),
    "ranges and conditions": ("Range: bytes=9-1", "If-None-Match: *", "If-Modified-Since: yesterday"),
    "another protocol": ("Upgrade: websocket", "HTTP2-Settings: x", "TE: trailers"),
    "a trace that is none": ("traceparent: 00-zz-\u20ac-99", "tracestate: ,,,"),
    "forwarding by nobody": ("X-Forwarded-Host: user:pw@evil.example", "X-Forwarded-Proto: javascript:"),
    "forwarding to markup": ('X-Forwarded-Host: evil.example"><script>', "X-Forwarded-Proto: https://evil.example/"),
    "cookies": ("Cookie: =;;\u20ac", "Authorization: Basic ===", "Content-Type: \u20ac/;;charset=utf-16"),
}
"""Headers that change nothing."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "store.db"


@pytest.fixture(scope="module")
def host(store):
    (store.parent / "function_app.py").write_text(APP)
    (store.parent / "host.json").write_text('{"version": "2.0"}')
    environ = {"AzureWebJobsStorage": f"sqlite://{store.as_posix()}"}
    with RunningHost(store.parent, "--no-reload", "--no-check", environ=environ) as host:
        host.wait_ready()
        yield host
        assert "Traceback" not in host.text


@pytest.fixture
def unharmed(host, store):
    """Call it to check that the host answers, and that its hub holds what it held."""

    def contents():
        with closing(sqlite3.connect(store)) as connection:
            tables = ("instances", "tail", "blobs", "messages")
            return [sorted(map(repr, connection.execute(f"SELECT * FROM {table}"))) for table in tables]  # noqa: S608

    before = contents()

    def check():
        assert host.request(LIST)[0] == 200
        assert contents() == before

    return check


def exchange(host, raw, *, end=False):
    """Send bytes; return the code of the answer, None if there is none, and all that comes back.

    Args:
        host: where to.
        raw: the bytes.
        end: send no more after them, as who goes away; otherwise the answer is waited for.
    """
    address, _, port = host.url.removeprefix("http://").partition(":")
    received = b""
    with closing(socket.create_connection((address, int(port)), timeout=30)) as connection:
        try:
            connection.sendall(raw)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionError:  # refused before we had sent everything
            pass
    return (int(received.split(b" ", 2)[1]) if received else None), received


@pytest.mark.parametrize(("raw", "code", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(host, unharmed, raw, code, why):
    answered, received = exchange(host, raw)
    assert answered == code, received[:500]
    assert why in received
    assert b"root:" not in received
    assert len(received) < 12_000
    unharmed()


@pytest.mark.parametrize("headers", TAKEN.values(), ids=TAKEN)
def test_headers_that_change_nothing(host, unharmed, headers):
    code, received = exchange(host, request("GET", LIST, *headers))
    assert code == 200
    assert received.partition(b"\r\n\r\n")[2] == host.request(LIST)[1].encode()
    code, received = exchange(host, request("GET", "/api/durabletask/openapi.json", *headers))
    assert code == 200
    assert json.loads(received.partition(b"\r\n\r\n")[2])["servers"] == [{"url": "http://localhost/api/durabletask"}]
    unharmed()


@pytest.mark.parametrize(
    "raw",
    [
        post("Content-Length: 100", body=b'"abc"'),
        post("Transfer-Encoding: chunked", body=b'5\r\n"abc'),
        post("Transfer-Encoding: chunked", body=b"1\r\n1\r\n"),
        post("Transfer-Encoding: chunked", body=b"ffffffffffffffff\r\n1"),
        post("Expect: 100-continue", "Content-Length: 5", body=b""),
        b"POST " + START.encode() + b" HTTP/1.1\r\nHost: loc",
    ],
)
def test_what_is_cut_short_begins_nothing(host, unharmed, raw):
    code, received = exchange(host, raw, end=True)
    assert code in {None, 100, 400}, received[:200]
    unharmed()


def test_who_never_ends_a_request_keeps_nobody_waiting(host, unharmed):
    address, _, port = host.url.removeprefix("http://").partition(":")
    with closing(socket.create_connection((address, int(port)), timeout=30)) as connection:
        connection.sendall(post("Content-Length: 100", body=b'"abc"'))
        unharmed()


_segments = st.sampled_from([b"..", b"%2F", b"%2e", b"%00", b"%0d%0a", b"%", b"%ff", b"*", b"@", b"note", b"instances"])
_pieces = st.lists(_segments | st.binary(max_size=6), max_size=5).map(b"/".join)
_words = st.sampled_from([b"top", b"op", b"taskHub", b"&", b"=", b"%", b"+", b"%ff", b"1", b"\xff"])
_targets = st.builds(
    lambda root, path, query: root + path + b"?" + query,
    st.sampled_from([b"/api/durabletask/", b"/runtime/webhooks/durabletask/", b"/admin/", b"/"]),
    _pieces,
    st.lists(_words, max_size=6).map(b"".join),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "DELETE", "PUT", "HEAD", "OPTIONS", "x"]), target=_targets)
def test_whatever_is_asked_for_it_is_answered(host, unharmed, method, target):
    code, received = exchange(host, request(method, target))
    assert code is not None
    assert code < 500, received[:500]
    unharmed()
