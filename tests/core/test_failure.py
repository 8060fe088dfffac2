"""Failures as data: bounded, readable, and safe to send."""

from __future__ import annotations

import json

import msgspec
import pytest

from perdure.core.data import INLINE_LIMIT, fits_inline, from_json, payload_of, reference, to_json
from perdure.core.failure import Failure, NonRetryableError, TaskFailedError, failure_of
from perdure.core.naming import check_instance_id, check_text, name_of
from perdure.core.retry import RetryOptions, RetryPolicy, next_wait
from perdure.errors import DataError
from tests.core.driving import NOON, timedelta


def raised(error, cause=None):
    try:
        if cause is not None:
            raise error from raised(cause)
        raise error
    except Exception as caught:  # noqa: BLE001 - whatever it is
        return caught


def test_a_failure_tells_type_message_stack_and_cause():
    failure = failure_of(raised(ValueError("no"), KeyError("deep")))
    assert (failure.type, failure.message) == ("ValueError", "no")
    assert "in raised" in failure.stack
    assert failure.inner.type == "KeyError"
    assert str(failure) == "ValueError: no"
    assert str(Failure("E", "")) == "E"


@pytest.mark.parametrize("character", ["x", "\n", "\x01", '"', "ü", "\U0001f600"])
def test_a_chain_of_causes_keeps_its_ends_and_fits_into_a_column(character):
    error = KeyError("at the bottom")
    for _ in range(10):
        error = raised(ValueError(character * 50_000), error)
    failure = failure_of(TaskFailedError("child", failure_of(TaskFailedError("activity", failure_of(error)))))
    written = msgspec.json.encode(failure).decode()
    assert len(written.encode("utf-16-le")) // 2 < 30 * 1024
    types = []
    while failure is not None:
        types.append(failure.type.rpartition(".")[2])
        failure = failure.inner
    assert types == ["TaskFailedError", "TaskFailedError", "ValueError", "ValueError", "KeyError"]


def test_lone_surrogates_are_escaped():
    assert failure_of(ValueError("\ud800")).message == "\\ud800"


def test_a_broken_str_is_told():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    assert failure_of(Broken()).message == "<its __str__ raised RuntimeError>"


def test_a_failed_task_is_told_with_its_origin():
    inner = failure_of(raised(ValueError("no"), KeyError("deep")))
    error = TaskFailedError("activity 'pay'", inner)
    assert str(error) == "activity 'pay' failed: ValueError: no"
    assert (error.error_type, error.message, error.stack_trace) == ("ValueError", "no", inner.stack)
    assert error.is_caused_by(KeyError)
    assert error.is_caused_by("ValueError")
    assert not error.is_caused_by(OSError)
    outer = failure_of(raised(error))
    assert (outer.type, outer.inner) == ("perdure.core.failure.TaskFailedError", inner)
    assert TaskFailedError("x", outer).is_caused_by("TaskFailedError")


def test_not_retryable_is_remembered():
    assert failure_of(NonRetryableError("no")).non_retryable


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, object()}, {(1, 2): 3}])
def test_what_has_no_json_form_is_told(value):
    with pytest.raises(DataError, match="the thing can't be written as JSON"):
        to_json(value, "the thing")


def test_a_value_that_holds_itself_is_told():
    value = []
    value.append(value)
    with pytest.raises(DataError):
        to_json(value)


def test_json_text_is_ascii_and_no_reference():
    assert to_json("ü\ud800") == '"\\u00fc\\ud800"'
    assert json.loads(to_json({"when": NOON, "some": {3}})) == {"when": "2026-03-01T12:00:00Z", "some": [3]}
    assert from_json(None) is None
    assert payload_of(to_json("@x")) is None
    assert payload_of(reference("p1")) == "p1"
    assert payload_of(None) is None


def test_quotes_count_twice():
    assert fits_inline("x" * INLINE_LIMIT)
    assert not fits_inline('"' * (INLINE_LIMIT - 1))


@pytest.mark.parametrize("instance_id", ["", "x" * 257, "\ud800"])
def test_instance_ids_that_cannot_be(instance_id):
    with pytest.raises(ValueError, match="instance id"):
        check_instance_id(instance_id)


def test_names_are_texts():
    with pytest.raises(TypeError, match="an instance id is a text, not int"):
        check_instance_id(7)
    with pytest.raises(TypeError, match="a name is a text"):
        check_text(7, "a name")
    with pytest.raises(ValueError, match="at most 3 characters"):
        check_text("long", "a name", 3)


def test_functions_are_named_by_text_or_themselves():
    def mine():
        pass

    assert name_of("theirs", "activity") == "theirs"
    assert name_of(mine, "activity") == "mine"
    mine.durable_name = "other"
    assert name_of(mine, "activity") == "other"
    with pytest.raises(TypeError, match="give its name or the decorated function, not int"):
        name_of(7, "sub-orchestrator")
    with pytest.raises(ValueError, match="the name of a sub-orchestrator"):
        name_of("x" * 2000, "sub-orchestrator")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"first_retry_interval_in_milliseconds": 0, "max_number_of_attempts": 1}, "first_retry_interval"),
        ({"first_retry_interval_in_milliseconds": 1, "max_number_of_attempts": 0}, "max_number_of_attempts"),
        (
            {"first_retry_interval_in_milliseconds": 1, "max_number_of_attempts": 1, "backoff_coefficient": 0.5},
            "backoff_coefficient",
        ),
    ],
)
def test_policies_that_make_no_sense(arguments, told):
    with pytest.raises(ValueError, match=told):
        RetryOptions(**arguments)


def test_milliseconds_and_timedeltas_say_the_same():
    options = RetryOptions(1500, 3, 2.0, 4000, 60_000)
    assert options.first_retry_interval_in_milliseconds == 1500
    policy = RetryPolicy(timedelta(seconds=1.5), 3, 2.0, timedelta(seconds=4), timedelta(minutes=1))
    waits = [
        next_wait(each, attempts=2, first_began=NOON, now=NOON, failure=Failure("E", "m")) for each in (options, policy)
    ]
    assert waits == [timedelta(seconds=3)] * 2


def test_a_policy_gives_up_when_its_time_is_up_and_never_overflows():
    policy = RetryPolicy(timedelta(seconds=10), 10_000, 10, retry_timeout=timedelta(days=9999))
    failure = Failure("E", "m")
    assert next_wait(policy, attempts=5_000, first_began=NOON, now=NOON, failure=failure) == timedelta(days=3650)
    short = RetryPolicy(timedelta(seconds=10), 10, retry_timeout=timedelta(seconds=15))
    assert next_wait(short, attempts=1, first_began=NOON, now=NOON, failure=failure)
    later = NOON + timedelta(seconds=6)
    assert next_wait(short, attempts=1, first_began=NOON, now=later, failure=failure) is None
