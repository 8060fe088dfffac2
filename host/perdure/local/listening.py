"""The socket that the host listens on.

A supervisor holds it across restarts: a request that comes while no host process lives waits for the next one.
"""

from __future__ import annotations

import errno
import socket

from perdure.local.errors import HostError


def bind(address: str, port: int) -> socket.socket:
    """Return a socket bound to the address.

    Raises:
        HostError: The port is taken, or the address is none of this machine's, or none at all.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio sends small pieces at once (TCP_NODELAY) only from sockets that say that they are TCP's
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    except (TypeError, UnicodeError) as error:  # what can't even be looked up
        bound.close()
        raise HostError(f"Can't listen on {address!a}: this is no address.") from error
    return bound


def inherited(fd: int) -> socket.socket:
    """Return the socket that another process has bound and handed over as this descriptor."""
    # not every system tells a socket's protocol, which asyncio asks for: see above
    return socket.socket(proto=socket.IPPROTO_TCP, fileno=fd)
