"""`perdure start` from outside: real processes, real ports, the embedded store."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.local.running_host import RunningHost, lives, rewrite, wait_until, write_app

EMBEDDED = ("--storage", "embedded")
FAST = {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:01"}}}

HELLO = """
@app.route(route="hello/{name?}", methods=["GET"])
def hello(req: func.HttpRequest) -> str:
    return f"{SALUTE} {req.route_params.get('name')}"
""".replace("{SALUTE}", "Hello")

QUEUE = """
LEDGER = Path(__file__).with_name("ledger.txt")

def note(text):
    with LEDGER.open("a") as ledger:
        ledger.write(text + "\\n")

@app.route(route="put", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="work", connection="AzureWebJobsStorage")
def put(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set(req.get_body().decode())
    return "taken"
"""

WORK = (
    QUEUE
    + """
@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage):
    body = msg.get_body().decode()
    note(f"begin {body} {msg.dequeue_count}")
    while body.startswith("slow") and not Path(__file__).with_name("go").exists():
        time.sleep(0.02)
    note(f"end {body}")
"""
)


def ledger(folder):
    path = folder / "ledger.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_an_app_runs_with_all_its_triggers(tmp_path):
    source = (
        HELLO
        + WORK
        + """
@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
async def tick(timer: func.TimerRequest):
    logging.info("tick, past due: %s", timer.past_due)

