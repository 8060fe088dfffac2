"""Hosts behind a proxy that drops, delays and refuses: nothing is lost, and each signal counts once."""

from __future__ import annotations

import pytest

from tests.faults.conftest import HUB, SECONDS, SEED, Hosts
from tests.faults.fault_proxy import CALM, CHAOS, Fate, FaultProxy
from tests.faults.load import Load, Observer, plan
from tests.hosts.conftest import Deployment

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(240 + 3 * SECONDS)]

ROUNDS = 2 if SECONDS < 60 else 20


def test_hosts_behind_a_bad_network_lose_and_repeat_nothing(kept_azurite, app_folder):
    behind = Deployment(app_folder, kept_azurite.connection_string, HUB)
    with FaultProxy(kept_azurite.ports, SEED, CALM) as proxy:
        deployment = Deployment(app_folder, proxy.connection_string, HUB)
        with Hosts(deployment) as hosts:
            proxy.fates = CHAOS
            load = Load(deployment, behind, hosts.living)
            with Observer(behind, load.ids) as observer:
                for each in plan(SEED, ROUNDS):
                    load.start(each)
                    if each.name == "told":
                        load.say_words(each)
                settled = load.wait_until_over(120 + 2 * SECONDS)
            counts, proxy.fates = proxy.counts.copy(), CALM
    figures = load.judge(observer.recorded)
    print(f"seed {SEED}: settled after {settled:.1f} s; {dict(figures)}; requests: {dict(counts)}")  # noqa: T201 - the figures are the point
    assert all(counts[fate] for fate in Fate)
