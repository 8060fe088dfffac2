from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from perdure.local.azurite import start_azurite
from perdure.storage.protocol import Storage
from tests.azurite import require_azurite
from tests.hosts.conftest import Deployment
from tests.local.running_host import RunningHost, wait_until

APP = Path(__file__).parent / "fault_app"
HUB = "FaultApp"

SECONDS = float(os.environ.get("PERDURE_FAULT_SECONDS", "4"))
"""How long hosts are under load while things break."""
SEED = int(os.environ.get("PERDURE_FAULT_SEED", "1"))


class Hosts:
    """Hosts that share a hub, and whoever kills them; all end with the block that they are used in.

    Args:
        deployment: what they run.
        count: how many there are.
    """

    def __init__(self, deployment: Deployment, count: int = 2) -> None:
        self.kills = 0
        self._deployment = deployment
        self._count = count
        self._running: list[RunningHost] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._running = [self._deployment.host(invisibility=3) for _ in range(self._count)]
        for host in self._running:
            host.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._running:
            host.__exit__()

    def living(self) -> list[RunningHost]:
        """Return those that listen."""
        with self._lock:
            return [host for host in self._running if host.process.poll() is None and "Listening on" in host.text]

    def kill_one(self, draw: random.Random) -> None:
        """Kill one of them (`kill -9`), in whatever it is doing, and start another one in its place."""
        victim = draw.choice(self._running)
        victim.process.kill()
        self.kills += 1
        victim.__exit__()
        with self._lock:
            self._running[self._running.index(victim)] = self._deployment.host(invisibility=3)

    def log(self) -> str:
        """Return what those that live have printed."""
        return "\n\n".join(host.text for host in self._running)


class KeptAzurite:
    """An Azurite whose data is on disk, and which comes back on the same ports; ends with the block.

    Args:
        data_dir: where its data is.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._azurite = start_azurite(require_azurite(), data_dir)
        self.connection_string = self._azurite.connection_string
        self.ports = self._azurite.ports

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._azurite.stop()

    def end(self) -> None:
        """Have it end (SIGTERM), saving its data."""
        self._azurite.stop()

    def kill(self) -> None:
        """Kill it (`kill -9`): what it took in since it last saved its data, up to five seconds ago, is lost to it."""
        os.kill(self._azurite.pid, signal.SIGKILL)
        self._azurite.stop()

    def come_back(self) -> None:
        """Start it again, on the same data and ports."""
        ports = {f"{service}_port": port for service, port in self.ports.items()}
        self._azurite = start_azurite(require_azurite(), self._data_dir, **ports)

    def save(self, storage: Callable[[], Storage]) -> None:
        """Wait until everything that it has taken in by now is on disk.

        It saves what has changed every five seconds: so this changes a little of each service, and looks when it is
        saved.
        """
        now = time.time()
        asyncio.run(_change_something(storage()))
        databases = [self._data_dir / f"__azurite_db_{service}__.json" for service in self.ports]
        wait_until(lambda: all(each.exists() and each.stat().st_mtime > now for each in databases), "everything saved")


async def _change_something(storage: Storage) -> None:
    queue = "nobodys"
    await storage.create_queue(queue)
    await storage.put_segment("nobody", "0", b"")
    await storage.put_payload("nobody", "0", b"")
    sent = await storage.send(queue, "[]")
    assert await storage.delete_message(queue, sent.message_id, sent.receipt)
    await storage.close()


@pytest.fixture
def app_folder(tmp_path) -> Path:
    folder = tmp_path / "app"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def kept_azurite(tmp_path) -> Iterator[KeptAzurite]:
    with KeptAzurite(tmp_path / "azurite") as azurite:
        yield azurite