@app.blob_trigger(arg_name="blob", path="a/b", connection="AzureWebJobsStorage")
def seen(blob): ...
"""
    )
    app = write_app(tmp_path / "app", source, settings={"A_SETTING": "x", "MINE": "1"}, host_json=FAST)
    with RunningHost(app, *EMBEDDED, environ={"A_SETTING": "secret"}) as host:
        host.wait_ready()
        assert "Settings of the environment win over those in local.settings.json: A_SETTING" in host.lines
        assert "secret" not in host.text
        assert "AzureWebJobsStorage is the embedded store in .perdure/store.db (--storage embedded)." in host.lines
        assert f"        hello: [GET] {host.url}/api/hello/{{name?}}" in host.lines
        assert "        work: queueTrigger" in host.lines
        assert "        seen: blobTrigger (this host does not run such triggers)" in host.lines
        assert host.request("/api/hello/W%2Forld") == (200, "Hello W/orld")
        assert host.request("/api/hello", method="DELETE")[0] == 405
        assert host.request("/admin/host/status")[0] == 200
        assert host.request("/api/put", "a message") == (200, "taken")
        wait_until(lambda: ledger(app) == ["begin a message 1", "end a message"], "the message")
        stamp = r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "
        host.wait_for(stamp + r"tick, past due: False$", times=2)
        host.wait_for(
            stamp + r"Executing 'Functions\.work' \(Reason='New queue message detected on 'work'\.', Id=\S+\)$"
        )
        host.wait_for(stamp + r"Executed 'Functions\.work' \(Succeeded, Id=\S+, Duration=\d+ms\)$")
        host.signal()
        assert host.wait_exit() == 0
        assert not lives(host.host_pids[0])
    assert (app / ".perdure" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_ctrl_c_lets_running_functions_finish(tmp_path):
    app = write_app(tmp_path / "app", WORK, host_json=FAST)
    with RunningHost(app, *EMBEDDED) as host:
        host.wait_ready()
        host.request("/api/put", "slow")
        wait_until(lambda: ledger(app), "the start of the function")
        host.signal()
        host.wait_for("^Stopping: waiting")
        (app / "go").touch()
        assert host.wait_exit() == 0
        host.wait_for(r"Executed 'Functions\.work' \(Succeeded")
    assert ledger(app) == ["begin slow 1", "end slow"]
    with RunningHost(app, *EMBEDDED) as host:
        host.wait_ready()
        host.request("/api/put", "second")
        wait_until(lambda: "end second" in ledger(app), "the second message")
    assert ledger(app) == ["begin slow 1", "end slow", "begin second 1", "end second"]


@pytest.mark.parametrize("options", [(), ("--no-reload",)], ids=["supervised", "one process"])
def test_a_second_ctrl_c_exits_at_once_and_the_message_stays(tmp_path, options):
    app = write_app(tmp_path / "app", WORK, host_json=FAST)
    with RunningHost(app, *EMBEDDED, "--invisibility", "2", *options) as host:
        host.wait_ready()
        host.request("/api/put", "slow")
        wait_until(lambda: ledger(app), "the start of the function")
        host.signal()
        host.wait_for("^Stopping: waiting")

        def exited():
            host.signal()
            return host.process.poll() is not None

        wait_until(exited, "the exit")
        assert host.wait_exit() == 130
        wait_until(lambda: not lives(host.host_pids[0]), "the end of the host process")
    (app / "go").touch()
    with RunningHost(app, *EMBEDDED, *options) as host:
        host.wait_ready()
        wait_until(lambda: "end slow" in ledger(app), "the redelivery")
    assert ledger(app) == ["begin slow 1", "begin slow 2", "end slow"]


def test_a_killed_host_process_is_started_again_and_its_message_redelivered(tmp_path):
    app = write_app(tmp_path / "app", HELLO + WORK, host_json=FAST)
    with RunningHost(app, *EMBEDDED, "--invisibility", "1") as host:
        host.wait_ready()
        host.request("/api/put", "slow")
        wait_until(lambda: ledger(app), "the start of the function")
        os.kill(host.host_pids[0], signal.SIGKILL)
        host.wait_for(r"^The host process ended \(killed by SIGKILL\)\. Starting it again in 0\.5 s\.$")
        (app / "go").touch()
        host.wait_ready(times=2)
        wait_until(lambda: "end slow" in ledger(app), "the redelivery")
        assert host.request("/api/hello/again") == (200, "Hello again")
        assert len(set(host.host_pids)) == 2
        host.signal()
        assert host.wait_exit() == 0
    assert ledger(app) == ["begin slow 1", "begin slow 2", "end slow"]


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    with RunningHost(app) as host:
        host.wait_ready()
        host.process.kill()
        wait_until(lambda: not lives(host.host_pids[0]), "the end of the host process")


def test_the_host_process_can_be_stopped_by_its_own_id(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    with RunningHost(app) as host:
        host.wait_ready()
        os.kill(host.host_pids[0], signal.SIGTERM)
        assert host.wait_exit() == 0


def test_without_reload_all_is_one_process(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    with RunningHost(app, "--no-reload") as host:
        host.wait_ready()
        assert host.host_pids == [host.process.pid]
        assert host.request("/api/hello/one") == (200, "Hello one")
        host.signal(signal.SIGTERM)
        assert host.wait_exit() == 0


def test_a_change_restarts_the_functions_and_a_broken_one_waits_for_the_next(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    with RunningHost(app) as host:
        host.wait_ready()
        (app / "notes.txt").write_text("not code", encoding="utf-8")
        rewrite(app, HELLO.replace("Hello", "Bye"))
        host.wait_for(r"^Changed: function_app\.py\. Restarting the functions\.$")
        host.wait_ready(times=2)
        assert host.request("/api/hello/you") == (200, "Bye you")

        rewrite(app, HELLO + "\ndef helper():\n    return undefined_name\n\nhelper()\n")
        host.wait_for(r"^function_app\.py, line \d+: NameError: name 'undefined_name' is not defined$")
        host.wait_for(r"    return undefined_name$")
        host.wait_for(r"^Waiting for the next change\.$")
        assert "importlib" not in host.text

        rewrite(app, HELLO)
        host.wait_ready(times=3)
        assert host.request("/api/hello/you") == (200, "Hello you")
        assert "notes.txt" not in host.text
        host.signal()
        assert host.wait_exit() == 0


def test_a_change_does_not_interrupt_a_running_function(tmp_path):
    app = write_app(tmp_path / "app", WORK, host_json=FAST)
    with RunningHost(app, *EMBEDDED) as host:
        host.wait_ready()
        host.request("/api/put", "slow")
        wait_until(lambda: ledger(app), "the start of the function")
        rewrite(app, HELLO + WORK)
        host.wait_for("^Stopping: waiting")
        (app / "go").touch()
        host.wait_ready(times=2)
        assert host.request("/api/hello/new") == (200, "Hello new")
    assert ledger(app) == ["begin slow 1", "end slow"]


def test_a_message_that_always_fails_ends_in_the_poison_queue(tmp_path):
    source = (
        QUEUE
        + """
