"""`kill -9` of hosts under load, at random moments: nothing is lost, no recorded step runs again."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.faults.conftest import HUB, SECONDS, SEED, Hosts
from tests.faults.load import Load, Observer, plan
from tests.hosts.conftest import Deployment

pytestmark = pytest.mark.timeout(120 + 3 * SECONDS)


def kill_at_random(hosts: Hosts, ending: threading.Event) -> None:
    draw = random.Random(SEED)
    while not ending.wait(draw.uniform(0.3, 2.5)):
        hosts.kill_one(draw)


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def store(request):
    return request.param


@pytest.fixture
def deployment(store, request, app_folder, tmp_path):
    if store == "embedded":
        return Deployment(app_folder, f"sqlite:///{tmp_path / 'store.db'}", HUB)
    return Deployment(app_folder, request.getfixturevalue("kept_azurite").connection_string, HUB)


def test_hosts_that_are_killed_under_load_lose_and_repeat_nothing(store, deployment):
    seconds = SECONDS if store == "azurite" else SECONDS / 2  # which gets through several times as much
    with Hosts(deployment) as hosts:
        load = Load(deployment, deployment, hosts.living)
        ending = threading.Event()
        killer = threading.Thread(target=kill_at_random, args=(hosts, ending))
        with Observer(deployment, load.ids) as observer:
            killer.start()
            try:
                begun, number = time.monotonic(), 0
                while time.monotonic() - begun < seconds:
                    for each in plan(SEED + number, 1, first=number):
                        load.start(each)
                        if each.name == "told":
                            load.say_words(each)
                    number += 1
            finally:
                ending.set()
                killer.join(60)
            settled = load.wait_until_over(60 + seconds)
    figures = load.judge(observer.recorded)
    print(f"seed {SEED}: {hosts.kills} kills in {seconds:g} s, settled {settled:.1f} s later: {dict(figures)}")  # noqa: T201 - the figures are the point
    assert hosts.kills > seconds / 5
