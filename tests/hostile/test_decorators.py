"""The decorators and what they are given: an error at the import of the app that names the function or the argument."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given

import perdure_functions as df
from perdure.errors import PerdureError
from tests.hostile.inputs import NO_TEXTS, SURROGATES, texts

REFUSED = (TypeError, ValueError, PerdureError)
NAMES = [*NO_TEXTS[1:], *SURROGATES, "x" * 1_001]


def trigger(app, kind, parameter="context", name=None):
    match kind:
        case "orchestrator":
            return app.orchestration_trigger(parameter, name)
        case "activity":
            return app.activity_trigger(parameter, name)
        case _:
            return app.entity_trigger(parameter, name)


KINDS = ["orchestrator", "activity", "entity"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NAMES, ""])
def test_a_hostile_name(kind, name):
    app = df.DFApp()

    def work(context): ...

    with pytest.raises((TypeError, ValueError), match=rf"name of the {kind} function"):
        trigger(app, kind, name=name)(work)
    assert app.durable_functions == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NAMES, "", None])
def test_a_hostile_function_name(kind, name):
    app = df.DFApp()

    def work(context): ...

    made = trigger(app, kind)(work)
    with pytest.raises((TypeError, ValueError), match=rf"name of the {kind} function"):
        app.function_name(name)(made)
    assert made.durable_name == "work"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameter", [*NO_TEXTS, "", "other", "\ud800"])
def test_a_hostile_name_of_the_parameter(kind, parameter):
    app = df.DFApp()

    def work(context): ...

    with pytest.raises(TypeError, match="'work': its first parameter must be"):
        trigger(app, kind, parameter)(work)
    assert app.durable_functions == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", [None, 5, "work", object(), [], len, print, timedelta, int])
def test_what_is_no_function_of_the_users(kind, function):
    app = df.DFApp()
    with pytest.raises(TypeError, match=kind):
        trigger(app, kind)(function)
    assert app.durable_functions == []


def test_an_entitys_name_can_not_hold_the_mark_of_entity_ids():
    app = df.DFApp()

    def work(context): ...

    with pytest.raises(ValueError, match="@"):
        app.entity_trigger("context", "a@b")(work)


@pytest.mark.parametrize("expires", [5, "1h", timedelta(0), timedelta(seconds=-1), timedelta.max])
def test_a_hostile_time_of_expiry(expires):
    app = df.DFApp()

    def work(context): ...

    decorate = app.entity_trigger("context", expires_after=expires)
    if expires == timedelta.max:
        decorate(work)  # it never expires
    else:
        with pytest.raises(TypeError, match="'work': expires_after"):
            decorate(work)


@pytest.mark.parametrize("client_name", [*NO_TEXTS, "", "other", "\ud800"])
def test_a_hostile_name_of_the_client(client_name):
    app = df.DFApp()

    async def start(req, client): ...

    with pytest.raises((TypeError, ValueError), match="client"):
        app.durable_client_input(client_name)(start)


@given(name=texts)
def test_any_text_is_a_name_or_refused(name):
    app = df.DFApp()

    def work(context): ...

    for kind in KINDS:
        try:
            made = trigger(app, kind, name=name)(work)
        except ValueError as refused:
            assert kind in str(refused)  # noqa: PT017 - other names are no errors
        else:
            assert made.durable_name == name
