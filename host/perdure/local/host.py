"""One Function app at work: its triggers, from start to drained stop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from perdure.errors import PerdureError
from perdure.local.catalog import LocalFunction
from perdure.local.conversions import warmup_argument
from perdure.local.errors import HostError
from perdure.local.http_triggers import HttpTriggers
from perdure.local.invocation import InvocationError, Invoker
from perdure.local.logs import HOST_LOGGER
from perdure.local.options import STATE_DIR, HostOptions
from perdure.local.outputs import Outputs
from perdure.local.queue_connections import QueueConnections
from perdure.local.queue_triggers import QueueTrigger, pump_options
from perdure.local.routing import HttpRoute, Router, http_route, rivals
from perdure.local.settings import HostJson
from perdure.local.timer_triggers import Timer
from perdure.storage.rows import QueueMessage

_logger = logging.getLogger(HOST_LOGGER)

HTTP_TRIGGER = "httpTrigger"
QUEUE_TRIGGER = "queueTrigger"
TIMER_TRIGGER = "timerTrigger"
WARMUP_TRIGGER = "warmupTrigger"
SERVED_TRIGGERS = frozenset({HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER, WARMUP_TRIGGER})

_HOOK_TIMEOUT = 5.0
"""Seconds that the app's own stop hooks get."""

ManualRun = Callable[[str], Awaitable[None]]


