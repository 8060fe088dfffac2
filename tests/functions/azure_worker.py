"""The Functions host's side of Azure's own Python worker: what it is asked, in the shape of its protocol's messages."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure_functions_runtime
from azure_functions_runtime import handle_event

from perdure.local.invocation import InvocationError
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_queues
from perdure.storage.rows import QueueMessage
from tests.functions.host_rules import broken_by, broken_by_message, names_of_apps, names_taken_twice

PUMP = PumpOptions(max_polling_interval=0.1, invisibility=30)


class Message(SimpleNamespace):
    """Any message of the protocol: fields, and which of them is set."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the protocol's
        return next(iter(vars(self)), None)


class BindingInfo(Message):
    undefined, inout, out = 0, 2, 1


class StatusResult(Message):
    Failure, Success = 0, 1


PROTOS = SimpleNamespace(
    BindingInfo=BindingInfo,
    StatusResult=StatusResult,
    **dict.fromkeys(
        (
            "FunctionLoadResponse",
            "FunctionMetadataResponse",
            "InvocationResponse",
            "ParameterBinding",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcHttp",
            "TypedData",
            "WorkerInitResponse",
            "WorkerMetadata",
        ),
        Message,
    ),
)


class AzureWorker:
    """The worker, with one app indexed."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.functions: dict[str, Any] = {}
        self.delivered: list[str] = []
        """Names of the functions that messages were delivered to, in order."""
        self.returned: list[str] = []
        """Those that have returned."""
        self.broken: list[str] = []
        """Rules of the host that messages have broken."""
        self._modules = set(sys.modules)
        self._pumps: list[QueuePump] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Let the worker index the app in the folder, load its functions, and pump its queues."""
        sys.path.insert(0, self._folder)
        init = Message(capabilities={}, function_app_directory=self._folder)
        response = await azure_functions_runtime.worker_init_request(_request(worker_init_request=init))
        if response.result.status != StatusResult.Success:
            self._forget_the_app()
        _succeeded(response)
        metadata = await azure_functions_runtime.functions_metadata_request(_request())
        _succeeded(metadata)
        for function in metadata.function_metadata_results:
            self.functions[function.name] = function
            load = Message(function_id=function.function_id)
            _succeeded(await azure_functions_runtime.function_load_request(_request(function_load_request=load)))
        self.queues = open_queues(resolve_connection("AzureWebJobsStorage", os.environ))
        for name, function in self.functions.items():
            for binding in map(json.loads, function.raw_bindings):
                if binding["type"] == "queueTrigger":
                    await self.queues.create_queue(binding["queueName"])
                    deliver = self._deliverer(name, binding["name"])
                    self._pumps.append(QueuePump(self.queues, binding["queueName"], deliver, PUMP))
        self._tasks = [asyncio.create_task(pump.run()) for pump in self._pumps]

    async def stop(self) -> None:
        for pump in self._pumps:
            pump.stop()
        for pump in self._pumps:
            await pump.drain(5)
        await asyncio.gather(*self._tasks)
        await self.queues.close()
        await self.module.app.on_host_stop()
        self._forget_the_app()

    def _forget_the_app(self) -> None:
        """Have the next app's modules, of the same names, imported."""
        sys.path.remove(self._folder)
        for name in set(sys.modules) - self._modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(self._folder):
                del sys.modules[name]

    @property
    def module(self) -> Any:
        """The app's main module."""
        return sys.modules["function_app"]

    def broken_rules(self) -> list[str]:
        """Return the rules of the real host that the app breaks, and that its messages have broken so far."""
        broken = [f"several functions {name}" for name in names_taken_twice(list(self.functions))]
        for name, function in self.functions.items():
            called = handle_event._functions.get_function(function.function_id).func
            ours = name in self.module.app.internal_functions
            broken += [f"{name}: {each}" for each in broken_by(name, function.raw_bindings, called, ours=ours)]
        if len(names := names_of_apps(self.module)) != 1:
            broken.append(f"names bound to an app: {names}")
        return broken + self.broken

    async def http(self, name: str, method: str, url: str, params: Any = None, body: bytes = b"") -> Any:
        """Invoke an HTTP-triggered function; return the protocol's response."""
        query = dict(parse_qsl(urlsplit(url).query))
        content = Message(bytes=body)
        request = Message(method=method, url=url, headers={}, params=params or {}, query=query, body=content)
        response = await self._invoke(name, "req", Message(http=request), {})
        return response.return_value.http

    async def invoked(self, name: str) -> None:
        """Wait until a message to a function has been dealt with."""
        async with asyncio.timeout(30):
            while name not in self.returned:
                await asyncio.sleep(0.01)

    async def ended(self, instance_id: str) -> Any:
        """Wait until an instance has ended; return its status as the management API tells it."""
        url = f"https://app.example/api/durabletask/instances/{instance_id}"
        async with asyncio.timeout(30):
            while True:
                response = await self.http("perdure-http-instances", "GET", url, {"instanceId": instance_id})
                if response.status_code != "202":
                    return json.loads(response.body.bytes)
                await asyncio.sleep(0.01)

    async def _invoke(self, name: str, argument: str, value: Message, metadata: dict[str, Message]) -> Any:
        invocation = Message(
            invocation_id=str(uuid.uuid4()),
            function_id=self.functions[name].function_id,
            input_data=[_Parameter(name=argument, data=value)],
            trigger_metadata=metadata,
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        response = await azure_functions_runtime.invocation_request(_request(invocation_request=invocation))
        _succeeded(response)
        return response

    def _deliverer(self, name: str, argument: str) -> Any:
        async def deliver(message: QueueMessage) -> None:
            self.delivered.append(name)
            if name in self.module.app.internal_functions:
                self.broken += broken_by_message(message.body)
            count = Message(json=str(message.dequeue_count))
            metadata = {"Id": Message(string=message.message_id), "DequeueCount": count}
            try:
                await self._invoke(name, argument, Message(string=message.body), metadata)
            except AssertionError as error:
                raise InvocationError("the function raised") from error
            self.returned.append(name)

        return deliver


class _Parameter(Message):
    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - the protocol's
        return "data"


def _request(**content: Message) -> Any:
    return Message(request=Message(**content), properties={"host": "127.0.0.1", "protos": PROTOS})


def _succeeded(response: Any) -> None:
    assert response.result.status == StatusResult.Success, response.result.exception.stack_trace
