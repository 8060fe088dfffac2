"""Restate: its server, and the services of this process, which it calls over HTTP/2."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from typing import Any

import httpx
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

from benchmarks.peers.rounds import Order, carry_out, read_order

_STARTS_WITHIN = 60
bench = restate.Workflow("bench")


async def noop(number: int) -> int:
    return number


@bench.main()
async def run(context: restate.WorkflowContext, order: dict[str, Any]) -> Any:
    number = order["number"]
    if order["function"] == "waits":
        return await context.promise("go", type_hint=int).value()
    if order["function"] == "fan":
        steps = [context.run_typed("noop", noop, number=step) for step in range(number)]
        await restate.gather(*steps)
        return len(steps)
    for step in range(number):
        await context.run_typed("noop", noop, number=step)
    return "done"


@bench.handler()
async def go(context: restate.WorkflowSharedContext, value: int) -> None:
    await context.promise("go", type_hint=int).resolve(value)


class Restate:
    """See `System`. Everything goes through the server's ingress."""

    def __init__(self, http: httpx.AsyncClient, ingress: str) -> None:
        self._http, self._ingress = http, ingress

    async def run(self, function: str, instance_id: str, number: int) -> Any:
        return await self._post(f"bench/{instance_id}/run", {"function": function, "number": number})

    async def wait(self, instance_id: str) -> None:
        await self._post(f"bench/{instance_id}/run/send", {"function": "waits", "number": 0})

    async def signal(self, instance_id: str) -> None:
        await self._post(f"bench/{instance_id}/go", 1)
        answer = await self._http.get(f"{self._ingress}/restate/workflow/bench/{instance_id}/attach")
        answer.raise_for_status()

    async def _post(self, path: str, body: object) -> Any:
        answer = await self._http.post(f"{self._ingress}/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def _free_ports(number: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(server.getsockname()[1]) for server in servers]
    for server in servers:
        server.close()
    return ports


def _server(order: Order, ports: list[int]) -> subprocess.Popen[bytes]:
    ingress, admin, node = ports
    settings = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
    }
    return subprocess.Popen(
        [str(order.home / "node_modules" / ".bin" / "restate-server"), "--base-dir", str(order.folder), "--no-logo"],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # the shim runs the server as a child: both end together
        start_new_session=True,
    )


async def _deployed(http: httpx.AsyncClient, admin: str, port: int) -> None:
    """Wait for the server, and tell it of our services."""
    async with asyncio.timeout(_STARTS_WITHIN):
        while True:
            try:
                answer = await http.post(f"{admin}/deployments", json={"uri": f"http://127.0.0.1:{port}"})
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            if answer.is_success:
                return
            await asyncio.sleep(0.2)


async def _main() -> None:
    order = read_order()
    ingress, admin, node, port = _free_ports(4)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    ended = asyncio.Event()
    serving = asyncio.create_task(serve(restate.app([bench]), config, shutdown_trigger=ended.wait))  # type: ignore[arg-type,unused-ignore]
    server = _server(order, [ingress, admin, node])
    try:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=120, limits=limits) as http:
            await _deployed(http, f"http://127.0.0.1:{admin}", port)
            system = Restate(http, f"http://127.0.0.1:{ingress}")
            await carry_out(order, system, _processes(server.pid))
    finally:
        os.killpg(server.pid, 15)
        server.wait()
        ended.set()
        await serving


def _processes(leader: int) -> list[int]:
    """Return the processes of a session: the shim and the server."""
    found = subprocess.run(["ps", "-s", str(leader), "-o", "pid="], capture_output=True, text=True, check=False)  # noqa: S607 - where ps is, PATH says
    return [int(pid) for pid in found.stdout.split()] or [leader]


if __name__ == "__main__":
    asyncio.run(_main())
