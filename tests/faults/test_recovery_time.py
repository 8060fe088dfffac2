"""How long it takes until the work of a host that was killed is taken up by another one, or by its successor."""

from __future__ import annotations

import json
import time

import pytest

from tests.faults.conftest import HUB
from tests.hosts.conftest import Deployment
from tests.hosts.test_kill import entries, wait_completed
from tests.local.running_host import wait_until

INVISIBILITY = 3
ALLOWANCE = 2.0
"""Seconds for looking into the queue and beginning, on a machine that has other things to do."""


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, app_folder, tmp_path):
    if request.param == "embedded":
        return Deployment(app_folder, f"sqlite:///{tmp_path / 'store.db'}", HUB)
    return Deployment(app_folder, request.getfixturevalue("kept_azurite").connection_string, HUB)


def test_what_a_killed_host_was_doing_is_taken_up_within_its_invisibility(deployment, tmp_path):
    released_by = tmp_path / "go"
    ways = {"in place": None, "queued": "queue"}
    with deployment.host(invisibility=INVISIBILITY) as victim:
        victim.wait_ready()
        for number, placement in enumerate(ways.values()):
            body = json.dumps([str(released_by), placement])
            assert victim.request(f"/api/orchestrators/waits?instanceId=waits-{number}", body, "POST")[0] == 202
        wait_until(lambda: len(entries(deployment)) == len(ways), "both began")
        with deployment.host(invisibility=INVISIBILITY) as other:
            other.wait_ready()
            victim.process.kill()
            killed = time.time()
            wait_until(lambda: len(entries(deployment)) == 2 * len(ways), "both began again")
            released_by.touch()
            for number in range(len(ways)):
                assert wait_completed(other, f"waits-{number}") == other.host_pids[0]
    again = {key.split("/")[0]: at - killed for key, at, _ in entries(deployment)[len(ways) :]}
    for number, way in enumerate(ways):
        print(f"{way}: begun again {again[f'waits-{number}']:.2f} s after the kill, invisibility {INVISIBILITY} s")  # noqa: T201 - the figures are the point
    assert all(seconds < INVISIBILITY + ALLOWANCE for seconds in again.values()), again
