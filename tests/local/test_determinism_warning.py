"""`perdure start` warns of orchestrators that can't be replayed, and runs the app all the same."""

import logging

import pytest

from perdure.local import determinism
from perdure.local.determinism import warn_of_findings
from tests.local.running_host import RunningHost, write_app

BAD = """
import perdure_functions as df

bp = df.Blueprint()

@bp.orchestration_trigger(context_name="context")
def run(context):
    yield context.create_timer(time.time())
"""
WARNING = r"^\[\S+Z\] function_app\.py:\d+:32: wall-clock: time\.time\(\) reads the machine's clock"


def test_a_host_that_starts_warns_and_serves(tmp_path):
    app = write_app(tmp_path / "app", BAD)
    with RunningHost(app, "--storage", "embedded") as host:
        host.wait_ready()
        host.wait_for(WARNING)
        assert host.request("/admin/host/status")[0] == 200


@pytest.mark.parametrize(("options", "environ"), [(["--no-check"], {}), ([], {"PERDURE_CHECK": "0"})])
def test_it_can_be_switched_off(tmp_path, options, environ):
    app = write_app(tmp_path / "app", BAD)
    with RunningHost(app, "--storage", "embedded", "--no-reload", *options, environ=environ) as host:
        host.wait_ready()
        assert "wall-clock" not in host.text


def test_ten_are_shown_and_the_rest_is_counted(tmp_path, caplog):
    lines = "".join("    time.time()\n" for _ in range(13))
    app = write_app(tmp_path / "app", f"@app.orchestration_trigger('c')\ndef run(c):\n{lines}")
    with caplog.at_level(logging.WARNING):
        warn_of_findings(app)
    assert len(caplog.messages) == 11
    assert all("wall-clock" in message for message in caplog.messages[:10])
    assert caplog.messages[10] == "... and 3 more: `perdure check` shows them all."


def test_a_check_that_fails_is_a_warning_itself(tmp_path, caplog, monkeypatch):
    def fail(_script):
        raise RecursionError("too deep")

    monkeypatch.setattr(determinism, "check_app", fail)
    with caplog.at_level(logging.WARNING):
        warn_of_findings(write_app(tmp_path / "app", ""))
    assert caplog.messages == ["The determinism check (--no-check leaves it out) failed: RecursionError: too deep"]


def test_an_app_without_findings_is_not_mentioned(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        warn_of_findings(write_app(tmp_path / "app", ""))
    assert caplog.messages == []
