"""The socket that the host listens on."""

import asyncio
import os
import socket

import pytest

from perdure.local.listening import bind, inherited


def own():
    return bind("127.0.0.1", 0)


def handed_over():
    """As a supervisor does: by its descriptor."""
    with own() as bound:
        return inherited(os.dup(bound.fileno()))


@pytest.mark.parametrize("listening", [own, handed_over])
async def test_answers_leave_at_once(listening):
    """Small pieces are not held back until the client has confirmed those before, which it does after 40 ms."""
    accepted = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport):
            accepted.set_result(transport)

    with listening() as bound:
        server = await asyncio.get_running_loop().create_server(Accepting, sock=bound)
        async with server:
            _, writer = await asyncio.open_connection(*bound.getsockname())
            transport = await accepted
            assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.close()
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("listening", [own, handed_over])
def test_the_socket_says_that_it_is_of_tcp(listening):
    with listening() as bound:
        assert bound.proto == socket.IPPROTO_TCP
