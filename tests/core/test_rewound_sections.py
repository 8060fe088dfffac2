"""Critical sections of orchestrations that are rewound."""

from perdure.core.actions import LocksReleased
from perdure.core.history import EntityLockGranted, EntityOperationCompleted
from perdure.core.rewinding import is_inside_section
from tests.core.driving import done, failed
from tests.core.test_rewinding import Rewinding


async def waiting(context):
    lock = context.lock_entities(["@a@1", "@b@1"])
    await context.call_activity("step")
    async with lock:
        await context.call_entity("@a@1", "get")
    async with context.lock_entities(["@c@1"]):
        return context.is_in_critical_section


def test_a_lock_that_is_asked_for_anew_is_left_like_any_other():
    run = Rewinding(waiting)
    run.start()
    run.turn(failed(1))
    assert not is_inside_section(run.turns)
    assert [action.no for action in run.rewind()] == [2, 3]
    run.turn(EntityLockGranted(2), done(3))
    left, asked = run.turn(EntityOperationCompleted(4, "1"))
    assert isinstance(left, LocksReleased)
    assert (left.no, left.entities) == (2, ["@a@1", "@b@1"])
    run.turn(EntityLockGranted(asked.no))
    assert run.checked() is True


async def sectioned(context):
    async with context.lock_entities(["@a@1"]):
        await context.call_activity("step")


def test_what_has_failed_in_a_section_is_inside_of_it():
    run = Rewinding(sectioned)
    run.start()
    run.turn(EntityLockGranted(0))
    run.turn(failed(1))
    assert isinstance(run.turns[-1].actions[0], LocksReleased)
    assert is_inside_section(run.turns)
