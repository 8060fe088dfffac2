"""A host process: everything from reading host.json to the exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from perdure.errors import PerdureError
from perdure.local.admin import host_application
from perdure.local.app_folder import LOCAL_SETTINGS, check_app_folder
from perdure.local.app_loading import load_app
from perdure.local.catalog import LocalFunction, read_functions
from perdure.local.determinism import warn_of_findings
from perdure.local.exit_codes import FAILED, SECOND_INTERRUPT, START_FAILED
from perdure.local.host import FunctionsHost
from perdure.local.interrupts import Interrupts
from perdure.local.listing import function_lines
from perdure.local.logs import HOST_LOGGER, complain, configure_logging, say
from perdure.local.options import HostOptions
from perdure.local.queue_connections import DEFAULT_CONNECTION
from perdure.local.settings import (
    HostJson,
    LocalSettings,
    apply_values,
    read_host_json,
    read_local_settings,
)
from perdure.local.version import installed_version
from perdure.local.web_server import WebServer

_logger = logging.getLogger(HOST_LOGGER)

_LAST_ANSWERS = 2.0
"""Seconds that answers get to leave once no function runs any more."""

_LINGER = 5.0
"""Seconds that threads of the user's own get to end after everything is drained."""

_SAFETY_NET_DELAY = "AzureFunctionsJobHost__extensions__durableTask__safetyNetDelay"


@dataclass(frozen=True)
class _LoadedApp:
    app: Any
    functions: list[LocalFunction]
    host_json: HostJson
    local_settings: LocalSettings
    bound: socket.socket


class StopRequest:
    """Asks the running host to stop, from a signal handler or any thread."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._interrupts = Interrupts()

    async def wait(self) -> None:
        """Wait until asked."""
        await self._event.wait()

    def ask(self) -> None:
        """Ask to drain and stop."""
        self._loop.call_soon_threadsafe(self._event.set)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Ask to stop; a second signal exits at once."""
        if self._interrupts.insists():
            os._exit(SECOND_INTERRUPT)
        self.ask()


def run_host(
    options: HostOptions,
    bound: socket.socket,
    *,
    show_frames: bool = False,
    on_ready: Callable[[StopRequest], None] = lambda _stop: None,
    obey_interrupt: bool = True,
) -> int:
    """Run the app in this process until it is asked to stop; return the exit code.

    Args:
        options: What to run and how.
        bound: The socket to listen on.
        show_frames: Print the user's traceback lines below an error that prevents the start.
        on_ready: Called with the way to stop the host, before anything is served.
        obey_interrupt: Whether SIGINT stops the host; a supervisor answers it itself.
    """
    try:
        loaded = _load(options, bound, os.environ)
        return asyncio.run(_serve(loaded, options, on_ready, obey_interrupt=obey_interrupt))
    except KeyboardInterrupt:
        return SECOND_INTERRUPT
    except PerdureError as error:
        complain(str(error))
        if show_frames or options.verbose:
            complain("".join(getattr(error, "frames", ())).rstrip())
        return START_FAILED


def _load(options: HostOptions, bound: socket.socket, environ: MutableMapping[str, str]) -> _LoadedApp:
    check_app_folder(options.app_dir)
    host_json = read_host_json(options.app_dir)
    local_settings = read_local_settings(options.app_dir)
    lost = apply_values(local_settings, environ)
    if options.storage is not None and DEFAULT_CONNECTION in lost:
        lost.remove(DEFAULT_CONNECTION)  # --storage has said so itself
    if lost:
        say(f"Settings of the environment win over those in {LOCAL_SETTINGS}: {', '.join(lost)}")
    configure_logging(host_json.logging.log_level, verbose=options.verbose)
    _describe_host(environ, options, bound.getsockname()[1])
    os.chdir(options.app_dir)
    app = load_app(options.app_dir)
    if options.check:
        warn_of_findings(options.app_dir)
    functions = read_functions(app, options.app_dir, environ)
    return _LoadedApp(app, functions, host_json, local_settings, bound)


