"""Orchestrators and activities: what the decorators accept, what they return, and what they are called."""

from __future__ import annotations

import inspect

import azure.functions as func
import pytest

import perdure_functions as df
from perdure.core.http_calls import HTTP_ACTIVITY
from perdure.engine.registry import DuplicateFunctionError


@pytest.fixture
def app(app_folder):
    return df.DFApp()


def registered(app):
    app.get_functions()
    return app._registry


def test_what_is_decorated_is_called_like_the_function(app):
    @app.orchestration_trigger(context_name="context")
    def order(context):
        """Order something."""
        return context

    @app.activity_trigger(input_name="city")
    def greet(city: str) -> str:
        return f"Hello {city}"

    assert (order(1), greet("Tokyo"), greet(city="Oslo")) == (1, "Hello Tokyo", "Hello Oslo")
    assert (order.durable_name, order.__name__, order.__doc__) == ("order", "order", "Order something.")
    assert str(inspect.signature(greet)) == "(city: 'str') -> 'str'"
    assert (repr(order), repr(greet)) == ("<orchestrator function 'order'>", "<activity function 'greet'>")


def test_unit_tests_written_for_durable_functions_find_the_functions(app):
    def order(context):
        return 1

    def greet(city):
        return 2

    decorated = app.orchestration_trigger(context_name="context")(order)
    assert decorated.orchestrator_function is order
    assert decorated.build().get_user_function().orchestrator_function is order
    activity = app.activity_trigger(input_name="city")(greet)
    assert activity.activity_function is greet
    assert activity.build().get_user_function() is greet
    assert activity.build().get_function_name() == "greet"


def test_they_are_registered_and_no_functions_of_the_host(app):
    @app.orchestration_trigger("context")
    async def order(context):
        return 1

    @app.activity_trigger("city")
    async def greet(city):
        return 2

    names = {function.get_function_name() for function in app.get_functions()}
    assert {"order", "greet"} & names == set()
    assert app._registry.orchestrators.get("order") is order.orchestrator_function
    assert app._registry.activities.get("GREET") is greet.activity_function


def test_names(app):
    @app.function_name("above")
    @app.orchestration_trigger("context")
    def one(context): ...

    @app.orchestration_trigger("context")
    @app.function_name("below")
    def two(context): ...

    @app.orchestration_trigger("context", orchestration="given")
    @app.function_name("below2")
    def three(context): ...

    @app.function_name("above2")
    @app.activity_trigger("value", activity="given too")
    def four(value): ...

    registry = registered(app)
    assert set(registry.orchestrators.all) == {"above", "below", "given"}
    assert set(registry.activities.all) == {"given too", HTTP_ACTIVITY}


def test_an_orchestrator_and_an_activity_may_share_a_name(app):
    app.orchestration_trigger("context", "same")(lambda context: 1)
    app.activity_trigger("value", "same")(lambda value: 1)
    registered(app)


def test_two_of_a_kind_may_not(app):
    app.activity_trigger("value", "same")(lambda value: 1)
    app.activity_trigger("value", "Same")(lambda value: 1)
    with pytest.raises(DuplicateFunctionError, match="two activity functions are named 'Same' and 'same'"):
        app.get_functions()


def test_the_classic_orchestrator(app):
    def order(context):
        return 1

    handle = df.Orchestrator.create(order)
    assert (handle.orchestrator_function, handle(None)) == (order, 1)
    decorated = app.orchestration_trigger("context")(handle)
    assert (decorated.orchestrator_function, decorated.durable_name) == (order, "order")


def test_the_input_type_is_kept(app):
    decorated = app.orchestration_trigger("context", input_type=dict)(lambda context: 1)
    assert decorated.input_type is dict


def test_optional_parameters_are_allowed(app):
    @app.activity_trigger("city")
    def greet(city, greeting="Hello", *rest, punctuation="!", **more): ...

    @app.orchestration_trigger("context")
    def order(context, given): ...

    registered(app)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda town: 1, "activity '<lambda>': its first parameter must be 'city', .*, but it is 'town'"),
        (lambda: 1, "but it has none"),
        (lambda *, city: 1, "but it has none"),
        (lambda city, context: 1, r"takes more than its one input: 'context'.*activity_context\(\)"),
    ],
)
def test_activities_with_the_wrong_parameters(app, function, message):
    with pytest.raises(TypeError, match=message):
        app.activity_trigger(input_name="city")(function)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda ctx: 1, "orchestrator '<lambda>': its first parameter must be 'context', .*, but it is 'ctx'"),
        (lambda: 1, "but it has none"),
        (lambda context, given, more: 1, "takes more than the context and the input: 'more'"),
    ],
)
def test_orchestrators_with_the_wrong_parameters(app, function, message):
    with pytest.raises(TypeError, match=message):
        app.orchestration_trigger(context_name="context")(function)


def test_a_durable_function_has_no_other_trigger(app):
    def order(context): ...

    with pytest.raises(TypeError, match="activity 'order' can't have bindings or another trigger"):
        app.route("order")(app.activity_trigger("context")(order))
    with pytest.raises(TypeError, match="function 'order' can't have bindings and a durable trigger"):
        app.activity_trigger("context")(app.queue_output("msg", "queue", "Storage")(order))
    with pytest.raises(TypeError, match="orchestrator 'order' has a durable trigger already"):
        app.activity_trigger("context")(app.orchestration_trigger("context")(order))


# ---- blueprints --------------------------------------------------------------------------------------------------


def test_blueprints_bring_durable_functions(app):
    blueprint = df.Blueprint()

    @blueprint.function_name("Order")
    @blueprint.orchestration_trigger("context")
    def order(context): ...

    @blueprint.activity_trigger("city")
    def greet(city): ...

    @blueprint.route("hello")
    def hello(req: func.HttpRequest) -> func.HttpResponse: ...

    app.register_blueprint(blueprint)
    names = {function.get_function_name() for function in app.get_functions()}
    assert "hello" in names
    assert set(app._registry.orchestrators.all) == {"Order"}
    assert set(app._registry.activities.all) == {"greet", HTTP_ACTIVITY}


def test_plain_blueprints_are_taken_too(app):
    blueprint = func.Blueprint()

    @blueprint.route("hello")
    def hello(req: func.HttpRequest) -> func.HttpResponse: ...

    app.register_functions(blueprint)
    assert "hello" in {function.get_function_name() for function in app.get_functions()}


def test_an_app_is_no_blueprint(app):
    with pytest.raises(TypeError):
        app.register_functions(df.DFApp())


@pytest.mark.parametrize(
    ("level", "expected"),
    [(None, "ANONYMOUS"), (func.AuthLevel.ADMIN, "ADMIN"), ("FUNCTION", "FUNCTION")],
)
def test_a_blueprint_may_ask_for_a_key_of_its_own(app_folder, level, expected):
    app = df.DFApp(http_auth_level="ANONYMOUS")
    blueprint = df.Blueprint(http_auth_level=level)

    @blueprint.route("hello")
    def hello(req: func.HttpRequest) -> func.HttpResponse: ...

    @blueprint.route("own", auth_level="ANONYMOUS")
    def own(req: func.HttpRequest) -> func.HttpResponse: ...

    app.register_functions(blueprint)
    levels = {
        function.get_function_name(): function.get_trigger().get_dict_repr()["authLevel"].name
        for function in app.get_functions()
        if function.is_http_function()
    }
    assert (levels["hello"], levels["own"]) == (expected, "ANONYMOUS")
