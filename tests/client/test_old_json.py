"""Status objects made from JSON with other keys than ours, as apps and their tests do."""

from perdure.client import DurableOrchestrationStatus, PurgeHistoryResult


def test_other_keys_become_attributes():
    status = DurableOrchestrationStatus.from_json({"instanceId": "one", "historyEvents": [1]})
    assert (status.instance_id, status.historyEvents, bool(status)) == ("one", [1], False)
    assert PurgeHistoryResult.from_json({"instancesDeleted": 2, "more": 1}).more == 1


def test_a_text_is_the_status_of_a_missing_instance():
    status = DurableOrchestrationStatus.from_json("no such instance")
    assert (bool(status), status.runtime_status, status.message) == (False, None, "no such instance")
