"""`perdure poison` as an operator uses it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from perdure.core.codec import encode_message
from perdure.core.messages import RaiseEvent
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.storage.connection import resolve_connection
from perdure.storage.opening import open_storage

HOST_JSON = '{"version": "2.0", "extensions": {"durableTask": {"hubName": "Shop"}}}'
APP = "import perdure_functions as df\n\nprint('a line of the app')\napp = df.DFApp()\n"


@pytest.fixture
def folder(tmp_path):
    settings = {"Values": {"AzureWebJobsStorage": f"sqlite:///{tmp_path / 'store.db'}"}}
    (tmp_path / "host.json").write_text(HOST_JSON)
    (tmp_path / "local.settings.json").write_text(json.dumps(settings))
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


@pytest.fixture
async def worker(folder):
    """A worker on the app's hub, with three parked messages, two of them for one instance."""
    storage = open_storage(resolve_connection("S", {"S": f"sqlite:///{folder / 'store.db'}"}), "Shop")
    worker = Worker(storage, Registry())
    await worker.create_hub()
    for number, instance_id in enumerate(("one", "two", "two")):
        message = RaiseEvent(to=instance_id, id=f"m{number}", name="go", data=str(number))
        await worker.handle_poisoned_control(encode_message(message), f"q{number}")
    yield worker
    await worker.stop()
    await storage.close()


def run(folder, *arguments):
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100 - may be relative
    cleared = {name: value for name, value in os.environ.items() if name != "AzureWebJobsStorage"}
    return subprocess.run(
        [sys.executable, "-m", "perdure.cli.main", "poison", *arguments],
        cwd=folder,
        env={**cleared, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def listed(folder, *arguments):
    done = run(folder, "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_messages_are_listed_and_shown(folder, worker):
    lines = run(folder, "list").stdout.splitlines()
    assert [line.split("  ")[2:4] for line in lines] == [["RaiseEvent", each] for each in ("one", "two", "two")]
    (own,) = listed(folder, "--instance", "one")
    shown = json.loads(run(folder, "show", own["id"]).stdout)
    assert shown == own | {"body": '["event","one","m0",0,"go","0"]'}


async def test_messages_are_sent_again_and_discarded(folder, worker):
    first = listed(folder)[0]["id"]
    assert run(folder, "retry", first).stdout == f"{first}  RaiseEvent  one  sent again\n"
    assert await worker.storage.queue_length("shop-control") == 1
    assert run(folder, "discard", "--all", "--instance", "two").stdout.count("discarded") == 2
    nothing = run(folder, "discard", "--all", "--instance", "two")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "There are no poison messages." in nothing.stderr
    done = run(folder, "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "There are no poison messages." in done.stderr
    assert await worker.storage.queue_length("shop-control") == 1


async def test_an_id_that_is_unknown_does_not_keep_the_others_from_being_dealt_with(folder, worker):
    first, second, _ = (message["id"] for message in listed(folder))
    done = run(folder, "discard", first, "0123456789abcdef", second)
    assert done.returncode == 2
    assert done.stdout.count("discarded") == 2
    assert "task hub 'Shop' has no poison message '0123456789abcdef'" in done.stderr
    assert len(listed(folder)) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "0123456789abcdef"], "task hub 'Shop' has no poison message '0123456789abcdef'"),
        (["retry", "../one"], "task hub 'Shop' has no poison message '../one'"),
        (["retry"], "Say which messages"),
        (["discard", "0123456789abcdef", "--all"], "exclude each other"),
        (["discard", "--instance", "one"], "Say which messages"),
    ],
)
async def test_what_makes_no_sense_is_told_in_a_line(folder, worker, arguments, complaint):
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert len(listed(folder)) == 3


def test_a_hub_that_does_not_exist_is_not_made(folder):
    done = run(folder, "list")
    assert done.returncode == 2
    assert "Task hub 'Shop' is in" in done.stderr
    assert not (folder / "store.db").exists()


def test_where_no_store_answers_the_choice_of_the_host_is_recalled(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    endpoints = ";".join(f"{service}Endpoint=http://127.0.0.1:{port}/one" for service in ("Blob", "Queue", "Table"))
    connection = f"DefaultEndpointsProtocol=http;AccountName=one;AccountKey=c29tZWtleQ==;{endpoints}"
    (folder / "local.settings.json").write_text(json.dumps({"Values": {"AzureWebJobsStorage": connection}}))
    done = run(folder, "list")
    assert done.returncode == 1
    assert "can't be reached" in done.stderr
    assert done.stderr.endswith("Was the app started with --storage embedded or azurite? Then say the same here.\n")
    assert "Traceback" not in done.stderr
