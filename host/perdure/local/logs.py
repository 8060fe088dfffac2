"""Log lines in the format of the Functions host: `[2026-01-01T00:00:00.000Z] message`."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

HOST_LOGGER: Final = "perdure.local"

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
"""host.json's names: https://learn.microsoft.com/azure/azure-functions/configure-monitoring#configure-log-levels"""

# libraries that report every request at INFO
_TALKATIVE = ("azure", "httpx", "aiosqlite", "watchfiles", "uvicorn", "asyncio")

_STYLES = {
    logging.DEBUG: "dim",
    logging.WARNING: "yellow",
    logging.ERROR: "red",
    logging.CRITICAL: "bold red",
}


class HostLogHandler(logging.Handler):
    """Writes records to a stream, in colour if it is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stdout
        self._console = _console(self._stream)
        self.setFormatter(_HostFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a closed or broken stream is reported as logging reports such errors."""
        try:
            text = self.format(record)
            if self._console is None:
                self._stream.write(text + "\n")
                self._stream.flush()
            else:
                style = _STYLES.get(record.levelno, "")
                self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
        except (OSError, ValueError, UnicodeError):
            self.handleError(record)


class _HostFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        return f"[{stamp}] {super().format(record)}"


def _console(stream: TextIO) -> Console | None:
    if not stream.isatty():
        return None
    from rich.console import Console

    return Console(file=stream)


def configure_logging(log_levels: Mapping[str, str], *, verbose: bool) -> None:
    """Send all logging to standard output in the host's format.

    Args:
        log_levels: `logging.logLevel` of host.json; `default` and `Function` count here.
        verbose: Show everything from the host, and what libraries say at INFO.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(HostLogHandler())
    named = {name.lower(): level.lower() for name, level in log_levels.items()}
    default = _LEVELS.get(named.get("function", named.get("default", "")), logging.INFO)
    root.setLevel(min(default, logging.INFO) if verbose else default)
    logging.getLogger(HOST_LOGGER).setLevel(logging.DEBUG if verbose else default)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)


def say(text: str, *, style: str = "") -> None:
    """Print a line of the host's own (no time stamp) to standard output."""
    console = _console(sys.stdout)
    if console is None:
        print(text, flush=True)  # noqa: T201 - this is the command's output
    else:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print an error line to standard error."""
    console = _console(sys.stderr)
    if console is None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - as above
    else:
        console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
