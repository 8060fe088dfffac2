"""The shapes of history events that hardly ever occur."""

from __future__ import annotations

import pytest

from perdure.client.history_view import history_events
from perdure.core.actions import ChildTerminated, ContinuedAsNew
from perdure.core.history import TaskCompleted, TimerFired, Turn
from tests.storage.providers import NOON, new_instance

TIME = "2026-05-17T12:00:00.123456Z"


def shown(events=(), actions=()):
    turn = Turn("c1", "s1", 0, NOON, [], [], list(events), list(actions))
    return history_events(new_instance(), [turn], show_inputs=True, show_results=True)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (
            ChildTerminated("child", "e1", "enough"),
            {"EventType": "SubOrchestrationInstanceTerminated", "InstanceId": "child", "Reason": "enough"},
        ),
        (ContinuedAsNew("7"), {"EventType": "ContinueAsNew", "Input": "7"}),
    ],
)
def test_actions(action, expected):
    assert shown(actions=[action]) == [{**expected, "EventId": -1, "Timestamp": TIME}]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            TaskCompleted(3, "1"),
            {"EventType": "TaskCompleted", "TaskScheduledId": 3, "Name": None, "FunctionName": None, "Result": "1"},
        ),
        (TimerFired(3), {"EventType": "TimerFired", "TimerId": 3, "FireAt": None}),
    ],
)
def test_answers_whose_question_is_not_known(event, expected):
    assert shown([event]) == [{**expected, "ScheduledTime": None, "EventId": -1, "Timestamp": TIME}]


def test_a_take_over_is_not_shown():
    assert shown() == []