@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
async def work(msg: func.QueueMessage):
    raise ValueError(f"no good: {msg.get_body().decode()}")

@app.queue_trigger(arg_name="msg", queue_name="work-poison", connection="AzureWebJobsStorage")
def bury(msg: str):
    note(f"buried {msg}")
"""
    )
    app = write_app(tmp_path / "app", source, host_json=FAST)
    with RunningHost(app, *EMBEDDED) as host:
        host.wait_ready()
        host.request("/api/put", '{"id": 1}')
        wait_until(lambda: ledger(app) == ['buried {"id": 1}'], "the poisoned message")
        host.wait_for(r"ValueError: no good: \{\"id\": 1\}$", times=5)
        host.wait_for(r"has reached MaxDequeueCount of 5\. Moving message to queue 'work-poison'\.$")


def test_internal_functions_show_only_with_verbose(tmp_path):
    app = write_app(tmp_path / "app", HELLO + 'app.internal_functions = frozenset({"hello"})\n')
    with RunningHost(app) as host:
        host.wait_ready()
        host.request("/api/hello/x")
        assert "        and 1 of the app's own (--verbose shows them)" in host.lines
        assert "Functions.hello" not in host.text
    with RunningHost(app, "--verbose") as host:
        host.wait_ready()
        host.request("/api/hello/x")
        host.wait_for(r"Executed 'Functions\.hello' \(Succeeded")
        assert any(line.startswith("        hello: [GET]") for line in host.lines)


def start_and_fail(folder, *options, environ=None):
    """Run a start that must fail; return its exit code and what it said."""
    with RunningHost(folder, *options, environ=environ) as host:
        return host.wait_exit(), host.text


def test_no_function_app(tmp_path):
    code, text = start_and_fail(tmp_path, *EMBEDDED)
    assert code == 1
    assert re.fullmatch(r"No function_app\.py in \S+\. Run this in the folder of a Function app.*--app-dir\.", text)
    assert not (tmp_path / ".perdure").exists()


def test_no_host_json(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    (app / "host.json").unlink()
    code, text = start_and_fail(app)
    assert code == 1
    assert re.fullmatch(r'No host\.json in \S+\. Create one; the smallest is \{"version": "2\.0"\}\.', text)


def test_no_such_folder(tmp_path):
    code, text = start_and_fail(tmp_path / "nowhere")
    assert code == 1
    assert re.fullmatch(r"There is no folder \S+/nowhere\. Give .* --app-dir\.", text)


def test_malformed_settings(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    (app / "local.settings.json").write_text('{\n  "Values": {"A": 1,}\n}', encoding="utf-8")
    code, text = start_and_fail(app)
    assert code == 1
    assert re.fullmatch(r"local\.settings\.json is not valid JSON: .* at line 2, column \d+\.", text)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nowhere_to_be_found", r"function_app\.py, line 6: ModuleNotFoundError: .*requirements\.txt.*"),
        ("def f(:", r"function_app\.py, line 6: SyntaxError: .*"),
        ("other = func.FunctionApp()", r"function_app\.py has several apps \(app, other\)\..*"),
        ("alias = app", r"function_app\.py binds the app to several names \(app, alias\)\..*"),
        (WORK, r"Function put, binding out: The connection 'AzureWebJobsStorage' is not set\..*--storage embedded.*"),
    ],
    ids=["import", "syntax", "two apps", "two names", "no storage"],
)
def test_what_is_wrong_with_the_app_is_told_in_one_line(tmp_path, source, said):
    code, text = start_and_fail(write_app(tmp_path / "app", source))
    assert code == 1
    assert re.fullmatch(said, text), text


def test_a_port_that_is_taken(tmp_path):
    app = write_app(tmp_path / "app", HELLO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = start_and_fail(app, "--port", str(port))
    assert code == 1
    assert re.fullmatch(rf"Port {port} on 127\.0\.0\.1 is in use\. .* perdure start --port {port + 1}\.", text)


def test_an_unknown_storage(tmp_path):
    code, text = start_and_fail(write_app(tmp_path / "app", HELLO), "--storage", "floppy")
    assert (code, text) == (2, "--storage is 'floppy': it must be embedded or azurite.")


def test_the_version():
    command = [sys.executable, "-m", "perdure.cli.main", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"perdure \S+\n", shown)
