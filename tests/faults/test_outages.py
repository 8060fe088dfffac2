"""Azurite ends and comes back, its data on disk: what it acknowledged is there, and hosts go on by themselves."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.faults.conftest import HUB, SECONDS, SEED, Hosts
from tests.faults.load import WORDS, Load, plan
from tests.hosts.conftest import Deployment
from tests.local.running_host import wait_until

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(240 + 3 * SECONDS)]


def test_an_azurite_that_ends_and_comes_back_under_load_costs_nothing_but_time(kept_azurite, app_folder):
    deployment = Deployment(app_folder, kept_azurite.connection_string, HUB)
    ending, ends = threading.Event(), 0

    def end_at_random() -> None:
        nonlocal ends
        draw = random.Random(SEED)
        while not ending.wait(draw.uniform(1, 3)):
            kept_azurite.end()
            ends += 1
            time.sleep(draw.uniform(0, 1))  # an outage takes a while
            kept_azurite.come_back()

    with Hosts(deployment) as hosts:
        load = Load(deployment, deployment, hosts.living)
        ender = threading.Thread(target=end_at_random)
        ender.start()
        try:
            begun, number = time.monotonic(), 0
            while time.monotonic() - begun < SECONDS / 2:
                for each in plan(SEED + number, 1, first=number):
                    load.start(each)
                    if each.name == "told":
                        load.say_words(each)
                number += 1
        finally:
            ending.set()
            ender.join(60)
        settled = load.wait_until_over(90)
    figures = load.judge({})
    print(f"seed {SEED}: Azurite ended {ends} times, settled {settled:.1f} s later: {dict(figures)}")  # noqa: T201 - the figures are the point
    assert ends > 0


def test_an_azurite_that_is_killed_has_what_it_had_saved(kept_azurite, app_folder):
    deployment = Deployment(app_folder, kept_azurite.connection_string, HUB)
    waiting = [each for each in plan(SEED, 4) if each.name == "told"]
    with Hosts(deployment) as hosts:
        load = Load(deployment, deployment, hosts.living)
        for each in waiting:
            load.start(each)
        wait_until(load.are_running, "all wait")
        kept_azurite.save(deployment.storage)
        kept_azurite.kill()
        kept_azurite.come_back()
        for each in waiting:
            load.say_words(each)
        settled = load.wait_until_over(60)
    load.judge({})
    print(f"{len(waiting)} instances went on {settled:.1f} s after the last of {WORDS} events")  # noqa: T201 - the figures are the point
