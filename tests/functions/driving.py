"""A small host: indexes an app, carries messages from its queues to its functions, and answers requests."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from perdure.local.catalog import LocalFunction, read_functions
from perdure.local.conversions import http_request, queue_argument
from perdure.local.invocation import InvocationError
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.local.routing import Router, http_route
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_queues
from perdure.storage.rows import QueueMessage

ORIGIN = "https://app.example"
PUMP = PumpOptions(max_polling_interval=0.1, invisibility=30)


class AppDriver:
    """Drives one app over the store of `AzureWebJobsStorage`."""

    def __init__(self, app: Any, folder: Path, without: Sequence[str] = ()) -> None:
        self.app = app
        self._without = without
        self.functions = {function.name: function for function in read_functions(app, folder, os.environ)}
        self.delivered: list[str] = []
        """Names of the functions that messages were delivered to, in order."""
        self._router = Router(
            [http_route(each, os.environ) for each in self.functions.values() if each.trigger.type == "httpTrigger"],
            "api",
        )
        self._pumps: list[QueuePump] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.queues = open_queues(resolve_connection("AzureWebJobsStorage", os.environ))
        for function in self.functions.values():
            if function.trigger.type == "queueTrigger" and function.name not in self._without:
                queue = function.trigger.fields["queueName"]
                await self.queues.create_queue(queue)
                self._pumps.append(QueuePump(self.queues, queue, self._deliverer(function), PUMP))
        self._tasks = [asyncio.create_task(pump.run()) for pump in self._pumps]

    async def stop(self) -> None:
        for pump in self._pumps:
            pump.stop()
        await self.app.on_host_stop()
        for pump in self._pumps:
            await pump.drain(5)
        await asyncio.gather(*self._tasks)
        await self.queues.close()

    async def request(
        self, method: str, target: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> func.HttpResponse:
        """Answer a request to a path with its query, or to a URL of this app's."""
        url = target if target.startswith("https://") else f"{ORIGIN}/api/{target}"
        match = self._router.find(method, urlsplit(url).path)
        assert match.route is not None, f"no route for {method} {url}"
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        request = http_request(
            method=method,
            url=url,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            query=dict(parse_qsl(urlsplit(url).query)),
            route_params=dict(match.route_params),
            body=content,
        )
        return await self.call(match.route.function.name, request)

    def answers(self, method: str, url: str) -> str | None:
        """Return the name of the function that answers a request, None if none does."""
        route = self._router.find(method, urlsplit(url).path).route
        return None if route is None else route.function.name

    async def call(self, name: str, argument: Any) -> Any:
        """Run a function, in a thread if it is not async."""
        function = self.functions[name]
        arguments = {function.trigger.name: argument}
        if function.is_async:
            return await function.call(**arguments)
        return await asyncio.to_thread(function.call, **arguments)

    async def ended(self, status_url: str) -> Any:
        """Wait until the instance behind a status URL has ended; return what is answered then."""
        async with asyncio.timeout(30):
            while (response := await self.request("GET", status_url)).status_code == 202:
                await asyncio.sleep(0.01)
        return content(response)

    def _deliverer(self, function: LocalFunction) -> Any:
        async def deliver(message: QueueMessage) -> None:
            argument = queue_argument(message, datetime.now(UTC) + timedelta(seconds=30), func.QueueMessage)
            self.delivered.append(function.name)
            try:
                assert await self.call(function.name, argument) is None
            except Exception as error:
                raise InvocationError("the function raised") from error

        return deliver


def content(response: func.HttpResponse) -> Any:
    """Return a response's JSON."""
    assert response.mimetype == "application/json"
    return json.loads(response.get_body())
