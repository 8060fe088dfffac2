"""The determinism check when the host starts."""

from __future__ import annotations

import logging
from pathlib import Path

from perdure.checking import check_app
from perdure.local.app_folder import SCRIPT
from perdure.local.logs import HOST_LOGGER

_SHOWN = 10

_logger = logging.getLogger(HOST_LOGGER)


def warn_of_findings(app_dir: Path) -> None:
    """Log a warning for each place in the app's orchestrators that breaks replay, ten at most. Raises nothing."""
    try:
        findings = check_app(app_dir / SCRIPT)
    except Exception as error:  # noqa: BLE001 - the check only advises: it must not keep the app from running
        _logger.warning("The determinism check (--no-check leaves it out) failed: %s: %s", type(error).__name__, error)
        return
    for finding in findings[:_SHOWN]:
        _logger.warning("%s", finding)
    if len(findings) > _SHOWN:
        _logger.warning("... and %d more: `perdure check` shows them all.", len(findings) - _SHOWN)