class FunctionsHost:
    """Runs the functions of one app. Create it, `start`, serve `http`, then `stop` and `close`.

    An app may take part with coroutine methods: `on_host_start()` before the first trigger, `on_host_drain()` when
    stopping begins, `on_host_stop()` when nothing runs any more.

    Args:
        app: The `FunctionApp`.
        functions: Its functions; disabled ones and those with triggers of other kinds are left out.
        host_json: The settings.
        options: The command line.
        environ: Where settings live.

    Raises:
        HostError: A binding, a route, a schedule or a connection makes no sense.
    """

    def __init__(
        self,
        app: Any,
        functions: list[LocalFunction],
        host_json: HostJson,
        options: HostOptions,
        environ: Mapping[str, str],
    ) -> None:
        queues = host_json.extensions.queues
        served = [item for item in functions if item.trigger.type in SERVED_TRIGGERS and not item.disabled]
        self._app = app
        self._options = options
        self._invoker = Invoker()
        self._connections = QueueConnections(environ, queues.message_encoding)
        self._outputs = Outputs(self._connections)
        for function in served:
            self._outputs.prepare(function)
        self.routes: list[HttpRoute] = [
            http_route(function, environ) for function in served if function.trigger.type == HTTP_TRIGGER
        ]
        for first, second in rivals(self.routes):
            _logger.warning(
                "Functions %s and %s have the same route %s: the second gets no request that the first takes.",
                first.function.name,
                second.function.name,
                second.template.text,
            )
        self.router = Router(self.routes, host_json.extensions.http.route_prefix)
        self.http = HttpTriggers(self.router, self._invoker, self._outputs)
        self._queue_triggers = {
            function.name: QueueTrigger(
                function, self._connections, self._invoker, self._outputs, pump_options(queues, options)
            )
            for function in served
            if function.trigger.type == QUEUE_TRIGGER
        }
        timers = options.app_dir / STATE_DIR / "timers"
        self._timers = {
            function.name: Timer(function, self._invoker, self._outputs, environ, timers)
            for function in served
            if function.trigger.type == TIMER_TRIGGER
        }
        self._warmups = [function for function in served if function.trigger.type == WARMUP_TRIGGER]
        self._pumps: list[asyncio.Task[None]] = []
        self._clocks: list[asyncio.Task[None]] = []
        self._background: set[asyncio.Task[None]] = set()

    @property
    def threads_busy(self) -> bool:
        """Whether a sync function that was given up still occupies its thread."""
        return self._invoker.threads_busy

    async def start(self) -> None:
        """Check the stores, call the app's hook and set queues and timers going.

        Raises:
            HostError: A store can't be reached, or the hook failed.
        """
        for trigger in self._queue_triggers.values():
            await trigger.prepare()
        await self._call_start_hook()
        self._pumps = [asyncio.create_task(trigger.pump.run()) for trigger in self._queue_triggers.values()]
        self._clocks = [asyncio.create_task(timer.run()) for timer in self._timers.values()]
        for function in self._warmups:
            self.run_in_background(self._warm_up(function))

    async def watch(self) -> None:
        """Return when nothing delivers messages or timers any more; raises what broke a pump or a timer."""
        await asyncio.gather(*self._pumps, *self._clocks)

    async def stop(self) -> None:
        """Drain: receive nothing more, wait for what runs, give back the rest, call the app's hooks."""
        for trigger in self._queue_triggers.values():
            trigger.pump.stop()
        for clock in self._clocks:
            clock.cancel()
        await self._call_stop_hook("on_host_drain")
        await asyncio.gather(*self._pumps, *self._clocks, return_exceptions=True)
        await self._drain(self._options.drain_timeout)
        await self._call_stop_hook("on_host_stop")

    async def close(self) -> None:
        """Give back connections and threads, whether or not the host ever started."""
        await self._connections.close()
        self._invoker.close()

    def manual_run(self, name: str) -> ManualRun | None:
        """Return what runs a function that no request triggers with a given input, None if there is none."""
        if name in self._queue_triggers:
            return partial(self._run_on_text, self._queue_triggers[name])
        if name in self._timers:
            return partial(_fire, self._timers[name])
        return None

    def run_in_background(self, work: Awaitable[None]) -> None:
        """Start an invocation that nobody waits for; it is drained like any other."""
        task = asyncio.create_task(_quietly(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _drain(self, seconds: float) -> None:
        pumps = [trigger.pump for trigger in self._queue_triggers.values()]
        await asyncio.gather(self._invoker.wait_idle(seconds), *(pump.drain(seconds) for pump in pumps))
        if self._invoker.running:
            _logger.warning(
                "Giving up what still runs after %g s (%d). Queue messages among it will be delivered again.",
                seconds,
                self._invoker.running,
            )
        await asyncio.gather(*(pump.release() for pump in pumps))
        await self._invoker.cancel_running()

    async def _run_on_text(self, trigger: QueueTrigger, text: str) -> None:
        await trigger.run(QueueMessage(message_id=str(uuid4()), receipt="", body=text, dequeue_count=1))

    async def _warm_up(self, function: LocalFunction) -> None:
        await self._invoker.invoke(
            function,
            warmup_argument(),
            reason="The host has started.",
            finish=lambda outcome: self._outputs.send(function, outcome),
        )

    async def _call_start_hook(self) -> None:
        hook = _hook(self._app, "on_host_start")
        if hook is None:
            return
        try:
            await hook()
        except PerdureError as error:
            raise HostError(str(error)) from error
        except Exception as error:
            frames = tuple(traceback.format_exception(error))
            raise HostError(
                f"The app's on_host_start failed: {type(error).__name__}: {error}", frames=frames
            ) from error

    async def _call_stop_hook(self, name: str) -> None:
        hook = _hook(self._app, name)
        if hook is None:
            return
        try:
            async with asyncio.timeout(_HOOK_TIMEOUT):
                await hook()
        except Exception:
            # stopping goes on: what the hook left undone is repeated after the next start
            _logger.exception("The app's %s failed", name)


def _hook(app: Any, name: str) -> Callable[[], Awaitable[None]] | None:
    hook = getattr(app, name, None)
    return hook if inspect.iscoroutinefunction(hook) else None


async def _fire(timer: Timer, _text: str) -> None:
    await timer.fire(past_due=False)


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except InvocationError as error:
        _logger.debug("%s", error)
