import json
from datetime import timedelta

import pytest

from perdure.local.errors import HostError
from perdure.local.settings import apply_values, read_host_json, read_local_settings, resolve_expressions


def write(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_defaults_are_those_of_the_functions_host(tmp_path):
    write(tmp_path, "host.json", {"version": "2.0"})
    extensions = read_host_json(tmp_path).extensions
    assert extensions.http.route_prefix == "api"
    assert extensions.queues.batch_size == 16
    assert extensions.queues.new_batch_threshold is None
    assert extensions.queues.max_polling_interval == timedelta(minutes=1)
    assert extensions.queues.visibility_timeout == timedelta(0)
    assert extensions.queues.max_dequeue_count == 5
    assert extensions.queues.message_encoding == "base64"


def test_values_are_read_and_the_rest_is_ignored(tmp_path):
    queues = {"batchSize": 32, "maxPollingInterval": "00:00:02", "messageEncoding": "none", "maxDequeueCount": None}
    content = {"version": "2.0", "extensions": {"queues": queues, "http": {"routePrefix": ""}, "durableTask": {}}}
    write(tmp_path, "host.json", content)
    extensions = read_host_json(tmp_path).extensions
    assert extensions.queues.batch_size == 32
    assert extensions.queues.max_polling_interval == timedelta(seconds=2)
    assert extensions.queues.message_encoding == "none"
    assert extensions.queues.max_dequeue_count == 5
    assert extensions.http.route_prefix == ""


def test_comments_and_a_byte_order_mark_are_fine(tmp_path):
    text = '\ufeff{ // the version\n "version": "2.0", /* more\n */ "logging": {"logLevel": {"default": "// none"}}}'
    write(tmp_path, "host.json", text)
    assert read_host_json(tmp_path).logging.log_level == {"default": "// none"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"version": "2.0",\n  /* x */ oops}', r"host.json is not valid JSON: .* at line 2, column 11\."),
        ("[]", "must hold a JSON object"),
        ({"extensions": {"queues": {"batchSize": 33}}}, r"host.json: extensions.queues.batchSize: .*32"),
        ({"extensions": {"queues": {"maxPollingInterval": 5}}}, r"queues.maxPollingInterval: 5 is not a duration"),
        ({"extensions": {"queues": {"messageEncoding": "utf8"}}}, "queues.messageEncoding: .*base64"),
        ({"extensions": []}, "host.json: extensions: "),
    ],
)
def test_what_is_wrong_with_host_json_is_told_in_one_line(tmp_path, content, complaint):
    write(tmp_path, "host.json", content)
    with pytest.raises(HostError, match=complaint) as raised:
        read_host_json(tmp_path)
    assert "\n" not in str(raised.value)


def test_local_settings_may_be_missing(tmp_path):
    assert read_local_settings(tmp_path).values == {}


def test_local_settings(tmp_path):
    host = {"LocalHttpPort": 8000, "CORS": "*"}
    write(tmp_path, "local.settings.json", {"Values": {"A": "x", "B": 1, "C": True}, "Host": host})
    settings = read_local_settings(tmp_path)
    assert settings.values == {"A": "x", "B": "1", "C": "true"}
    assert (settings.host.port, settings.host.cors) == (8000, "*")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"IsEncrypted": True}, "func settings decrypt"),
        ({"Values": {"A": {}}}, r"local.settings.json: Values.A: a setting must be a string"),
        ({"Host": {"LocalHttpPort": 70000}}, "Host.LocalHttpPort"),
        ('{"Values": }', "line 1, column 12"),
    ],
)
def test_what_is_wrong_with_local_settings_is_told_in_one_line(tmp_path, content, complaint):
    write(tmp_path, "local.settings.json", content)
    with pytest.raises(HostError, match=complaint) as raised:
        read_local_settings(tmp_path)
    assert "\n" not in str(raised.value)


def test_the_environment_wins_and_the_losers_are_named(tmp_path):
    write(tmp_path, "local.settings.json", {"Values": {"NEW": "1", "SAME": "2", "OTHER": "3"}})
    environ = {"SAME": "2", "OTHER": "x"}
    assert apply_values(read_local_settings(tmp_path), environ) == ["OTHER"]
    assert environ == {"NEW": "1", "SAME": "2", "OTHER": "x"}


def test_expressions():
    assert resolve_expressions("%A%-x-%B%", {"A": "1", "B": "2"}, "The queue") == "1-x-2"
    assert resolve_expressions("100%", {}, "The queue") == "100%"
    with pytest.raises(HostError, match="The queue says %C%, but there is no setting C"):
        resolve_expressions("%C%", {}, "The queue")
