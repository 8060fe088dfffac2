"""Entities: what the decorators accept, what they return, and what they are called."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import azure.functions as func
import pytest

import perdure_functions as df
from perdure.engine.registry import DuplicateFunctionError
from tests.functions.driving import content


@pytest.fixture
def app(app_folder):
    return df.DFApp()


def test_a_function_is_called_like_itself(app):
    def count(context):
        return context

    decorated = app.entity_trigger(context_name="context")(count)
    assert decorated(1) == 1
    assert (decorated.durable_name, repr(decorated)) == ("count", "<entity function 'count'>")
    assert decorated.entity_function is count
    assert decorated.build().get_user_function().entity_function is count
    assert app.registry().entities.get("COUNT").function is count


def test_a_class_stays_what_it_is(app):
    @app.entity_trigger(context_name="context", entity_name="counter")
    class Counter(df.DurableEntity):
        state: int = 0

    assert isinstance(Counter, type)
    assert Counter.durable_name == "counter"
    assert app.registry().entities.get("counter").function is Counter


def test_names(app):
    @app.function_name("above")
    @app.entity_trigger("context")
    def one(context): ...

    @app.entity_trigger("context")
    @app.function_name("below")
    def two(context): ...

    @app.function_name("above2")
    @app.entity_trigger("context", entity_name="given")
    def three(context, amount): ...

    assert set(app.registry().entities.all) == {"above", "below", "given"}
    app.entity_trigger("context", "GIVEN")(lambda context: 1)
    with pytest.raises(DuplicateFunctionError, match="two entity functions are named 'GIVEN' and 'given'"):
        app.registry()


def test_the_classic_entity(app):
    def count(context):
        return 1

    main = df.Entity.create(count)
    assert (main.entity_function, main(None)) == (count, 1)
    for name, given in (("a", main), ("b", main.entity_function)):
        assert app.entity_trigger("context", name)(given).entity_function is count


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda other: 1, "its first parameter must be 'context'"),
        (lambda: 1, "but it has none"),
        (lambda context, one, two: 1, "takes more than the context and the input: 'two'"),
        (lambda context: (yield), "can't yield"),
        (int, "has to be made of df.DurableEntity"),
    ],
)
def test_what_is_no_entity(app, function, told):
    with pytest.raises(TypeError, match=told):
        app.entity_trigger("context")(function)


@pytest.mark.parametrize("expires_after", [timedelta(0), 3600])
def test_what_is_no_expiry(app, expires_after):
    with pytest.raises(TypeError, match="expires_after is a positive timedelta"):
        app.entity_trigger("context", expires_after=expires_after)(lambda context: 1)


async def test_sync_functions_and_blueprints(app, drive):
    """A blueprint's entity, signalled and read by a function that is not async."""
    blueprint = df.Blueprint()

    @blueprint.entity_trigger("context")
    def note(context, text: str):
        context.set_state(text)

    @blueprint.route("notes/{text}")
    @blueprint.durable_client_input("client")
    def keep(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
        client.signal_entity(df.EntityId("note", "one"), "keep", req.route_params["text"])
        state = client.read_entity_state(df.EntityId("note", "one")).entity_state
        return func.HttpResponse(state or "none")

    app.register_functions(blueprint)
    driver = await drive(app)
    assert (await driver.request("GET", "notes/tea")).get_body() in (b"none", b"tea")
    async with asyncio.timeout(30):
        while (await driver.request("GET", "durabletask/entities/note/one")).status_code == 404:
            await asyncio.sleep(0.01)
    assert content(await driver.request("GET", "durabletask/entities/note/one")) == "tea"
