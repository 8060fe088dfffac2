"""The durable client as a parameter: the Functions host never sees it, the function receives it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure_functions.client import DurableOrchestrationClient, SyncDurableFunctionsClient
    from perdure_functions.runtime import Runtime


class RuntimeSlot:
    """Where the client bindings of an app, or of a blueprint once it is registered, find the app's runtime."""

    def __init__(self, runtime: Runtime | None = None) -> None:
        self.runtime = runtime

    @property
    def filled(self) -> Runtime:
        """The runtime. Raises PerdureError if the blueprint has not been registered."""
        if self.runtime is None:
            raise PerdureError(
                "this function's blueprint is not registered in an app: call app.register_functions(blueprint) first"
            )
        return self.runtime


@dataclass(frozen=True, slots=True)
class ClientBinding:
    """Which client a function receives, and as which parameter."""

    slot: RuntimeSlot
    parameter: str
    task_hub: str | None
    connection: str | None

    async def client(self) -> DurableOrchestrationClient:
        """Return the client, opened on the running loop."""
        return await self.slot.filled.client(self.task_hub, self.connection)

    def sync_client(self) -> SyncDurableFunctionsClient:
        """Return its sync twin, for a thread."""
        return self.slot.filled.sync_client(self.task_hub, self.connection)


def with_client(function: Callable[..., Any], binding: ClientBinding) -> Callable[..., Any]:
    """Return a function that calls `function` with a client as one of its parameters.

    What it shows to the Functions worker (signature and annotations) lacks that parameter: to the host there is no
    binding of this name. A caller who passes the client himself, such as a unit test, is obeyed.

    Raises:
        TypeError: the function has no such parameter.
    """
    signature = inspect.signature(function)
    if binding.parameter not in signature.parameters:
        raise TypeError(
            f"function '{getattr(function, '__name__', function)}' has no parameter '{binding.parameter}', which "
            f"durable_client_input(client_name='{binding.parameter}') is to fill"
        )
    wrapped = _async(function, binding) if inspect.iscoroutinefunction(function) else _sync(function, binding)
    shown = [parameter for name, parameter in signature.parameters.items() if name != binding.parameter]
    annotations = {name: hint for name, hint in wrapped.__annotations__.items() if name != binding.parameter}
    wrapped.__annotations__ = annotations
    vars(wrapped)["__signature__"] = signature.replace(parameters=shown)
    vars(wrapped)["client_function"] = function
    return wrapped


def _async(function: Callable[..., Any], binding: ClientBinding) -> Callable[..., Any]:
    @functools.wraps(function)
    async def with_async_client(*args: Any, **kwargs: Any) -> Any:
        if binding.parameter not in kwargs:
            kwargs[binding.parameter] = await binding.client()
        return await function(*args, **kwargs)

    return with_async_client


def _sync(function: Callable[..., Any], binding: ClientBinding) -> Callable[..., Any]:
    @functools.wraps(function)
    def with_sync_client(*args: Any, **kwargs: Any) -> Any:
        if binding.parameter not in kwargs:
            kwargs[binding.parameter] = binding.sync_client()
        return function(*args, **kwargs)

    return with_sync_client
