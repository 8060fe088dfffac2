"""The app and its blueprints: a Function app with the decorators of Durable Functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import azure.functions as func
from azure.functions.decorators.function_app import DecoratorApi, FunctionBuilder
from azure.functions.decorators.http import HttpTrigger

from perdure.core.entities.performing import EntityDefinition
from perdure.core.http_calls import HTTP_ACTIVITY
from perdure.core.naming import check_text
from perdure.engine.registry import Registry
from perdure_functions.client_binding import ClientBinding, RuntimeSlot, with_client
from perdure_functions.durable_function import (
    ActivityFunction,
    DurableFunction,
    EntityDecorator,
    EntityFunction,
    OrchestratorFunction,
    check_activity,
    check_callable,
    check_entity,
    check_orchestrator,
    no_client_for,
)
from perdure_functions.extension_types import adapt_to_extension
from perdure_functions.runtime import Runtime

if TYPE_CHECKING:
    from perdure.storage.protocol import Storage
    from perdure_functions.client import DurableOrchestrationClient

P = ParamSpec("P")
R = TypeVar("R")


class DurableDecorators(DecoratorApi):
    """The decorators, for the app and for blueprints alike."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call] # the library's own
        self.durable_functions: list[DurableFunction[..., Any]] = []
        """Its orchestrators, activities and entities, in the order of their definition."""
        self.client_bindings: list[ClientBinding] = []
        """The clients that its functions receive."""
        self._slot = RuntimeSlot()

    def orchestration_trigger(
        self, context_name: str, orchestration: str | None = None, input_type: type | None = None
    ) -> Callable[[Callable[P, R]], OrchestratorFunction[P, R]]:
        """Make an orchestrator of a generator function, an `async def` function or a plain one.

        Args:
            context_name: name of its parameter that receives the context; the first one.
            orchestration: what it is called by; by default the function's name.
            input_type: what its input is to be read as.
        """

        def decorator(function: Callable[P, R]) -> OrchestratorFunction[P, R]:
            plain, name = self._taken_back(function, OrchestratorFunction.kind)
            plain = getattr(plain, "orchestrator_function", plain)
            check_orchestrator(plain, context_name)
            if hasattr(plain, "client_function"):
                raise TypeError(no_client_for(name))
            its_name = name if orchestration is None else orchestration
            made: OrchestratorFunction[P, R] = OrchestratorFunction(
                plain, its_name, fixed=orchestration is not None, input_type=input_type
            )
            self.durable_functions.append(made)
            return made

        return decorator

    def activity_trigger(
        self, input_name: str, activity: str | None = None
    ) -> Callable[[Callable[P, R]], ActivityFunction[P, R]]:
        """Make an activity of a function, async or not; sync ones run in threads.

        Args:
            input_name: name of its parameter that receives the input; the first one.
            activity: what it is called by; by default the function's name.
        """

        def decorator(function: Callable[P, R]) -> ActivityFunction[P, R]:
            plain, name = self._taken_back(function, ActivityFunction.kind)
            check_activity(plain, input_name)
            its_name = name if activity is None else activity
            made: ActivityFunction[P, R] = ActivityFunction(plain, its_name, fixed=activity is not None)
            self.durable_functions.append(made)
            return made

        return decorator

    def entity_trigger(
        self, context_name: str, entity_name: str | None = None, *, expires_after: timedelta | None = None
    ) -> EntityDecorator:
        """Make an entity of a function, async or not, or of a class made of `DurableEntity`; a class stays what it is.

        Args:
            context_name: name of its parameter that receives the context; the first one. A class has none.
            entity_name: what it is called by; by default the function's or class's name.
            expires_after: an entity of this name that nothing is asked of for so long is deleted.
        """

        def decorator(function: Any) -> Any:
            plain, name = self._taken_back(function, EntityFunction.kind)
            plain = getattr(plain, "entity_function", plain)
            check_entity(plain, context_name, expires_after)
            its_name = name if entity_name is None else entity_name
            made: EntityFunction[..., Any] = EntityFunction(
                plain, its_name, fixed=entity_name is not None, expires_after=expires_after
            )
            self.durable_functions.append(made)
            if isinstance(plain, type):
                vars_of_class: Any = plain
                vars_of_class.durable_name = made.durable_name
                return plain
            return made

        return decorator

    def durable_client_input(
        self, client_name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> Callable[..., Any]:
        """Give a function a durable client: an async one to `async def` functions, its sync twin to others.

        Args:
            client_name: name of the parameter that receives it.
            task_hub: the hub that it is for; by default the app's own.
            connection_name: the connection to that hub; by default the app's own.
        """
        parameter = check_text(client_name, "the name of the parameter that receives the client")
        binding = ClientBinding(self._slot, parameter, task_hub, connection_name)
        self.client_bindings.append(binding)

        @self._configure_function_builder
        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            builder._function._func = with_client(builder._function.get_user_function(), binding)  # noqa: SLF001 - no other way in
            return builder

        def decorator(function: Any) -> Any:
            if not isinstance(function, DurableFunction):
                return wrap(function)
            if isinstance(function, OrchestratorFunction):
                raise TypeError(no_client_for(function.durable_name))
            function.function = with_client(function.function, binding)
            return function

        return decorator

    def function_name(self, name: str, setting_extra_fields: dict[str, Any] | None = None) -> Callable[..., Any]:
        """Name a function, durable ones too; by default it is called by its own name."""
        plain = super().function_name(name, setting_extra_fields)

        def decorator(function: Any) -> Any:
            if not isinstance(function, DurableFunction):
                return plain(function)
            function.rename(name)
            return function

        return decorator

    def registry(self) -> Registry:
        """Return the orchestrators, activities and entities that have been defined so far, by name: for tests, tools.

        Raises:
            DuplicateFunctionError: two of a kind have the same name.
        """
        registry = Registry()
        for durable in self.durable_functions:
            if isinstance(durable, OrchestratorFunction):
                registry.orchestrators.add(durable.durable_name, durable.function, durable.input_type)
            elif isinstance(durable, EntityFunction):
                definition = EntityDefinition(durable.function, durable.expires_after, durable.before_expiry)
                registry.entities.add(durable.durable_name, definition)
            else:
                registry.activities.add(durable.durable_name, durable.function)
        if self.durable_functions:
            from perdure.durable_http import HttpExchange

            registry.activities.add(HTTP_ACTIVITY, HttpExchange().run)
        return registry

    @staticmethod
    def durable_client(storage: Storage, **options: Any) -> DurableOrchestrationClient:
        """Return a client as this app's functions receive it, for a storage of the caller's: for tests.

        Args:
            storage: a hub's storage.
            options: further arguments of the client's class.
        """
        from perdure_functions.client import DurableOrchestrationClient

        return DurableOrchestrationClient(storage, **options)

    def _validate_type(self, func: Any) -> FunctionBuilder:
        if isinstance(func, DurableFunction):
            raise TypeError(
                f"{func.kind} '{func.durable_name}' can't have bindings or another trigger: the Functions host does "
                f"not run it. Remove the other decorators."
            )
        return super()._validate_type(func)

    def _taken_back(self, function: Any, kind: str) -> tuple[Any, str]:
        """Return the user's function and its name; decorators below may have made a builder for the host of it."""
        if isinstance(function, DurableFunction):
            raise TypeError(f"{function.kind} '{function.durable_name}' has a durable trigger already: one is enough")
        if not isinstance(function, FunctionBuilder):
            if kind != EntityFunction.kind or not isinstance(function, type):
                check_callable(function, kind)
            return function, getattr(function, "__name__", type(function).__name__)
        self._function_builders.remove(function)
        made = function._function  # noqa: SLF001 - no other way in
        if made.get_bindings():
            raise TypeError(
                f"function '{made.get_function_name()}' can't have bindings and a durable trigger: the Functions host "
                f"does not run orchestrators and activities. Remove the other decorators."
            )
        return made.get_user_function(), str(made.get_function_name())


class Blueprint(DurableDecorators, func.Blueprint):
    """Functions to be registered in an app.

    Args:
        http_auth_level: key that its HTTP functions ask for; None means the app's level.
    """

    def __init__(self, http_auth_level: func.AuthLevel | str | None = None) -> None:
        super().__init__()
        self._auth_level = func.AuthLevel[http_auth_level] if isinstance(http_auth_level, str) else http_auth_level

    def joined(self, app: DFApp) -> None:
        """Do what is left to do once an app has taken the blueprint's functions."""
        if self._auth_level is not None:
            for builder in self._function_builders:
                trigger = builder._function.get_trigger()  # noqa: SLF001 - no other way in
                if isinstance(trigger, HttpTrigger) and trigger.auth_level is None:
                    trigger.auth_level = self._auth_level
                    trigger.init_params.append("auth_level")  # type: ignore[attr-defined] # what its JSON shows
        self._slot.runtime = app.runtime


class DFApp(DurableDecorators, func.FunctionApp):
    """A Function app with durable functions.

    Besides the user's functions it has, once it is indexed, queue-triggered functions that carry the orchestrations
    and HTTP-triggered ones that manage them. Orchestrators and activities are no functions of the host's.

    Args:
        http_auth_level: key that HTTP functions ask for unless they say otherwise.
    """

    def __init__(self, http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION) -> None:
        super().__init__(http_auth_level=http_auth_level)
        self._registry = Registry()
        self._internal: frozenset[str] = frozenset()
        self.runtime = Runtime(lambda: self._registry)
        """What the app has open while it runs."""
        self._slot.runtime = self.runtime

    def register_functions(self, function_container: DecoratorApi) -> None:
        """Take over the functions of a blueprint, durable ones included."""
        super().register_functions(function_container)
        if isinstance(function_container, Blueprint):
            self.durable_functions += function_container.durable_functions
            self.client_bindings += function_container.client_bindings
            function_container.joined(self)

    register_blueprint = register_functions

    def get_functions(self) -> list[func.Function]:
        """Return what the Functions host is to run. The library allows this once per app."""
        from perdure_functions.http_api import add_http_functions
        from perdure_functions.triggers import add_queue_functions

        self.runtime.remember_loop()
        self._registry = self.registry()
        self.runtime.other_hubs = [(binding.task_hub, binding.connection) for binding in self.client_bindings]
        own = func.Blueprint()  # type: ignore[no-untyped-call] # the library's own
        names = add_http_functions(own, self.runtime, self._management_auth_level())
        if self.durable_functions:
            names += add_queue_functions(own, self.runtime)
        self._internal = frozenset(names)
        super().register_functions(own)
        functions: list[func.Function] = super().get_functions()
        adapt_to_extension(functions)
        return functions

    @property
    def internal_functions(self) -> frozenset[str]:
        """Names of the functions that are Perdure's own."""
        return self._internal

    async def on_host_start(self) -> None:
        """Open the app's hub before the first trigger; a host that knows of this method calls it."""
        if self.durable_functions:
            await self.runtime.worker()

    async def on_host_drain(self) -> None:
        """Begin nothing new; a host that knows of this method calls it before it waits for what runs."""
        self.runtime.drain()

    async def on_host_stop(self) -> None:
        """Stop working and close everything; a host that knows of this method calls it."""
        await self.runtime.stop()

    def _management_auth_level(self) -> func.AuthLevel:
        """Ask for a key even where the app's own functions don't: the management API can end and delete instances."""
        return func.AuthLevel[self.runtime.settings.management_auth_level.upper()]


DurableApp = DFApp
