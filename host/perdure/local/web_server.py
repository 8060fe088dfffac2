"""The web server: uvicorn, on a socket of ours and under our own control of signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_MOST_BYTES_BEFORE_A_BODY = 256 * 1024
"""More than what is refused with a reason: see `request_checks`."""


class WebServer(uvicorn.Server):
    """Serves an application on a bound socket until `should_exit` is set.

    Args:
        application: What to serve.
        bound: The socket, bound already.
    """

    def __init__(self, application: ASGIApp, bound: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                h11_max_incomplete_event_size=_MOST_BYTES_BEFORE_A_BODY,
            )
        )
        self._bound = bound
        self._ready = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serve; return when `should_exit` was set and open requests have been answered."""
        await self.serve(sockets=[self._bound])

    async def wait_ready(self) -> None:
        """Wait until requests are answered."""
        await self._ready.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen (called by uvicorn)."""
        await super().startup(sockets)
        self._ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the host process handles them."""
        yield
