"""What is done to one instance, or asked of a filter, touches no other: over every provider."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.storage.continuation import write_continuation
from perdure.storage.rows import InstanceQuery
from tests.hostile.inputs import INJECTIONS, LARGE, PATHS
from tests.scenarios.conftest import open_hub  # noqa: F401 - a fixture: every provider
from tests.scenarios.hub import Hub

NEIGHBOURS = ["abc", "abcd", "abc ", "abc/", "abc/d", "abc~", "abc.", "abc\x00", "abc'", "ABC", "ab", "a", "abc\uffff"]


@pytest.fixture
async def hub(open_hub):  # noqa: F811 - a fixture
    hub = Hub(open_hub)

    @hub.orchestrator
    def keep(context):
        """Leaves payloads and a segment: input, result and output are large, and no row holds two turns."""
        return (yield context.call_activity("echo", context.get_input()))

    @hub.activity
    def echo(value: str) -> str:
        return value

    hub.settings = type(hub.settings)(tail_turns=1)
    yield hub
    await hub.close()


@pytest.fixture
async def client(hub):
    return Client(hub.storage, worker=(await hub.add_worker()).engine)


async def belongings(storage, instance_id):
    row = await storage.read(instance_id)
    assert row is not None, f"{instance_id!r} is gone"
    return row, await storage.list_payloads(instance_id), await storage.list_segments(instance_id)


async def test_purging_an_instance_leaves_those_alone_whose_ids_begin_alike(hub, client):
    for instance_id in NEIGHBOURS:
        await client.start_new("keep", instance_id, LARGE + instance_id)
    for instance_id in NEIGHBOURS:
        await hub.ended(instance_id)
    await hub.quiet()
    left = {instance_id: await belongings(hub.storage, instance_id) for instance_id in NEIGHBOURS}
    assert all(payloads and segments for _, payloads, segments in left.values())
    for instance_id in NEIGHBOURS:
        assert (await client.purge_instance_history(instance_id)).instances_deleted == 1
        del left[instance_id]
        assert await hub.storage.read(instance_id) is None
        assert await hub.storage.list_payloads(instance_id) == []
        assert await hub.storage.list_segments(instance_id) == []
        for other, held in left.items():
            assert await belongings(hub.storage, other) == held
            assert (await client.get_status(other)).output == LARGE + other


async def test_filters_hold_what_they_are_given_for_text(hub, client):
    ids = [*INJECTIONS, *PATHS, "abc", "abcd", "other"]
    for instance_id in ids:
        await client.start_new("keep", instance_id, instance_id, tags={"of": instance_id})
    for instance_id in ids:
        await hub.ended(instance_id)
    for text in (*INJECTIONS, *PATHS):
        alike = {instance_id for instance_id in ids if instance_id.startswith(text)}
        assert {each.instance_id for each in await client.get_status_by(instance_id_prefix=text)} == alike
        found = await client.get_status_by(instance_id_prefix="abc", tags={"of": text})
        assert {each.instance_id for each in found} == alike & {text} & {i for i in ids if i.startswith("abc")}
        assert (await client.list_entities("name", text)).entities == []
        assert (await hub.storage.query(InstanceQuery(statuses=(text,)))).instances == []
        with pytest.raises(ValueError, match="a query's kind"):
            await hub.storage.query(InstanceQuery(kind=text))


async def test_a_purge_by_conditions_deletes_what_meets_them_all(hub, client):
    for instance_id in ("abc", "abcd", "other"):
        await client.start_new("keep", instance_id, LARGE, tags={"of": instance_id})
        await hub.ended(instance_id)
    now = datetime.now(UTC)
    for conditions in (
        {"created_time_from": now + timedelta(days=1)},
        {"created_time_to": now - timedelta(days=1)},
        {"runtime_status": [OrchestrationRuntimeStatus.Failed]},
        {"tags": {"of": "' or true or '"}},
        {"tags": {"of": "ab"}},
    ):
        assert (await client.purge_instance_history_by(**conditions)).instances_deleted == 0
    assert (await client.purge_instance_history_by(tags={"of": "abc"})).instances_deleted == 1
    assert [each.instance_id for each in await client.get_status_all()] == ["abcd", "other"]
    assert await hub.storage.list_payloads("abcd")


async def test_texts_with_control_characters_come_back_from_every_column(hub, client):
    name, text = "f\x00\x01\x1f\x7f\x85\ufffe'\"\\<&", "\x00" * 900
    tags = {"a\x00'": text, "\x1b[31m": "\x08\u2028"}
    lonely = Client(hub.storage)
    await lonely.start_new(
        name, "odd", [text, "\ud800"], "v\x00'", tags=tags, start_at=datetime.now(UTC) + timedelta(1)
    )
    status = await lonely.get_status("odd", show_input=True)
    assert (status.name, status.tags, status.input_) == (name, tags, [text, "\ud800"])
    assert [each.instance_id for each in await lonely.get_status_by(tags=tags)] == ["odd"]


async def test_a_forged_continuation_shows_nothing_that_the_query_does_not_ask_for(hub, client):
    """Tokens are not signed: whoever may list a hub may begin anywhere in it, and that is all."""
    for instance_id in ("abc", "abcd"):
        await client.start_new("keep", instance_id, "x")
    token = (await client.query(top=1)).continuation
    assert token is not None
    origin, *position = json.loads(base64.urlsafe_b64decode(token + "==")[4:])
    for size in range(5):
        forged = write_continuation(origin, ["' or true or '"] * size)
        if size == len(position):
            assert (await client.query(InstanceQuery(id_prefix="zzz"), continuation=forged)).instances == []
        else:
            with pytest.raises(ValueError, match="no continuation token"):
                await client.query(continuation=forged)
    with pytest.raises(ValueError, match="comes from"):
        await client.query(continuation=write_continuation("elsewhere", position))
