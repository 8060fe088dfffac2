"""`perdure history` and `perdure replay` as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage
from perdure.testing import AppHarness, RecordedHistory, assert_replays

HOST_JSON = '{"version": "2.0", "extensions": {"durableTask": {"hubName": "Shop", "defaultVersion": "2"}}}'
SETTINGS = '{"Values": {"AzureWebJobsStorage": "sqlite:///%s"}}'
APP = """
import perdure_functions as df

print("a line of the app's own")
app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def order(context):
    yield context.call_activity("pay", context.get_input())
    yield context.wait_for_external_event("go")
"""


def order(context):
    yield context.call_activity("pay", context.get_input())
    yield context.wait_for_external_event("go")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "host.json").write_text(HOST_JSON)
    (tmp_path / "local.settings.json").write_text(SETTINGS % (tmp_path / "store.db").as_posix().lstrip("/"))
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


@pytest.fixture
async def hub(folder):
    """The app's hub with three instances: one waits, one waits under version 3, one has ended."""
    connection = resolve_connection("Storage", {"Storage": f"sqlite:///{folder / 'store.db'}"})
    storage = open_storage(connection, "Shop")
    registry = Registry()
    registry.orchestrators.add("order", order)
    registry.activities.add("pay", lambda amount: amount)
    worker = Worker(storage, registry)
    await worker.create_hub()
    client = Client(storage, worker=worker)
    for instance_id, version in ("waiting", "2"), ("newer", "3"), ("ended", "2"):
        await client.start_new("order", instance_id, 5, version)
        while len((await storage.read(instance_id)).tail) < 2:
            await worker.clock.sleep(0.01)
    await client.terminate("ended", "enough")
    await worker.handle_control(*(await _message(storage, worker)))
    yield storage
    await worker.stop()
    await storage.close()


async def _message(storage, worker):
    [message] = await storage.receive(worker.queues.control[0], count=1, invisibility=30)
    return message.body, message.message_id


def run(folder, *arguments, **environment):
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100 - entries may be relative
    cleared = {name: value for name, value in os.environ.items() if name != "AzureWebJobsStorage"}
    return subprocess.run(
        [sys.executable, "-m", "perdure.cli.main", *arguments],
        cwd=folder,
        env={**cleared, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def change(folder, what="ship"):
    (folder / "function_app.py").write_text(APP.replace('"pay"', f'"{what}"'))


async def rows(storage):
    return [await storage.read(each) for each in ("waiting", "newer", "ended")]


async def test_a_history_is_exported_and_replayed(folder, hub):
    before = await rows(hub)
    shown = run(folder, "history", "waiting")
    assert shown.returncode == 0, shown.stderr
    history = RecordedHistory.from_json(shown.stdout)  # the app's own line is not in it
    assert "a line of the app's own" in shown.stderr
    assert (history.hub, history.instance.instance_id, len(history.turns)) == ("Shop", "waiting", 2)
    assert_replays(history, order)

    saved = run(folder, "history", "ended", "--output", "ended.json")
    assert (saved.returncode, saved.stdout) == (0, "")
    assert run(folder, "history", "waiting", "-o", "waiting.json").returncode == 0

    done = run(folder, "replay", "waiting.json", "ended.json")
    assert (done.returncode, done.stdout) == (
        0,
        "ok       waiting (order, version 2)\nok       ended (order, version 2)\n",
    )
    assert done.stderr.endswith("2 histories: 2 ok.\n")
    change(folder)
    done = run(folder.parent, "replay", f"{folder.name}/waiting.json", "--app-dir", folder.name)
    assert done.returncode == 1
    assert done.stdout.startswith("differs  waiting (order, version 2): in turn 1 (")
    assert "history records activity 'pay' (#0), but the code now asks for activity 'ship' (#0)" in done.stdout
    assert done.stderr.endswith("1 history: 1 differs.\n")
    assert await rows(hub) == before


async def test_instances_of_the_hub_are_replayed(folder, hub):
    done = run(folder, "replay", "--running", "--instance", "ended")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ok       ended (order, version 2)",
        "skipped  newer (order, version 3): this app has version 2 and does not run it",
        "ok       waiting (order, version 2)",
    ]
    assert done.stderr.endswith("3 histories: 1 skipped, 2 ok.\n")
    (folder / "function_app.py").write_text(APP.replace("def order(", "def renamed("))
    done = run(folder, "replay", "--running")
    assert done.returncode == 1
    assert "differs  waiting (order, version 2): no orchestrator function is named 'order'" in done.stdout


async def test_an_empty_hub(folder, hub):
    for name in "waiting", "newer":
        row = await hub.read(name)
        row.instance.status = OrchestrationRuntimeStatus.Terminated
        await hub.replace(row)
    done = run(folder, "replay", "--running")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("Nothing to replay: no instance is unfinished.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["replay"], "Say what to replay: files, --instance ID, or --running."),
        (["replay", "nothing.json"], "nothing.json can't be read: No such file or directory."),
        (["replay", "host.json"], "host.json is no recorded history"),
        (["replay", "--instance", "nobody"], "there is no instance 'nobody' in task hub 'Shop'"),
        (["history", "nobody"], "there is no instance 'nobody' in task hub 'Shop'"),
        (["history", "waiting", "-o", "no/folder.json"], "can't be written"),
        (["history", "waiting", "--storage", "tape"], "--storage is 'tape'"),
        (["history", "waiting", "--storage", "embedded"], "which does not exist here"),
    ],
)
async def test_what_can_not_be_found(folder, hub, arguments, complaint):
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_an_app_that_is_none(folder):
    (folder / "function_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    with AppHarness(orchestrators=[order], activities={"pay": 1}) as harness:
        one = harness.start("order")
        harness.skip(timedelta(0))
        harness.history(one).save(folder / "one.json")
    done = run(folder, "replay", "one.json")
    assert done.returncode == 2
    assert "The app in function_app.py is no durable one" in done.stderr
    assert not (folder / "store.db").exists()