def _describe_host(environ: MutableMapping[str, str], options: HostOptions, port: int) -> None:
    """Set what apps expect to find in the environment of a host."""
    environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    environ.setdefault("AzureWebJobsScriptRoot", str(options.app_dir))
    environ["WEBSITE_HOSTNAME"] = f"localhost:{port}"
    if options.invisibility < HostOptions.invisibility:  # a crash is to be made good as soon for what was just started
        environ.setdefault(_SAFETY_NET_DELAY, str(options.invisibility))


async def _serve(
    loaded: _LoadedApp,
    options: HostOptions,
    on_ready: Callable[[StopRequest], None],
    *,
    obey_interrupt: bool,
) -> int:
    stop = StopRequest()
    _handle_signals(stop, obey_interrupt=obey_interrupt)
    on_ready(stop)
    host = FunctionsHost(loaded.app, loaded.functions, loaded.host_json, options, os.environ)
    try:
        _announce_functions(loaded, host, options)
        if not await _unless_stopped(host.start(), stop):
            return 0
        failure = await _serve_http(loaded, options, host, stop)
    finally:
        await host.close()
    if failure is not None:
        _logger.critical("The host broke down", exc_info=failure)
    code = 0 if failure is None else FAILED
    _leave_soon(code, at_once=host.threads_busy)
    return code


async def _unless_stopped(work: Awaitable[None], stop: StopRequest) -> bool:
    """Do the work, and return whether it was done before somebody asked to stop."""
    doing = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(stop.wait())
    await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if doing.done():
        await doing
        return True
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    return False


async def _serve_http(
    loaded: _LoadedApp, options: HostOptions, host: FunctionsHost, stop: StopRequest
) -> BaseException | None:
    """Serve until asked to stop, then drain. Returns what broke the host down, if anything did."""
    application = host_application(host, loaded.functions, installed_version(), loaded.local_settings.host)
    server = WebServer(application, loaded.bound)
    serving = asyncio.create_task(server.run_until_stopped())
    await server.wait_ready()
    _announce_ready(loaded, options)
    failure = await _first_failure(host, stop)
    say("Stopping: waiting for running functions (Ctrl-C again stops at once)." if failure is None else "Stopping.")
    server.should_exit = True
    await host.stop()
    await asyncio.wait({serving}, timeout=_LAST_ANSWERS)
    server.force_exit = True
    await serving
    return failure


def _announce_functions(loaded: _LoadedApp, host: FunctionsHost, options: HostOptions) -> None:
    prefix = loaded.host_json.extensions.http.route_prefix.strip("/")
    base = _address(loaded, options) + (f"/{prefix}" if prefix else "")
    for line in function_lines(loaded.functions, host.routes, base, verbose=options.verbose):
        say(line)


def _announce_ready(loaded: _LoadedApp, options: HostOptions) -> None:
    say(f"Host process id: {os.getpid()}")
    say(f"Listening on {_address(loaded, options)} - Ctrl-C stops.", style="bold")


def _address(loaded: _LoadedApp, options: HostOptions) -> str:
    local = options.address in {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104 - compared only
    return f"http://{'localhost' if local else options.address}:{loaded.bound.getsockname()[1]}"


async def _first_failure(host: FunctionsHost, stop: StopRequest) -> BaseException | None:
    """Wait until the host is asked to stop (None) or something in it breaks down (what broke it)."""
    asked = asyncio.create_task(stop.wait())
    watched = asyncio.create_task(host.watch())
    await asyncio.wait({asked, watched}, return_when=asyncio.FIRST_COMPLETED)
    if watched.done() and (failure := watched.exception()) is not None:
        asked.cancel()
        return failure
    await asked
    return None


def _handle_signals(stop: StopRequest, *, obey_interrupt: bool) -> None:
    # a handler that does nothing, unlike SIG_IGN, is not inherited by the processes that functions start
    signal.signal(signal.SIGINT, stop.on_signal if obey_interrupt else lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, stop.on_signal)


def _leave_soon(code: int, *, at_once: bool) -> None:
    """See to it that no thread of a function's keeps the process alive."""

    def leave() -> None:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)

    if at_once:
        leave()
    timer = threading.Timer(_LINGER, leave)
    timer.daemon = True
    timer.start()
