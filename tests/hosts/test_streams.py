"""Durable streams over real HTTP: connections that are cut in the middle of an event, and a host that is killed."""

from __future__ import annotations

import http.client
import json
import signal
from urllib.parse import urlsplit

import pytest

from tests.hosts.conftest import HOSTS, deployed

COUNT = 60
EVERYTHING = [{"step": step, "number": number} for step in (1, 2) for number in range(COUNT)]


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def talking(request, tmp_path):
    return deployed(HOSTS / "stream_app", request, tmp_path)


class EventSource:
    """Reads events as a browser does: it reconnects by itself, and says what it has had."""

    def __init__(self, path):
        self._path = path
        self.events = []
        self.cuts = 0
        self.stopped = False
        self._last_id = None

    def connect(self, host, *, bytes_before_cut=None):
        """Read one answer, or as much of it until the connection is cut."""
        headers = {"Accept": "text/event-stream"} | ({} if self._last_id is None else {"Last-Event-ID": self._last_id})
        connection = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=60)
        try:
            connection.request("GET", self._path, headers=headers)
            response = connection.getresponse()
            self.stopped = response.status == 204
            assert response.status in (200, 204), response.read()
            text = response.read(bytes_before_cut).decode()
            self.cuts += not response.isclosed()
        finally:
            connection.close()
        for block in text.split("\n\n")[:-1]:  # what comes after the last empty line is no event yet
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                self._last_id = fields["id"]
                self.events.append((fields.get("event", "message"), json.loads(fields["data"])))

    def read_on(self, host, enough):
        while not self.stopped and not enough():
            self.connect(host)

    @property
    def said(self):
        """What counts, superseded items left out."""
        found = []
        for event, data in self.events:
            if event == "restart":
                del found[len(found) - data["superseded"] :]
            elif event == "message":
                found.append(data)
        return found


def begin(host, instance_id):
    status, _ = host.request(f"/api/talk/{instance_id}", json.dumps(COUNT), "POST")
    assert status == 202
    return EventSource(f"/api/durabletask/instances/{instance_id}/streams/talk?wait=10")


def test_a_stream_that_is_cut_three_times_is_read_without_a_lost_or_repeated_item(talking):
    with talking.host() as host:
        host.wait_ready()
        source = begin(host, "cut")
        for enough in (5, 30, 80):
            source.read_on(host, lambda enough=enough: len(source.said) >= enough)
            cuts = source.cuts
            while source.cuts == cuts:
                source.connect(host, bytes_before_cut=90)
        source.read_on(host, lambda: False)

    assert source.cuts == 3
    assert source.events == [
        *(("message", each) for each in EVERYTHING),
        ("end", {"status": "completed", "result": "done"}),
    ]


def test_a_stream_whose_host_is_killed_goes_on_with_the_next_one(talking):
    with talking.host(invisibility=3) as host:
        host.wait_ready()
        source = begin(host, "killed")
        source.read_on(host, lambda: len(source.said) >= 20)
        host.signal(signal.SIGKILL)
        host.wait_exit()
    with talking.host(invisibility=3) as host:
        host.wait_ready()
        source.read_on(host, lambda: False)

    assert source.said == EVERYTHING
    assert [event for event, _ in source.events].count("restart") == 1
    assert source.events[-1] == ("end", {"status": "completed", "result": "done"})
