"""Retry policies: when the next attempt begins, and when there is none."""

from datetime import timedelta

import pytest

from perdure.core.failure import Failure, TaskFailedError, failure_of
from perdure.core.retry import RetryOptions, RetryPolicy, next_wait
from tests.core.driving import NOON, Driver, done, failed, fired

ERROR = TaskFailedError("activity 'pay'", Failure("E", "m"))


def wait_after(policy, error=ERROR, attempts=1, draw=0.5):
    return next_wait(policy, attempts=attempts, first_began=NOON, now=NOON, error=error, draw=lambda: draw)


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
        next_wait(each, attempts=2, first_began=NOON, now=NOON, error=ERROR, draw=lambda: 0.5)
        for each in (options, policy)
    ]
    assert waits == [timedelta(seconds=3)] * 2


def test_a_policy_gives_up_when_its_time_is_up_and_never_overflows():
    policy = RetryPolicy(timedelta(seconds=10), 10_000, 10, retry_timeout=timedelta(days=9999))
    assert wait_after(policy, attempts=5_000) == timedelta(days=3650)
    short = RetryPolicy(timedelta(seconds=10), 10, retry_timeout=timedelta(seconds=15))
    assert next_wait(short, attempts=1, first_began=NOON, now=NOON, error=ERROR, draw=lambda: 0.5)
    later = NOON + timedelta(seconds=6)
    assert next_wait(short, attempts=1, first_began=NOON, now=later, error=ERROR, draw=lambda: 0.5) is None


def raised(error):
    try:
        raise error
    except (OSError, TaskFailedError) as caught:
        return TaskFailedError("activity 'pay'", failure_of(caught))


class Declined(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("non_retryable", "goes_on"),
    [
        ((ConnectionError,), False),
        ((Declined,), False),
        (("Declined",), False),
        (("ConnectionError",), False),
        (("OSError",), False),
        ((Exception,), False),
        ((ValueError, "KeyError"), True),
        ((), True),
    ],
)
def test_types_that_end_retrying(non_retryable, goes_on):
    policy = RetryPolicy(timedelta(seconds=1), 5, non_retryable=non_retryable)
    assert (wait_after(policy, raised(Declined("no"))) is not None) == goes_on


def test_a_failure_passed_on_by_a_child_is_known_by_its_own_type():
    inner = raised(Declined("no"))
    passed_on = raised(inner)
    assert wait_after(RetryPolicy(timedelta(seconds=1), 5, non_retryable=[Declined]), passed_on) is None


def test_a_handler_decides():
    seen = []

    def handle(error):
        seen.append((error.message, error.properties))
        return error.message != "no"

    policy = RetryOptions(1000, 5, handle=handle)
    assert wait_after(policy, raised(Declined("later"))) == timedelta(seconds=1)
    assert wait_after(policy, raised(Declined("no"))) is None
    assert [message for message, _ in seen] == ["later", "no"]


@pytest.mark.parametrize(("draw", "seconds"), [(0.0, 5), (0.5, 10), (1.0, 15)])
def test_jitter_makes_waits_shorter_or_longer(draw, seconds):
    assert wait_after(RetryPolicy(timedelta(seconds=10), 5, jitter=0.5), draw=draw) == timedelta(seconds=seconds)


@pytest.mark.parametrize("jitter", [-0.1, 1.1])
def test_jitter_is_a_part(jitter):
    with pytest.raises(ValueError, match="jitter must be from 0 to 1"):
        RetryPolicy(timedelta(seconds=1), 2, jitter=jitter)


@pytest.mark.parametrize("types", ["ValueError", {ValueError}])
def test_non_retryable_types_are_listed(types):
    with pytest.raises(TypeError, match="non_retryable takes a list"):
        RetryPolicy(timedelta(seconds=1), 2, non_retryable=types)


def test_the_old_names_of_the_options():
    options = RetryOptions(1000, 3, 2, 5000, 60_000, 0.1, (ValueError,), bool)
    assert options.max_retry_interval_in_milliseconds == 5000
    assert options.retry_timeout_in_milliseconds == 60_000
    bare = RetryOptions(1000, 3)
    assert (bare.max_retry_interval_in_milliseconds, bare.retry_timeout_in_milliseconds) == (None, None)


@pytest.mark.parametrize("cold", [False, True])
def test_jitter_is_the_same_in_every_replay(cold):
    def flow(context):
        return (yield context.call_activity("pay", retry_policy=RetryPolicy(timedelta(seconds=10), 3, jitter=0.9)))

    driver = Driver(flow, cold=cold)
    driver.start()
    [timer] = driver.turn(failed(0))
    wait = (timer.fire_at - driver.now).total_seconds()
    assert 1 < wait < 19
    assert wait != 10
    driver.turn(fired(1), after=20)
    [second] = driver.turn(failed(2))
    assert (second.fire_at - driver.now).total_seconds() != wait
    driver.turn(fired(3), after=20)
    driver.turn(done(4, "paid"))
    driver.replayed()
    assert driver.output == "paid"


@pytest.mark.parametrize("cold", [False, True])
def test_a_handler_that_raises_ends_the_retrying_with_its_own_error(cold):
    def broken(error):
        raise ZeroDivisionError("the handler is broken")

    def order(context):
        try:
            yield context.call_activity("pay", retry_policy=RetryPolicy(timedelta(seconds=1), 3, handle=broken))
        except ZeroDivisionError as error:
            return str(error)

    driver = Driver(order, cold=cold)
    driver.start()
    driver.turn(failed(0))
    assert driver.output == "the handler is broken"


def test_waits_and_timeouts_without_bounds_are_bounded():
    longest = RetryPolicy(timedelta.max, 3, max_retry_interval=timedelta.max, retry_timeout=timedelta.max)
    assert wait_after(longest) == timedelta(days=3650)


WRONG_TYPES = [
    (TypeError, "first_retry_interval is a timedelta", {"first_retry_interval": 5}),
    (TypeError, "first_retry_interval is a timedelta", {"first_retry_interval": None}),
    (TypeError, "retry_timeout is a timedelta", {"retry_timeout": 5}),
    (TypeError, "max_number_of_attempts is a whole number", {"max_number_of_attempts": 1.5}),
    (TypeError, "backoff_coefficient is a number", {"backoff_coefficient": "2"}),
    (TypeError, "jitter is a number", {"jitter": None}),
    (TypeError, "handle is a function", {"handle": 5}),
]


@pytest.mark.parametrize(("error", "told", "arguments"), WRONG_TYPES)
def test_policies_of_wrong_types(error, told, arguments):
    with pytest.raises(error, match=told):
        RetryPolicy(**({"first_retry_interval": timedelta(seconds=1), "max_number_of_attempts": 2} | arguments))


@pytest.mark.parametrize(
    ("error", "told", "milliseconds"),
    [
        (TypeError, "first_retry_interval_in_milliseconds is a number, not str", "5"),
        (ValueError, "first_retry_interval_in_milliseconds can't be nan", float("nan")),
        (ValueError, "first_retry_interval_in_milliseconds can't be inf", float("inf")),
        (ValueError, "first_retry_interval_in_milliseconds can't be 1000", 10**30),
    ],
)
def test_milliseconds_that_are_none(error, told, milliseconds):
    with pytest.raises(error, match=told):
        RetryOptions(milliseconds, 2)
