"""A proxy between hosts and Azurite that does to requests what networks and busy services do. A seed decides."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Self

from perdure.storage.connection import AZURITE_ACCOUNT, AZURITE_KEY

_SERVICES = ("blob", "queue", "table")
_MIB = 1024 * 1024


class Fate(StrEnum):
    """What becomes of a request."""

    PASSED = auto()
    DROPPED_BEFORE = auto()
    """The connection ends; the service has not seen the request."""
    DROPPED_AFTER = auto()
    """The connection ends; the request took effect."""
    CUT_SHORT = auto()
    """The request took effect; half of the answer arrives."""
    DELAYED_BEFORE = auto()
    DELAYED_AFTER = auto()
    BUSY = auto()
    """503 ServerBusy with Retry-After; no effect."""
    TOO_MANY = auto()
    """429 with Retry-After; no effect."""
    FAILED = auto()
    """500 InternalError; no effect."""
    TIMED_OUT = auto()
    """500 OperationTimedOut, after which nobody knows: it took effect."""


CHAOS: Mapping[Fate, float] = {
    Fate.DROPPED_BEFORE: 0.02,
    Fate.DROPPED_AFTER: 0.02,
    Fate.CUT_SHORT: 0.01,
    Fate.DELAYED_BEFORE: 0.03,
    Fate.DELAYED_AFTER: 0.03,
    Fate.BUSY: 0.02,
    Fate.TOO_MANY: 0.01,
    Fate.FAILED: 0.01,
    Fate.TIMED_OUT: 0.01,
}
"""Fates and their probabilities; what is left passes."""

CALM: Mapping[Fate, float] = {}

_REFUSALS = {
    Fate.BUSY: (503, "ServerBusy", 1),
    Fate.TOO_MANY: (429, "TooManyRequests", 1),
    Fate.FAILED: (500, "InternalError", None),
    Fate.TIMED_OUT: (500, "OperationTimedOut", None),
}


@dataclass(frozen=True)
class _Message:
    head: bytes
    body: bytes

    @property
    def bytes(self) -> bytes:
        return self.head + self.body

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])


class FaultProxy:
    """Stands before the services of an Azurite; ends with the block that it is used in.

    Args:
        upstream: port of each service on 127.0.0.1.
        seed: decides the fates of requests, in the order in which they come.
        fates: see `CHAOS`.
        longest_delay: of delayed requests, in seconds.
    """

    def __init__(
        self, upstream: Mapping[str, int], seed: int, fates: Mapping[Fate, float] = CHAOS, *, longest_delay: float = 1.0
    ) -> None:
        self.fates = fates
        self.counts: Counter[Fate] = Counter()
        self._upstream = upstream
        self._random = random.Random(seed)
        self._longest_delay = longest_delay
        self._ports: Future[dict[str, int]] = Future()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="fault proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ports.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def connection_string(self) -> str:
        """Of the account behind the proxy."""
        endpoints = (
            f"{service.capitalize()}Endpoint=http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"
            for service, port in self._ports.result().items()
        )
        account = f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY}"
        return ";".join((account, *endpoints))

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        servers = {}
        for service in _SERVICES:
            servers[service] = await asyncio.start_server(self._accepting(service), "127.0.0.1", 0, limit=128 * _MIB)
        self._ports.set_result({service: each.sockets[0].getsockname()[1] for service, each in servers.items()})
        await self._ending.wait()
        for server in servers.values():
            server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepting(self, service: str):
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await self._relay(service, reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                """The client or the service has gone: so does the connection."""
            finally:
                self._connections.discard(task)
                writer.close()

        return accept

    async def _relay(self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_service, to_service = await asyncio.open_connection("127.0.0.1", self._upstream[service], limit=128 * _MIB)
        try:
            while (request := await _read(reader)) is not None:
                fate = self._draw()
                self.counts[fate] += 1
                if fate is Fate.DROPPED_BEFORE:
                    return
                if fate in (Fate.BUSY, Fate.TOO_MANY, Fate.FAILED):
                    writer.write(_refusal(service, fate))
                    continue
                if fate is Fate.DELAYED_BEFORE:
                    await self._delay()
                to_service.write(request.bytes)
                answer = await _read(from_service, bodiless=request.method == "HEAD")
                if answer is None or fate is Fate.DROPPED_AFTER:
                    return
                if fate is Fate.CUT_SHORT:
                    writer.write(answer.bytes[: len(answer.bytes) // 2])
                    await writer.drain()
                    return
                if fate is Fate.DELAYED_AFTER:
                    await self._delay()
                writer.write(_refusal(service, fate) if fate is Fate.TIMED_OUT else answer.bytes)
                await writer.drain()
        finally:
            to_service.close()

    async def _delay(self) -> None:
        await asyncio.sleep(self._random.uniform(0, self._longest_delay))

    def _draw(self) -> Fate:
        lot = self._random.random()
        for fate, share in self.fates.items():
            if lot < share:
                return fate
            lot -= share
        return Fate.PASSED


def _refusal(service: str, fate: Fate) -> bytes:
    """Return what the service answers when it is busy or fails, its code in the header and in the body."""
    status, code, retry_after = _REFUSALS[fate]
    if service == "table":
        kind = "application/json;odata=minimalmetadata"
        message = {"lang": "en-US", "value": f"{code}, says the proxy."}
        body = json.dumps({"odata.error": {"code": code, "message": message}}).encode()
    else:
        kind = "application/xml"
        error = f"<Error><Code>{code}</Code><Message>{code}, says the proxy.</Message></Error>"
        body = f'<?xml version="1.0" encoding="utf-8"?>{error}'.encode()
    lines = [
        f"HTTP/1.1 {status} {code}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        f"x-ms-error-code: {code}",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _read(reader: asyncio.StreamReader, *, bodiless: bool = False) -> _Message | None:
    """Read one HTTP message, chunks as they are; None if the connection has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return None
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if bodiless or head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
        return _Message(head, b"")
    if fields.get(b"transfer-encoding", b"").strip() == b"chunked":
        return _Message(head, await _chunks(reader))
    return _Message(head, await reader.readexactly(int(fields.get(b"content-length", b"0"))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        body += size + chunk
        if chunk == b"\r\n":
            return body
