"""Apps that use azurefunctions-extensions-http-fastapi.

Once an app has imported it, Azure's worker hands every HTTP function a request of the extension's type, and takes only
its responses (azure_functions_runtime, http_v2.py); in return, answers can be streamed. Functions that are written for
`azure.functions`, Perdure's own among them, are adapted here, so that both kinds live in one app.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterable
from typing import Any

import azure.functions as func
from azure.functions.decorators.http import HttpTrigger

from perdure_functions.stream_answers import StreamedResponse

_BASE = "azurefunctions.extensions.base"


def adapt_to_extension(functions: Iterable[func.Function]) -> None:
    """Have HTTP functions that take an `azure.functions.HttpRequest` take and return the extension's types instead, if
    the app has imported the extension.
    """
    base = sys.modules.get(_BASE)
    if base is None or not base.HttpV2FeatureChecker.http_v2_enabled():
        return
    for function in functions:
        trigger = function.get_trigger()
        if not isinstance(trigger, HttpTrigger):
            continue
        written = function.get_user_function()
        if typing.get_type_hints(written).get(trigger.name) is func.HttpRequest:
            function._func = _adapted(written, trigger.name, base)  # noqa: SLF001 - no other way in


def _adapted(written: Callable[..., Any], name: str, base: Any) -> Callable[..., Any]:
    @functools.wraps(written)
    async def answer(**arguments: Any) -> Any:
        arguments[name] = await _plain(arguments[name])
        if inspect.iscoroutinefunction(written):
            return _extended(await written(**arguments), base)
        return _extended(await asyncio.to_thread(written, **arguments), base)

    types = {"return": base.ResponseTrackerMeta.get_standard_response_type()}
    types |= {each: kind for each, kind in typing.get_type_hints(written).items() if each not in ("return", name)}
    types[name] = base.RequestTrackerMeta.get_request_type()
    signature = inspect.signature(written)
    parameters = [
        each.replace(annotation=types.get(each.name, each.annotation)) for each in signature.parameters.values()
    ]
    shown: Any = answer
    shown.__annotations__ = types
    shown.__signature__ = signature.replace(parameters=parameters, return_annotation=types["return"])
    return answer


async def _plain(request: Any) -> func.HttpRequest:
    """Return a request as the Functions host would have passed it."""
    headers: dict[str, str] = {}
    for key, value in request.headers.items():
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    query: dict[str, str] = {}
    for key, value in request.query_params.multi_items():
        if value:
            query[key] = f"{query[key]},{value}" if key in query else value
    return func.HttpRequest(
        request.method,
        str(request.url),
        headers=headers,
        params=query,
        route_params={key: str(value) for key, value in request.path_params.items()},
        body=await request.body(),
    )


def _extended(response: Any, base: Any) -> Any:
    """Return a response as the extension takes it."""
    if not isinstance(response, func.HttpResponse):
        return response
    headers = {"content-type": f"{response.mimetype}; charset={response.charset}"}
    headers |= {key.lower(): value for key, value in response.headers.items()}
    if isinstance(response, StreamedResponse):
        streaming = base.ResponseTrackerMeta.get_response_type(base.ResponseLabels.STREAMING)
        return streaming(response.live(), status_code=response.status_code, headers=headers)
    standard = base.ResponseTrackerMeta.get_standard_response_type()
    return standard(response.get_body(), status_code=response.status_code, headers=headers)
