"""Hosts that die of what they run."""

import time
from http.client import HTTPException

from tests.local.running_host import DEADLINE

MOST = 30


def outlive(deployment, outcome):
    """Start a host again each time it dies, until there is an outcome; return that when the last one has stopped.

    A host may die before it says that it listens. The last one is stopped in order, so that what it has in hand comes
    to its end.
    """
    for _ in range(MOST):
        with deployment.host(invisibility=1) as host:
            deadline = time.monotonic() + DEADLINE
            while host.process.poll() is None and time.monotonic() < deadline:
                if "Listening on" in host.text and (found := _outcome(outcome, host)) is not None:
                    host.signal()
                    assert host.wait_exit() == 0, host.text
                    return found
                time.sleep(0.1)
            assert host.process.poll() is not None, f"it neither dies nor comes to an outcome:\n{host.text}"
    raise AssertionError(f"hosts died {MOST} times, the last one saying:\n{host.text}")


def _outcome(outcome, host):
    try:
        return outcome(host)
    except (OSError, HTTPException):
        return None  # it is dying
