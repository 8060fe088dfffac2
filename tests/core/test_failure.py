"""Failures as data: bounded, readable, and safe to send."""

from __future__ import annotations

import json

import msgspec
import pytest

from perdure.core.data import INLINE_LIMIT, fits_inline, from_json, payload_of, reference, to_json
from perdure.core.failure import Failure, NonRetryableError, TaskFailedError, failure_of
from perdure.core.naming import check_instance_id, check_text, name_of
from perdure.errors import DataError
from tests.core.driving import NOON


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


class PaymentError(ConnectionError):
    def __init__(self, message, **attributes):
        super().__init__(message)
        vars(self).update(attributes)


def described(error):
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - any error is to be described
        return failure_of(caught)


def test_a_failure_knows_what_its_error_derives_from():
    error = TaskFailedError("activity 'pay'", described(PaymentError("no")))
    for kind in (PaymentError, ConnectionError, OSError, Exception, "PaymentError", "OSError"):
        assert error.is_caused_by(kind)
    assert error.is_caused_by(f"{__name__}.PaymentError")
    assert not error.is_caused_by(ValueError)
    assert not error.is_caused_by("Error")


def test_a_failure_carries_the_errors_own_attributes():
    error = PaymentError("no", code=51, retry=False, who="bank", note=None, rate=0.5, _hidden="x", response=object())
    failure = described(error)
    assert failure.properties == {"code": 51, "retry": False, "who": "bank", "note": None, "rate": 0.5}
    assert TaskFailedError("activity 'pay'", failure).properties["code"] == 51


def test_attributes_that_cannot_be_stored_are_left_out():
    failure = described(PaymentError("no", nan=float("nan"), inf=float("-inf"), huge=10**5000, lone="\ud800", ok=1))
    assert failure.properties == {"lone": "\\ud800", "ok": 1}
    big = described(PaymentError("no", a="x" * 1_500, b="y" * 1_500, c=1))
    assert list(big.properties) == ["a"]
    assert described(StopAsyncIteration()).properties == {}


def test_a_failure_of_a_childs_activity_reads_as_one_sentence():
    inner = TaskFailedError("activity 'pay'", described(PaymentError("no", code=51)))
    child = TaskFailedError("sub-orchestration 'order'", described(inner))
    assert str(child) == f"sub-orchestration 'order' failed: activity 'pay' failed: {__name__}.PaymentError: no"
    assert child.error_type == "perdure.core.failure.TaskFailedError"
    origin = child.details.inner_failure
    assert (origin.error_type, origin.message, origin.properties) == (f"{__name__}.PaymentError", "no", {"code": 51})
    assert "described" in origin.stack_trace
    assert child.is_caused_by(PaymentError)
    assert child.details.is_a(PaymentError)


def test_causes_are_not_what_the_failure_is():
    def cause():
        try:
            raise KeyError("k")
        except KeyError as error:
            raise ValueError("v") from error

    try:
        cause()
    except ValueError as caught:
        failure = failure_of(caught)
    assert failure.is_a(ValueError)
    assert not failure.is_a(KeyError)
    assert failure.is_caused_by(KeyError)


def test_of_a_long_stack_the_innermost_part_is_kept():
    def deep(level):
        if level == 0:
            raise ValueError("bottom")
        deep_again(level)

    def deep_again(level):
        deep(level - 1)

    failure = described(RuntimeError("flat"))
    assert "[...]" not in failure.stack
    try:
        deep(100)
    except ValueError as error:
        failure = failure_of(error)
    assert failure.stack.startswith("[...] ")
    assert 'raise ValueError("bottom")' in failure.stack
    assert len(failure.stack) <= 8_010


def test_a_serializer_that_raises_is_told():
    from pydantic import BaseModel, field_serializer

    class Broken(BaseModel):
        value: int = 1

        @field_serializer("value")
        def write(self, _: int) -> int:
            raise RuntimeError("no")

    with pytest.raises(DataError, match="Broken has no JSON form"):
        to_json(Broken())
