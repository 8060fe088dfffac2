"""The web server: uvicorn, on a socket of ours and under our own control of signals."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from perdure.local.errors import HostError


def bind(address: str, port: int) -> socket.socket:
    """Return a socket bound to the address.

    Raises:
        HostError: The port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise HostError(
                f"Port {port} on {address} is in use. Stop what runs there (another host?), or choose another port: "
                f"perdure start --port {port + 1}."
            ) from error
        raise HostError(f"Can't listen on {address}, port {port}: {error.strerror or error}.") from error
    return bound


class WebServer(uvicorn.Server):
    """Serves an application on a bound socket until `should_exit` is set.

    Args:
        application: What to serve.
        bound: The socket, bound already.
    """

    def __init__(self, application: ASGIApp, bound: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                application, lifespan="off", log_config=None, access_log=False, server_header=False, ws="none"
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
