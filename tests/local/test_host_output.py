"""What the host prints: log lines, the list of functions, and which files it watches."""

import io
import logging
import re
from pathlib import PurePath

import azure.functions as func
import pytest

from perdure.local.catalog import read_functions
from perdure.local.listing import function_lines
from perdure.local.logs import HostLogHandler, configure_logging
from perdure.local.reloading import is_source
from perdure.local.routing import http_route

STAMP = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def record(message, *args, level=logging.INFO):
    return logging.LogRecord("x", level, __file__, 1, message, args, None)


def test_a_line_has_the_format_of_the_functions_host():
    stream = io.StringIO()
    HostLogHandler(stream).emit(record("hello %s [bold]", "you"))
    assert re.fullmatch(STAMP + r" hello you \[bold\]\n", stream.getvalue())


def test_an_error_carries_its_traceback():
    stream = io.StringIO()
    try:
        raise ValueError("no")
    except ValueError as error:
        item = record("broken", level=logging.ERROR)
        item.exc_info = (ValueError, error, error.__traceback__)
    HostLogHandler(stream).emit(item)
    assert stream.getvalue().endswith("ValueError: no\n")


def test_a_terminal_gets_colours_and_the_users_text_is_left_alone(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    handler = HostLogHandler(stream)
    handler.emit(record("[red]text[/red] 12", level=logging.ERROR))
    assert "\x1b[31m" in stream.getvalue()
    assert "[red]text[/red] 12" in stream.getvalue()


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = ("perdure.local", "azure", "uvicorn", "watchfiles", "asyncio", "httpx", "aiosqlite")
    levels = {name: logging.getLogger(name).level for name in names}
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.parametrize(
    ("log_levels", "verbose", "expected"),
    [
        ({}, False, logging.INFO),
        ({"default": "Warning"}, False, logging.WARNING),
        ({"Default": "Warning", "Function": "Debug"}, False, logging.DEBUG),
        ({"default": "Error"}, True, logging.INFO),
        ({"default": "Trace"}, True, logging.DEBUG),
        ({"default": "nonsense"}, False, logging.INFO),
    ],
)
def test_levels_come_from_host_json(root_logger, log_levels, verbose, expected):
    configure_logging(log_levels, verbose=verbose)
    assert root_logger.level == expected
    assert [type(handler) for handler in root_logger.handlers] == [HostLogHandler]
    assert logging.getLogger("azure").level == (logging.INFO if verbose else logging.WARNING)
    assert logging.getLogger("perdure.local").isEnabledFor(logging.DEBUG) is (verbose or expected == logging.DEBUG)


def test_the_list_of_functions(tmp_path):
    class App(func.FunctionApp):
        internal_functions = frozenset({"inner"})

    app = App()

    @app.route(route="/a/{id}", methods=["GET", "POST"])
    def web(req): ...

    @app.route(route="b")
    def any_method(req): ...

    @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
    def hourly(timer): ...

    @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
    def off(timer): ...

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    def inner(msg): ...

    @app.event_hub_message_trigger(arg_name="event", event_hub_name="h", connection="C")
    def events(event): ...

    functions = read_functions(app, tmp_path, {"AzureWebJobs.off.Disabled": "1"})
    routes = [http_route(function, {}) for function in functions[:2]]
    own = [
        "        web: [GET,POST] http://localhost:7071/api/a/{id}",
        "        any_method: http://localhost:7071/api/b",
        "        hourly: timerTrigger",
        "        off: timerTrigger (disabled)",
    ]
    foreign = "        events: eventHubTrigger (this host does not run such triggers)"
    url = "http://localhost:7071/api"
    assert function_lines(functions, routes, url, verbose=False) == [
        "",
        "Functions:",
        *own,
        foreign,
        "        and 1 of the app's own (--verbose shows them)",
        "",
    ]
    inner_line = "        inner: queueTrigger"
    assert function_lines(functions, routes, url, verbose=True) == ["", "Functions:", *own, inner_line, foreign, ""]


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        ("function_app.py", True),
        ("pkg/module.py", True),
        ("host.json", True),
        ("local.settings.json", True),
        ("pkg/host.json", False),
        ("data.json", False),
        ("requirements.txt", False),
        (".venv/lib/x.py", False),
        ("venv/lib/x.py", False),
        (".perdure/x.py", False),
        ("node_modules/x.py", False),
        ("pkg/__pycache__/x.py", False),
        ("tests/test_x.py", False),
        ("../other/x.py", False),
    ],
)
def test_which_files_are_watched(path, watched):
    folder = PurePath("/apps/mine")
    full = PurePath("/apps/other/x.py") if path.startswith("..") else folder / path
    assert is_source(full, folder) is watched
