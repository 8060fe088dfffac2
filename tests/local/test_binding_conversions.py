from datetime import UTC, datetime

import azure.functions as func
import pytest

from perdure.local.conversions import (
    ConversionError,
    http_reply,
    http_request,
    queue_argument,
    queue_bodies,
    timer_argument,
    warmup_argument,
)
from perdure.storage.rows import QueueMessage

MESSAGE = QueueMessage(message_id="m1", receipt="r1", body='{"id": "ä", "dequeueCount": 9}', dequeue_count=3)
VISIBLE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_http_request_has_all_its_parts():
    request = http_request(
        method="post",
        url="http://localhost/api/x?a=1",
        headers={"content-type": "application/json"},
        query={"a": "1"},
        route_params={"id": "7"},
        body=b'{"x": 1}',
    )
    assert isinstance(request, func.HttpRequest)
    assert (request.method, request.url) == ("POST", "http://localhost/api/x?a=1")
    assert request.headers["Content-Type"] == "application/json"
    assert (dict(request.params), dict(request.route_params)) == ({"a": "1"}, {"id": "7"})
    assert (request.get_body(), request.get_json()) == (b'{"x": 1}', {"x": 1})


def test_a_json_object_body_reaches_a_queue_function_as_it_is():
    message = queue_argument(MESSAGE, VISIBLE, func.QueueMessage)
    assert isinstance(message, func.QueueMessage)
    assert message.get_body() == MESSAGE.body.encode()
    assert message.get_json() == {"id": "ä", "dequeueCount": 9}
    assert (message.id, message.dequeue_count, message.pop_receipt) == ("m1", 3, "r1")
    assert message.time_next_visible == VISIBLE


def test_a_queue_parameter_may_be_text_or_bytes():
    assert queue_argument(MESSAGE, VISIBLE, str) == MESSAGE.body
    assert queue_argument(MESSAGE, VISIBLE, bytes) == MESSAGE.body.encode()


def test_a_timer_tells_whether_it_is_past_due():
    timer = timer_argument(past_due=True, status={"Last": "x"}, annotation=func.TimerRequest)
    assert isinstance(timer, func.TimerRequest)
    assert timer.past_due
    assert timer.schedule_status == {"Last": "x"}
    assert '"IsPastDue": false' in timer_argument(past_due=False, status={}, annotation=str)


def test_a_warm_up_trigger_gets_its_context():
    assert type(warmup_argument()).__name__ == "WarmUpContext"


def test_responses():
    assert http_reply("hällo").body == "hällo".encode()
    assert http_reply("x").headers == [("content-type", "text/plain; charset=utf-8")]
    reply = http_reply(func.HttpResponse(b"{}", status_code=201, mimetype="application/json", headers={"X-A": "1"}))
    assert (reply.status, reply.body) == (201, b"{}")
    assert dict(reply.headers) == {"X-A": "1", "content-type": "application/json"}


def test_every_cookie_of_a_response_is_kept():
    response = func.HttpResponse("")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2")
    cookies = [value for name, value in http_reply(response).headers if name == "set-cookie"]
    assert cookies == ["a=1; HttpOnly; Path=/", "b=2"]


def test_what_is_no_response_is_refused():
    with pytest.raises(ConversionError, match="the http output can't take a value of type dict"):
        http_reply({})


@pytest.mark.parametrize(
    ("value", "bodies"),
    [
        ("a", ["a"]),
        ("ä".encode(), ["ä"]),
        (func.QueueMessage(body="b"), ["b"]),
        (["a", func.QueueMessage(body="b")], ["a", "b"]),
        ([], []),
    ],
    ids=["str", "bytes", "message", "list", "empty"],
)
def test_queue_outputs(value, bodies):
    assert queue_bodies(value) == bodies


def test_a_queue_output_must_be_text():
    with pytest.raises(ConversionError, match="UTF-8"):
        queue_bodies(b"\xff")
    with pytest.raises(ConversionError, match="type int"):
        queue_bodies(5)
