"""How long what can't go on waits for a deployment, or for another worker."""

from itertools import count

from perdure.engine.blocking import delay_for_others, waited_for_function
from perdure.engine.settings import EngineSettings


def _tries(settings):
    return next(tries for tries in count() if waited_for_function(tries, settings))


def test_a_function_is_waited_for_by_the_clock_and_looked_for_often():
    settings = EngineSettings()
    delays = [delay_for_others(tries, settings) for tries in range(_tries(settings))]
    assert 300 <= sum(delays) < 330
    assert max(delays) <= 30
    assert 0.9 ** len(delays) < 0.1, "one worker of ten has it: it is found in nine runs of ten"


def test_quick_retries_do_not_use_up_the_wait():
    settings = EngineSettings(blocked_delay=0.01)
    assert sum(delay_for_others(tries, settings) for tries in range(_tries(settings))) >= 300


def test_no_wait_at_all():
    assert waited_for_function(0, EngineSettings(unknown_function_timeout=0))
